"""The section `[retention]`: who may end a legal hold, and when the clock is believed."""

from pydantic import Field

from agent.config.section import Duration, Section


class Retention(Section):
    """Forgetting on time; docs/retention.md."""

    two_person: bool = False
    """A legal hold ends when a second, other person confirms within a day."""
    clock_jump: Duration = Field(300, ge=1)
    """A clock that is further ahead than this of what the monotonic clock says is doubted."""
    clock_doubt: Duration = 86400
    """So long a doubted clock has to go steadily until it is believed, unless NTP or a person confirms it before."""
