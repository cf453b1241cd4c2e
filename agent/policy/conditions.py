"""Whether a call meets the conditions of a purpose, each of which is a check that goes by its own name. Pure."""

from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase

from agent.model.call import Call
from agent.model.condition import Condition, OnHolidays
from agent.policy.calendar import Moment, within
from agent.policy.people import agents, present

Check = Callable[[Call, Condition, Moment], bool]


def _numbers(call: Call) -> list[str]:
    return [party.number for party in call.parties]


def _any_match(values: Iterable[str | None], patterns: Sequence[str]) -> bool:
    return any(value is not None and fnmatchcase(value, pattern) for value in values for pattern in patterns)


CHECKS: dict[str, Check] = {
    "direction": lambda call, when, _: call.direction in when.direction,
    "numbers": lambda call, when, _: _any_match(_numbers(call), when.numbers),
    "exclude_numbers": lambda call, when, _: not _any_match(_numbers(call), when.exclude_numbers),
    "agent": lambda call, when, _: _any_match((p.number for p in agents(call)), when.agent),
    "queue": lambda call, when, _: _any_match([call.queue], when.queue),
    "did": lambda call, when, _: _any_match([call.did], when.did),
    "tags": lambda call, when, _: _any_match(call.tags, when.tags),
    "exclude_tags": lambda call, when, _: not _any_match(call.tags, when.exclude_tags),
    "gateway": lambda call, when, _: _any_match([call.gateway], when.gateway),
    "tap": lambda call, when, _: _any_match([call.tap], when.tap),
    "parties_at_least": lambda call, when, _: len(present(call)) >= (when.parties_at_least or 0),
    "parties_at_most": lambda call, when, _: when.parties_at_most is None or len(present(call)) <= when.parties_at_most,
    "consent": lambda call, when, _: call.consent in when.consent,
    "hours": lambda _, when, moment: any(within(moment, hours) for hours in when.hours),
    "holidays": lambda _, when, moment: moment.holiday == (when.holidays is OnHolidays.ONLY),
}
"""In the order in which they are told; of each that is set, that it holds. Expressions are another module's."""


def is_set(when: Condition, name: str) -> bool:
    """Whether a condition demands anything."""
    return getattr(when, name) not in ((), None, "")


def unmet(call: Call, when: Condition, moment: Moment) -> str | None:
    """The name of the first condition that the call does not meet, or None when all hold."""
    return next((name for name, holds in CHECKS.items() if is_set(when, name) and not holds(call, when, moment)), None)
