"""How fast a destination may be sent to: `parallel`, `limit_mbit`, `[[destination.NAME.hours]]` (docs/delivery.md)."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from agent.config.section import Section
from agent.config.when import stretch
from agent.model.bandwidth import Bandwidth, Limit
from agent.model.condition import Hours

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


class Paced(Section):
    """What every destination that we send to has besides its own."""

    parallel: int = Field(6, ge=1, le=32)
    """Uploads at once: while some are read back, others are on their way up."""
    limit_mbit: Mbit | None = None
    """Of all its uploads together; without it, as fast as the network goes."""
    hours: tuple[BandwidthHours, ...] = Field(default=(), max_length=64)
    """Other limits at other hours; the first that fits counts."""

    def bandwidth(self) -> Bandwidth:
        """As a model value."""
        return Bandwidth(self.limit_mbit, tuple(Limit(one.hours(), one.mbit) for one in self.hours))
