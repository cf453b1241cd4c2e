"""The gate under every order of media, time and presses that hypothesis finds, against the marks it leaves.

Marks and samples must agree both ways: nothing outside what some purpose may write is given (I1), and everything inside
is given exactly once (I4).
"""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from marks import written_by

from agent.capture.gate import LEEWAY_SAMPLES, CallGate
from agent.model.gate import GateCommand, GateState, GateVerb
from agent.model.purpose import KeepFrom, Trigger
from agent.model.spans import FOREVER
from agent.policy.gate import writes
from agent.policy.permit import recorded_spans

CALL = "00112233445566778899aabbccddeeff"
HOLDBACK, LIMIT, WARN, WAIT = 30, 200, 150, 100
LONGEST = 55
CAUSES = ("agent", "context:payment", "siprec")
BLOCK = 10
SHUT = (GateState.IDLE, GateState.DROPPED)
STREAMS = 2


@pytest.fixture
def machine(purposes, memory, decide, media) -> type[RuleBasedStateMachine]:
    class Sequences(RuleBasedStateMachine):
        @initialize(names=st.sets(st.sampled_from(sorted(purposes)), min_size=1))
        def begin(self, names: set[str]) -> None:
            self.purposes = [purposes[n] for n in sorted(names)]
            self.sink = memory()
            self.gate = CallGate(CALL, self.purposes, self.sink, HOLDBACK, LIMIT, WARN, WAIT)
            self.holdback = LONGEST if "long" in names else HOLDBACK
            assert self.gate.holdback_samples == self.holdback
            self.gate.decide(decide(*sorted(names), waits=True), 0, 0)
            self.now = self.told = self.frontier = 0
            self.fed: set[tuple[int, int]] = set()
            self.lost_in_restart: set[tuple[int, int]] = set()
            self.given_before: set[tuple[int, int]] = set()
            self._remember()

        @rule(stream=st.integers(0, STREAMS - 1), back=st.integers(-3, 12), blocks=st.integers(1, 6))
        def feed(self, stream: int, back: int, blocks: int) -> None:
            start = max(0, self.now // BLOCK - back) * BLOCK
            end = start
            while end < start + blocks * BLOCK and (stream, end) not in self.fed:
                end += BLOCK
            if end > start:
                self.gate.feed(media(start, end, stream))
                self.fed |= {(stream, p) for p in range(start, end)}

        @rule(ahead=st.integers(-20, 60))
        def release(self, ahead: int) -> None:
            self.now += max(0, ahead)
            told = self.now + min(0, ahead)
            self.told = max(self.told, told)
            self.frontier = max(self.frontier, self.told - self.holdback)
            self.gate.release(told)
            due = {s for s in self._wanted() if s[1] < self.frontier}
            assert self._given() == due | self.given_before

        @rule(
            ahead=st.integers(0, 25),
            verb=st.sampled_from(GateVerb),
            one=st.none() | st.integers(0, 4),
            cause=st.sampled_from(CAUSES),
        )
        def press(self, ahead: int, verb: GateVerb, one: int | None, cause: str) -> None:
            self._time(ahead)
            chosen = self.purposes if one is None else [self.purposes[one % len(self.purposes)]]
            name = None if one is None else chosen[0].name
            before = dict(self.gate.states)
            command = GateCommand(CALL, verb, "agent:1", "", name, cause, reaches_back=cause != "siprec")
            if verb is GateVerb.DROP and name is not None and not chosen[0].withdrawable:
                with pytest.raises(ValueError, match="basis"):
                    self.gate.command(command, self.now, 1)
                return
            answer = self.gate.command(command, self.now, 1, self._heard())
            assert answer.states == self.gate.states
            assert set(answer.changed) == {n for n, s in answer.states.items() if before[n] is not s}
            self._remember()
            for purpose in chosen:
                state, causes = answer.states[purpose.name], answer.causes.get(purpose.name, ())
                if verb is GateVerb.PAUSE:
                    assert cause in causes and (state.is_paused or state in SHUT), "success means closed"
                if verb is GateVerb.RESUME:
                    assert cause not in causes and state.is_paused == (bool(causes) and state not in SHUT)
                if verb is GateVerb.DROP and purpose.withdrawable:
                    assert state is GateState.DROPPED
            if verb is GateVerb.PAUSE and any(p.name in answer.changed and not p.live for p in self.purposes):
                assert max(self.now - self.holdback, self.frontier) <= answer.since_samples
                assert answer.since_samples <= max([self.now, *(p + 1 for _, p in self.fed)])
            if verb is GateVerb.PAUSE and one is None:
                assert self.gate.aloud.since == FOREVER, "nobody hears it live"
            if verb is GateVerb.RESUME and not any(
                before[p.name] is GateState.RECORDING for p in self.purposes if p.live
            ):
                leeway = LEEWAY_SAMPLES if cause == "siprec" else 0
                assert self.gate.aloud.since >= self.now - leeway, "nothing of before is heard"
            if verb is GateVerb.PAUSE and not self._any_writes():
                assert all(p < answer.since_samples for _, p in self._given() if answer.changed)

        @rule(ahead=st.integers(0, 40), names=st.sets(st.sampled_from(sorted(purposes))), waits=st.booleans())
        def decided_again(self, ahead: int, names: set[str], waits: bool) -> None:
            """The customer agreed or not, a party joined or left: some purposes apply now, the others do not."""
            self._time(ahead)
            before = dict(self.gate.states)
            mine = {p.name for p in self.purposes}
            changed = self.gate.decide(
                (*decide(*sorted(mine & names), waits=waits), *decide(*sorted(mine - names), applies=False)),
                self.now,
                1,
                self._heard(),
            )
            assert set(changed) == {n for n, s in self.gate.states.items() if before[n] is not s}
            for name in mine - names:
                assert self.gate.states[name] in SHUT
            self._remember()

        @rule(ahead=st.integers(0, 120))
        def tick(self, ahead: int) -> None:
            self._time(ahead)
            before = dict(self.gate.states)
            for alert in self.gate.tick(self.now, 1, self._heard()):
                assert before[alert.purpose].is_paused
                assert self.gate.states[alert.purpose].is_paused == (alert.kind == "warn")
                assert alert.paused_samples >= (WARN if alert.kind == "warn" else LIMIT)
                self._remember()

        @rule(away=st.integers(0, 40))
        def restart(self, away: int) -> None:
            """As the recorder does it: from what was remembered at the last change, a while ago."""
            self.given_before = self._given()
            self.lost_in_restart |= self.fed - self.given_before
            states = self.gate.states
            kept, self.told, self.frontier = self.remembered
            self.gate = CallGate.restore(kept, self.purposes, self.sink, HOLDBACK, LIMIT, WARN, WAIT)
            assert self.gate.states == states and self.gate.snapshot() == kept
            self.now += away

        @invariant()
        def a_closed_gate_gives_nothing_from_its_mark_on(self) -> None:
            if not hasattr(self, "gate"):
                return
            marks = self.sink.marks
            allowed = set().union(*(written_by(marks, p, self.now + 10**4) for p in self.purposes if p.artifacts))
            assert {p for _, p in self._given()} <= allowed
            for stream in range(STREAMS):
                samples = self.sink.samples(stream)
                assert len(samples) == len(set(samples)), "given twice"

        def teardown(self) -> None:
            if not hasattr(self, "gate"):
                return
            self.gate.end(self.now, 1)
            assert self._given() >= self._wanted() - self.lost_in_restart
            assert self._given() <= self._wanted()
            assert self.gate.held_samples == 0
            for purpose in self.purposes:
                mine = [m for m in self.sink.marks if m.purpose == purpose.name]
                kept = any(m.verb == "keep" for m in mine)
                if any(m.state is GateState.DROPPED for m in mine):
                    assert recorded_spans(mine, purpose, 10**6) == ()
                elif purpose.artifacts and (kept or purpose.trigger is Trigger.ALL):
                    spans = recorded_spans(self.sink.marks, purpose, 10**6)
                    seen = {p for a, b in spans for p in range(a, b)}
                    assert seen == written_by(self.sink.marks, purpose, 10**6)
                elif purpose.artifacts and purpose.keep_from is KeepFrom.PRESS:
                    assert written_by(self.sink.marks, purpose, 10**6) == set()

        def _time(self, ahead: int) -> None:
            self.now += ahead
            self.told = max(self.told, self.now)

        def _heard(self) -> int:
            return max((p + 1 for _, p in self.fed), default=0)

        def _remember(self) -> None:
            self.remembered = (self.gate.snapshot(), self.told, self.frontier)

        def _any_writes(self) -> bool:
            return any(writes(self.gate.states[p.name], p) for p in self.purposes)

        def _given(self) -> set[tuple[int, int]]:
            return {(s, p) for s in range(STREAMS) for p in self.sink.samples(s)}

        def _wanted(self) -> set[tuple[int, int]]:
            """What was fed and some purpose may have, restarts aside."""
            allowed = set().union(
                *(written_by(self.sink.marks, p, self.now + 10**4) for p in self.purposes if p.artifacts)
            )
            lost = self.lost_in_restart - self._given()
            return {s for s in self.fed if s[1] in allowed} - lost

    return Sequences


def test_marks_and_samples_agree_in_every_order(machine) -> None:
    run_state_machine_as_test(machine, settings=settings(max_examples=120, stateful_step_count=30, deadline=None))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_marks_and_samples_agree_in_many_more_orders(machine) -> None:
    run_state_machine_as_test(machine, settings=settings(max_examples=500, stateful_step_count=50, deadline=None))
