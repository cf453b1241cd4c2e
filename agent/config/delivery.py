"""The section `[courier]`: how patiently artifacts go; where to is `agent.config.destinations`."""

from pydantic import Field

from agent.config.section import Section, Size


class Courier(Section):
    """Delivery pace."""

    poll_s: float = Field(1.0, gt=0, le=60)
    retry_first_s: float = Field(2.0, gt=0)
    retry_max_s: float = Field(900.0, gt=0)
    part_mib: int = Field(8, ge=5, le=512)
    outbox_budget: Size | None = None
    """Bytes of all artifacts that may be here (docs/delivery.md); without it, the disk is the limit."""
