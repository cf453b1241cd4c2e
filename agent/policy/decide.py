"""Which purposes apply to a call, and why: the trigger, narrowed by its conditions. Pure.

`percent` is decided by a keyed hash of the gateway's own name for the call, so the same call replayed is decided the
same way, an auditor with the key can repeat the decision, and nobody without it can steer it.
"""

import hashlib
import hmac
from collections.abc import Sequence
from fnmatch import fnmatchcase

from agent.model.call import Call
from agent.model.purpose import Condition, Decision, KeepFrom, Purpose, Trigger


def decide(call: Call, purposes: Sequence[Purpose], percent_key: bytes) -> tuple[Decision, ...]:
    """One decision per purpose, in the order given. `percent_key` is the site's secret of at least 16 bytes."""
    return tuple(_decide_one(call, purpose, percent_key) for purpose in purposes)


def share(purpose: str, reference: str, percent_key: bytes) -> float:
    """The call's place in [0, 100) for this purpose: a keyed hash, independent between purposes."""
    digest = hmac.digest(percent_key, f"{purpose}\0{reference}".encode(), hashlib.sha256)
    return int.from_bytes(digest[:8], "big") / 2**64 * 100


def _decide_one(call: Call, purpose: Purpose, percent_key: bytes) -> Decision:
    def verdict(applies: bool, rule: str) -> Decision:
        return Decision(purpose.name, applies, purpose.trigger, rule)

    failed = unmet(call, purpose.when)
    if failed is not None:
        return verdict(False, f"condition not met: {failed}")
    if purpose.trigger is Trigger.ALL:
        return verdict(True, "trigger all")
    if purpose.trigger is Trigger.PERCENT:
        place = share(purpose.name, call.reference, percent_key)
        sign, applies = ("<", True) if place < purpose.percent else (">=", False)
        return verdict(applies, f"trigger percent: {place:.4f} {sign} {purpose.percent:g}")
    start = "the start of the call" if purpose.keep_from is KeepFrom.START else "the press"
    return verdict(True, f"trigger on_demand: armed, keeps from {start}")


def unmet(call: Call, when: Condition) -> str | None:
    """The name of the first condition the call does not meet, or None when all hold."""
    numbers = [p.number for p in call.parties]
    if when.direction and call.direction not in when.direction:
        return "direction"
    if when.numbers and not _any_match(numbers, when.numbers):
        return "numbers"
    if when.exclude_numbers and _any_match(numbers, when.exclude_numbers):
        return "exclude_numbers"
    if when.queue and not _any_match([call.queue], when.queue):
        return "queue"
    if when.did and not _any_match([call.did], when.did):
        return "did"
    return None


def _any_match(values: Sequence[str | None], patterns: Sequence[str]) -> bool:
    return any(value is not None and fnmatchcase(value, pattern) for value in values for pattern in patterns)
