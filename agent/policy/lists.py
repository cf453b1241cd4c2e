"""Whose calls are never recorded: customers who opted out, protected extensions: hashes of them. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

from agent.model.call import Call

PROTECTED_RULE, OPT_OUT_RULE = "a party is a protected extension", "a party is on the opt-out list"
RULES = frozenset({PROTECTED_RULE, OPT_OUT_RULE})


def _unknown(_number: str) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Lists:
    """Hashes of numbers, and `hashed`, which gives a number's hash under the key of the lists."""

    opt_out: frozenset[str] = frozenset()
    protected: frozenset[str] = frozenset()
    hashed: Callable[[str], str] = _unknown

    def forbids(self, call: Call) -> str | None:
        """Why the call must not be recorded, without a number; None when it may. Who left counts as well: a call that
        a listed party was in is not recorded from then on."""
        if not self.opt_out and not self.protected:
            return None
        hashes = {self.hashed(party.number) for party in call.parties}
        if hashes & self.protected:
            return PROTECTED_RULE
        if hashes & self.opt_out:
            return OPT_OUT_RULE
        return None


NO_LISTS = Lists()
