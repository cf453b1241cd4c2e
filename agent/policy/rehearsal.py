"""What another policy would have made of a call of the past, as far as what was kept of it can tell. Pure.

The catalog has numbers as keyed hashes only. A pattern that is a whole number can be compared with them, one with
wildcards cannot; what cannot be evaluated is named and nothing is guessed.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agent.model.call import Call, Consent
from agent.model.condition import Condition
from agent.model.purpose import Decision, Purpose, Trigger
from agent.policy.calendar import Moment
from agent.policy.conditions import CHECKS, is_set
from agent.policy.decide import objection
from agent.policy.expression import compiled, names_of, refusal
from agent.policy.lists import RULES as LIST_RULES
from agent.policy.people import agents

_WILD = frozenset("*?[")
_PLACE = re.compile(r"trigger percent: (\d+\.\d+) (?:<|>=) ")
_TOLD = frozenset({"call", "queue", "hour", "minute", "weekday", "holiday"})
_UNTOLD_FIELD = re.compile(r"\bcall\s*\.\s*(did|consent)\b")

NumberHash = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Past:
    """A call as the catalog has it: its numbers and DID are hashes; tags and consent are only known when somebody said
    something of the call (`told`). `decisions` are all that were made of it."""

    call: Call
    told: bool
    decisions: tuple[Decision, ...]


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """Whether the purpose would apply: `share` of 1 or 0, or between where the draw of `percent` is not known; None
    where `unknown` conditions could not be evaluated."""

    share: float | None
    unknown: tuple[str, ...] = ()


def applied(past: Past, purpose: str) -> bool:
    """Whether the purpose applied at any time."""
    return any(d.applies for d in past.decisions if d.purpose == purpose)


def rehearse(past: Past, purpose: Purpose, moment: Moment, hashed: NumberHash) -> Rehearsed:
    """What `purpose` would make of it. `moment` is when it began; `hashed` gives the hash of a number."""
    if any(d.rule in LIST_RULES for d in past.decisions):
        return Rehearsed(0)
    holds = {name: _holds(name, past, purpose.when, moment, hashed) for name in CHECKS if is_set(purpose.when, name)}
    if purpose.when.expression:
        holds["expression"] = _true(past, purpose.when.expression, moment)
    if past.told:
        holds["consent demanded"] = objection(past.call.consent, purpose) is None and (
            not purpose.consent or past.call.consent is Consent.GIVEN
        )
    elif purpose.consent:
        holds["consent demanded"] = None
    if False in holds.values():
        return Rehearsed(0)
    if unknown := tuple(name for name, held in holds.items() if held is None):
        return Rehearsed(None, unknown)
    return Rehearsed(_drawn(past.decisions, purpose) if purpose.trigger is Trigger.PERCENT else 1)


def _holds(name: str, past: Past, when: Condition, moment: Moment, hashed: NumberHash) -> bool | None:
    call = past.call
    everyone = [party.number for party in call.parties]
    match name:
        case "numbers":
            return _among(everyone, when.numbers, hashed)
        case "exclude_numbers":
            found = _among(everyone, when.exclude_numbers, hashed)
            return None if found is None else not found
        case "agent":
            return _among([party.number for party in agents(call)], when.agent, hashed)
        case "did":
            return _among([call.did] if call.did else [], when.did, hashed)
        case "tags" | "exclude_tags" | "consent" if not past.told:
            return None
    return CHECKS[name](call, when, moment)


def _among(hashes: Sequence[str], patterns: Sequence[str], hashed: NumberHash) -> bool | None:
    """Whether one of the hashes is that of a pattern; None when only a wildcard could tell."""
    if any(hashed(pattern) in hashes for pattern in patterns if not _WILD & set(pattern)):
        return True
    return None if hashes and any(_WILD & set(pattern) for pattern in patterns) else False


def _true(past: Past, source: str, moment: Moment) -> bool | None:
    if not set(compiled(source).variables()) <= _TOLD or _UNTOLD_FIELD.search(source):
        return None
    return refusal(source, names_of(past.call, moment)) is None


def _drawn(decisions: Sequence[Decision], purpose: Purpose) -> float:
    """By the same draw where it is known; else the share that would be drawn."""
    if purpose.stratify is None:
        for decision in decisions:
            if decision.purpose == purpose.name and (place := _PLACE.search(decision.rule)):
                return float(float(place[1]) < purpose.percent)
    return purpose.percent / 100
