"""Which purposes apply to a call, and why: lists, conditions, consent, then the trigger. Pure but for the counter.

A call is decided on when it starts and again whenever it changes: a transfer, a third party, a queue, a tag, consent.
What `percent` drew is drawn once and kept; lists, conditions and consent are looked at again, so that a purpose that
applied goes on unless something speaks against it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from agent.model.call import Call, Consent
from agent.model.purpose import Decision, Draw, KeepFrom, Purpose, Stratify, Trigger
from agent.policy.calendar import FRANCE, Calendar, Moment
from agent.policy.conditions import unmet
from agent.policy.expression import compiled, names_of, refusal
from agent.policy.lists import NO_LISTS, Lists
from agent.policy.people import agents
from agent.policy.share import Strata, plain_draw, stratified_draw


@dataclass(frozen=True, slots=True)
class Policy:
    """All that decides. `percent_key` is the site's secret of at least 16 bytes. Raises ValueError for an expression
    that is none (the configuration has none such)."""

    purposes: tuple[Purpose, ...]
    percent_key: bytes
    lists: Lists = NO_LISTS
    calendar: Calendar = FRANCE

    def __post_init__(self) -> None:
        for purpose in self.purposes:
            if purpose.when.expression:
                compiled(purpose.when.expression)

    def decide(self, call: Call, now_ns: int, strata: Strata, before: Sequence[Decision] = ()) -> tuple[Decision, ...]:
        """One decision per purpose, in the order given. `now_ns` is UTC; `before` are the decisions made already, all
        or the last of each purpose; `strata` counts the calls of this process, or of what is replayed."""
        moment = self.calendar.moment(now_ns)
        forbidden = self.lists.forbids(call)
        drawn = {d.purpose: d.draw for d in before if d.draw is not None}
        return tuple(
            replace(self._one(call, purpose, forbidden, moment, strata, drawn.get(purpose.name)), at_ns=now_ns)
            for purpose in self.purposes
        )

    def with_lists(self, lists: Lists) -> "Policy":
        """The same purposes under other lists: what a live call is decided on again with, after a change of lists."""
        return replace(self, lists=lists)

    def _one(
        self, call: Call, purpose: Purpose, forbidden: str | None, moment: Moment, strata: Strata, draw: Draw | None
    ) -> Decision:
        def verdict(applies: bool, rule: str, *, waits: bool = False) -> Decision:
            return Decision(purpose.name, applies, purpose.trigger, rule, waits, draw=draw)

        against = forbidden or _narrowed(call, purpose, moment) or objection(call.consent, purpose)
        if against is not None:
            return verdict(False, against)
        if purpose.trigger is Trigger.PERCENT and draw is None:
            draw = self._draw(call, purpose, strata)
        rule = _rule(purpose, draw)
        if draw is not None and not draw.taken:
            return verdict(False, rule)
        if purpose.consent and call.consent is Consent.UNKNOWN:
            return verdict(False, f"waits for consent; {rule}", waits=True)
        return verdict(True, rule)

    def _draw(self, call: Call, purpose: Purpose, strata: Strata) -> Draw:
        if purpose.stratify is None:
            return plain_draw(purpose, call.reference, self.percent_key)
        return stratified_draw(purpose, _stratum(call, purpose.stratify), self.percent_key, strata)


def _narrowed(call: Call, purpose: Purpose, moment: Moment) -> str | None:
    """Why a condition excludes the call; None when all hold."""
    if (failed := unmet(call, purpose.when, moment)) is not None:
        return f"condition not met: {failed}"
    return refusal(purpose.when.expression, names_of(call, moment)) if purpose.when.expression else None


def objection(consent: Consent, purpose: Purpose) -> str | None:
    """Why what the customer said forbids the purpose; None when it does not. A refusal counts wherever consent is
    demanded or may be withdrawn; what the law or a contract demands goes on."""
    if consent in (Consent.REFUSED, Consent.WITHDRAWN) and (purpose.consent or purpose.withdrawable):
        return f"consent {consent}"
    return None


def _stratum(call: Call, by: Stratify) -> str | None:
    if by is Stratify.QUEUE:
        return call.queue
    return next((party.number for party in agents(call)), None)


def _rule(purpose: Purpose, draw: Draw | None) -> str:
    if purpose.trigger is Trigger.PERCENT and draw is not None:
        return f"trigger percent: {draw.how}"
    if purpose.trigger is Trigger.ON_DEMAND:
        start = "the start of the call" if purpose.keep_from is KeepFrom.START else "the press"
        return f"trigger on_demand: armed, keeps from {start}"
    return f"trigger {purpose.trigger.value}"
