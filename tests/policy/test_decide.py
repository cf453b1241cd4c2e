"""S10 and the conditions: which purposes apply, and why."""

import math
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from agent.model.call import Call, Consent, Direction, Party, Role
from agent.model.condition import Condition
from agent.model.purpose import ArtifactKind, Decision, KeepFrom, Purpose, Trigger
from agent.policy.decide import Policy
from agent.policy.lists import Lists
from agent.policy.share import Strata, share

KEY = bytes(range(32))
CALL = Call(
    "0" * 32,
    "session-1",
    "siprec",
    "sbc",
    0,
    Direction.INBOUND,
    (Party("a", "2001", role=Role.AGENT), Party("b", "0612345678", role=Role.CUSTOMER)),
    queue="sales-fr",
    did="0800123456",
)


def purpose(trigger: Trigger = Trigger.ALL, **fields: object) -> Purpose:
    base = Purpose("training", trigger, (ArtifactKind.AUDIO,), ("age1x",), None)
    return replace(base, **fields)


def decide(call: Call, purposes: list[Purpose], before: tuple[Decision, ...] = (), **parts: object):
    return Policy(tuple(purposes), KEY, **parts).decide(call, 0, Strata("start"), before)


def test_s10_twenty_percent_of_a_thousand_calls_within_the_binomial_bound_and_the_same_when_replayed():
    twenty = purpose(Trigger.PERCENT, percent=20.0)
    calls = [replace(CALL, reference=f"session-{n}") for n in range(1000)]
    first = [decide(call, [twenty])[0] for call in calls]
    kept = sum(d.applies for d in first)
    bound = 4 * math.sqrt(1000 * 0.2 * 0.8)
    assert abs(kept - 200) <= bound
    replayed = [decide(replace(call, call_id="f" * 32, started_ns=99), [twenty])[0] for call in calls]
    assert first == replayed
    assert all("trigger percent" in d.rule for d in first)


def test_two_purposes_are_decided_independently():
    both = sum(share("a", f"r{n}", KEY) < 50 and share("b", f"r{n}", KEY) < 50 for n in range(2000))
    assert abs(both - 500) < 100


def test_another_key_decides_otherwise():
    assert [share("a", str(n), KEY) for n in range(5)] != [share("a", str(n), bytes(32)) for n in range(5)]


@given(st.floats(0, 100), st.text(max_size=40))
def test_percent_is_monotonic_a_larger_percentage_keeps_all_of_a_smaller_one(percent, reference):
    call = replace(CALL, reference=reference)
    small = decide(call, [purpose(Trigger.PERCENT, percent=percent / 2)])[0].applies
    large = decide(call, [purpose(Trigger.PERCENT, percent=percent)])[0].applies
    assert large or not small


def test_conditions_must_all_hold_and_the_first_that_fails_is_named():
    cases = {
        Condition(direction=(Direction.OUTBOUND,)): "direction",
        Condition(numbers=("07*",)): "numbers",
        Condition(exclude_numbers=("2001",)): "exclude_numbers",
        Condition(queue=("support*",)): "queue",
        Condition(did=("0900*",)): "did",
    }
    for when, name in cases.items():
        decision = decide(CALL, [purpose(when=when)])[0]
        assert not decision.applies
        assert decision.rule == f"condition not met: {name}"
    met = Condition((Direction.INBOUND,), ("06*",), ("07*",), ("20*",), ("sales*",), ("0800*",))
    assert decide(CALL, [purpose(when=met)])[0].applies


def test_a_queue_condition_is_not_met_by_a_call_without_queue():
    assert not decide(replace(CALL, queue=None), [purpose(when=Condition(queue=("*",)))])[0].applies


def test_rules_never_carry_a_number():
    for trigger in Trigger:
        rule = decide(CALL, [purpose(trigger, keep_from=KeepFrom.PRESS)])[0].rule
        assert "0612345678" not in rule and "2001" not in rule


def changed(**fields: object) -> Call:
    return replace(CALL, **fields)


def test_a_purpose_that_demands_consent_waits_and_applies_once_it_is_given():
    agreed = purpose(consent=True)
    (first,) = decide(CALL, [agreed])
    assert first.waits and not first.applies
    (given,) = decide(changed(consent=Consent.GIVEN), [agreed], (first,))
    assert given.applies and not given.waits


def test_who_refuses_or_withdraws_is_recorded_only_where_the_basis_is_binding():
    for said in (Consent.REFUSED, Consent.WITHDRAWN):
        asked, objected, binding = decide(
            changed(consent=said), [purpose(consent=True, withdrawable=False), purpose(), purpose(withdrawable=False)]
        )
        assert not asked.applies and not asked.waits and asked.rule == f"consent {said}"
        assert not objected.applies and objected.rule == f"consent {said}"
        assert binding.applies


def test_recordings_do_not_stop_at_a_transfer():
    """Users of other recorders: `recordings stop at a transfer`."""
    purposes = [
        purpose(),
        purpose(Trigger.PERCENT, percent=50.0, name="half"),
        purpose(Trigger.ON_DEMAND, name="evidence"),
        purpose(when=Condition(numbers=("2001",)), name="of-anyone-who-took-part"),
        purpose(when=Condition(agent=("20*",)), name="of-a-team"),
        purpose(when=Condition(agent=("2001",)), name="of-one-agent"),
    ]
    for n in range(20):
        call = changed(reference=f"r{n}")
        before = decide(call, purposes)
        left = replace(CALL.parties[0], left_ns=5)
        at_a_colleague = replace(
            call, parties=(left, CALL.parties[1], Party("c", "2002", role=Role.AGENT, joined_ns=5))
        )
        after = decide(at_a_colleague, purposes, before)
        assert [d.applies for d in after[:-1]] == [d.applies for d in before[:-1]]
        assert [d.draw for d in after] == [d.draw for d in before]
        assert before[-1].applies and not after[-1].applies, "only the condition that speaks of the agent says no"
        over = replace(call, parties=tuple(replace(p, left_ns=9) for p in CALL.parties))
        assert [d.applies for d in decide(over, purposes, before)] == [d.applies for d in before], "nor at the end"


def test_a_call_of_a_listed_party_is_recorded_for_no_purpose_also_when_it_joins_later():
    lists = Lists(frozenset({"h(0698765432)"}), frozenset({"h(2999)"}), lambda number: f"h({number})")
    every = [purpose(), purpose(Trigger.ON_DEMAND, withdrawable=False), purpose(Trigger.PERCENT)]
    before = decide(CALL, every, lists=lists)
    assert all(d.applies for d in before)
    for number, why in (("2999", "protected extension"), ("0698765432", "opt-out list")):
        joined = replace(CALL, parties=(*CALL.parties, Party("x", number, joined_ns=5)))
        after = decide(joined, every, before, lists=lists)
        assert not any(d.applies or d.waits for d in after)
        assert all(why in d.rule and number not in d.rule for d in after)
        gone = replace(joined, parties=(*CALL.parties, Party("x", number, joined_ns=5, left_ns=6)))
        assert not any(d.applies for d in decide(gone, every, after, lists=lists)), "who left was in the call"


def test_what_was_drawn_is_kept_whatever_the_policy_has_become():
    (first,) = decide(CALL, [purpose(Trigger.PERCENT, percent=0.0)])
    assert not first.applies
    (second,) = decide(CALL, [purpose(Trigger.PERCENT, percent=100.0)], (first,))
    assert not second.applies and second.rule == first.rule
