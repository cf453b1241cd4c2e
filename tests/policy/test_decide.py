"""S10 and the conditions: which purposes apply, and why."""

import math
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from agent.model.call import Call, Direction, Party
from agent.model.purpose import ArtifactKind, Condition, KeepFrom, Purpose, Trigger
from agent.policy.decide import decide, share

KEY = bytes(range(32))
CALL = Call(
    "0" * 32,
    "session-1",
    "siprec",
    "sbc",
    0,
    Direction.INBOUND,
    (Party("a", "2001"), Party("b", "0612345678")),
    queue="sales-fr",
    did="0800123456",
)


def purpose(trigger: Trigger = Trigger.ALL, **fields: object) -> Purpose:
    base = Purpose("training", trigger, (ArtifactKind.AUDIO,), ("age1x",), None)
    return replace(base, **fields)


def test_s10_twenty_percent_of_a_thousand_calls_within_the_binomial_bound_and_the_same_when_replayed():
    twenty = purpose(Trigger.PERCENT, percent=20.0)
    calls = [replace(CALL, reference=f"session-{n}") for n in range(1000)]
    first = [decide(call, [twenty], KEY)[0] for call in calls]
    kept = sum(d.applies for d in first)
    bound = 4 * math.sqrt(1000 * 0.2 * 0.8)
    assert abs(kept - 200) <= bound
    replayed = [decide(replace(call, call_id="f" * 32, started_ns=99), [twenty], KEY)[0] for call in calls]
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
    small = decide(call, [purpose(Trigger.PERCENT, percent=percent / 2)], KEY)[0].applies
    large = decide(call, [purpose(Trigger.PERCENT, percent=percent)], KEY)[0].applies
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
        decision = decide(CALL, [purpose(when=when)], KEY)[0]
        assert not decision.applies
        assert decision.rule == f"condition not met: {name}"
    met = Condition((Direction.INBOUND,), ("06*",), ("07*",), ("sales*",), ("0800*",))
    assert decide(CALL, [purpose(when=met)], KEY)[0].applies


def test_a_queue_condition_is_not_met_by_a_call_without_queue():
    assert not decide(replace(CALL, queue=None), [purpose(when=Condition(queue=("*",)))], KEY)[0].applies


def test_rules_never_carry_a_number():
    for trigger in Trigger:
        rule = decide(CALL, [purpose(trigger, keep_from=KeepFrom.PRESS)], KEY)[0].rule
        assert "0612345678" not in rule and "2001" not in rule
