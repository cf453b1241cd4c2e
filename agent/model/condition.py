"""Conditions: what must hold of a call, and of the moment, for a purpose to apply to it (docs/policy.md)."""

from dataclasses import dataclass
from enum import StrEnum

from agent.model.call import Consent, Direction

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class OnHolidays(StrEnum):
    """What a public holiday of the site's country means to a purpose."""

    EXCLUDE = "exclude"
    ONLY = "only"


@dataclass(frozen=True, slots=True)
class Hours:
    """A stretch of the day, [`from_min`, `until_min`) in minutes since midnight, local time, on some days of the week.

    Days count from Monday, 0. Where it ends at or before it begins it goes on until the next day, and is of the day on
    which it began.
    """

    days: tuple[int, ...]
    from_min: int
    until_min: int


EXPRESSION_FIELDS: dict[str, frozenset[str]] = {"call": frozenset({"direction", "gateway", "tap", "did", "consent"})}
EXPRESSION_NAMES = frozenset(
    {"parties", "agent", "queue", "tags", "hour", "minute", "weekday", "holiday", *EXPRESSION_FIELDS}
)
"""What an expression may speak of; docs/policy.md explains each."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Narrowing of a trigger; every field that is set must hold.

    Numbers, agents, queues, DIDs, tags and gateways are shell patterns, of which one must match. `numbers` are those of
    anyone who took part, `agent` is who has the call now; parties are counted that have not left.
    `expression` is CEL and must give true.
    """

    direction: tuple[Direction, ...] = ()
    numbers: tuple[str, ...] = ()
    exclude_numbers: tuple[str, ...] = ()
    agent: tuple[str, ...] = ()
    queue: tuple[str, ...] = ()
    did: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    exclude_tags: tuple[str, ...] = ()
    gateway: tuple[str, ...] = ()
    tap: tuple[str, ...] = ()
    parties_at_least: int | None = None
    parties_at_most: int | None = None
    consent: tuple[Consent, ...] = ()
    hours: tuple[Hours, ...] = ()
    holidays: OnHolidays | None = None
    expression: str = ""


ANY_CALL = Condition()
