"""How fast may be sent to a destination, by the hour (docs/delivery.md)."""

from dataclasses import dataclass

from agent.model.condition import Hours


@dataclass(frozen=True, slots=True)
class Limit:
    """So many millions of bits a second in these hours, on the clocks of the site; 0: nothing is sent."""

    hours: Hours
    mbit: float


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """The limit at all other times (None: there is none), and those of some hours, of which the first that fits
    counts."""

    mbit: float | None = None
    hours: tuple[Limit, ...] = ()
