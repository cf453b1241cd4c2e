"""The sections `[courier]` and `[destination.NAME]`: where artifacts go, and how fast."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from agent.config.section import Section, Size
from agent.config.when import stretch
from agent.model.bandwidth import Bandwidth, Limit
from agent.model.condition import Hours


class Courier(Section):
    """Delivery pace."""

    poll_s: float = Field(1.0, gt=0, le=60)
    retry_first_s: float = Field(2.0, gt=0)
    retry_max_s: float = Field(900.0, gt=0)
    part_mib: int = Field(8, ge=5, le=512)
    outbox_budget: Size | None = None
    """Bytes of all artifacts that may be here (docs/delivery.md); without it, the disk is the limit."""


Mbit = Annotated[float, Field(ge=0, le=100_000)]
"""Millions of bits a second; 0: nothing is sent."""


class BandwidthHours(Section):
    """A stretch of the day, on the clocks of the site, with a limit of its own."""

    from_: str = Field(alias="from")
    to: str
    days: str = ""
    mbit: Mbit

    @model_validator(mode="after")
    def _check(self) -> Self:
        self.hours()
        return self

    def hours(self) -> Hours:
        """As a model value. Raises ValueError."""
        made = stretch(f"{self.days} {self.from_}-{self.to}".strip())
        if not isinstance(made, Hours):
            raise ValueError('expected from = "08:00", to = "19:00" and, if not every day, days = "mon-fri"')
        return made


class Destination(Section):
    """Where artifacts go: a folder, or a bucket of S3-compatible storage (credentials in a file, never here)."""

    kind: Literal["folder", "s3"]
    path: Path | None = None
    endpoint_url: str | None = None
    bucket: str | None = None
    prefix: str = ""
    region: str = "us-east-1"
    credentials_file: Path | None = None
    verify_tls: bool = True
    parallel: int = Field(4, ge=1, le=32)
    """Uploads at once."""
    limit_mbit: Mbit | None = None
    """Of all its uploads together; without it, as fast as the network goes."""
    hours: tuple[BandwidthHours, ...] = Field(default=(), max_length=64)
    """Other limits at other hours; the first that fits counts."""

    def bandwidth(self) -> Bandwidth:
        """As a model value."""
        return Bandwidth(self.limit_mbit, tuple(Limit(one.hours(), one.mbit) for one in self.hours))

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.kind == "folder" and self.path is None:
            raise ValueError('a folder destination needs path = "/some/folder"')
        if self.kind == "s3" and (self.bucket is None or self.credentials_file is None):
            raise ValueError('an s3 destination needs bucket = "NAME" and credentials_file = "FILE"')
        return self
