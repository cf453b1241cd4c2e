"""What is said of a live call, and what becomes of its gate: consent, lists and queues, sessions set up anew."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from line import AUDIO, CALL, Line, line

from agent.model.call import Call, Consent
from agent.model.context import ContextNote
from agent.model.events import CallEnded, CallStarted
from agent.model.gate import GateAnswer, GateCommand, GateState, GateVerb
from agent.model.purpose import Condition, Purpose, Stratify, Trigger
from agent.policy.decide import Policy

TRAINING = Purpose("training", Trigger.ALL, AUDIO, ("age1x",), None)
ASKED = Purpose("asked", Trigger.ALL, AUDIO, ("age1x",), None, consent=True)
SALES = Purpose("sales", Trigger.ALL, AUDIO, ("age1x",), None, when=Condition(queue=("sales*",)))
CONTRACT = Purpose("contract", Trigger.ALL, AUDIO, ("age1x",), None, basis="contract", withdrawable=False)
TALK = (True, True)


class Said(Line):
    """A call of which something is said."""

    def say(self, **said: object) -> GateAnswer:
        return self.calls.said(ContextNote(CALL, "agent:1", "api", **said), self.ms * 1_000_000, 0)

    def talk(self, seconds: float) -> None:
        for _ in range(round(seconds * 50)):
            self.go_on(0.0, TALK)


@contextmanager
def said(tmp_path, *purposes: Purpose) -> Iterator[Said]:
    call = Said(tmp_path, purposes, 1, policy=Policy(purposes, b"k" * 16))
    call.calls.use_key(call.key)
    yield call


def seconds_of(written: dict[tuple[int, int], int]) -> tuple[float, float]:
    """First and last second of what was written."""
    places = sorted(place for _, place in written)
    return places[0] / 8000, (places[-1] + 1) / 8000


def test_nothing_is_written_before_consent_and_all_of_it_after(tmp_path) -> None:
    with said(tmp_path, ASKED) as call:
        assert call.live.gate.states == {"asked": GateState.WAITING}
        call.talk(8)
        appended = call.writer.appended
        call.talk(4)
        assert call.writer.appended == appended, "it waits in RAM alone"
        answer = call.say(consent=Consent.GIVEN)
        assert answer.states == {"asked": GateState.RECORDING}
        call.talk(1)
        permitted, written = call.end()
    assert {place for _, place in written} <= permitted
    assert seconds_of(written) == (0.0, 13.0) and len(written) == 2 * 13 * 8000


@pytest.mark.parametrize("consent", [Consent.REFUSED, None])
def test_without_consent_nothing_is_ever_written(tmp_path, consent: Consent | None) -> None:
    with said(tmp_path, ASKED) as call:
        call.talk(5)
        if consent:
            assert call.say(consent=consent).states == {"asked": GateState.IDLE}
        call.talk(5)
        assert call.end()[1] == {}


def test_a_pause_while_it_waits_for_consent_stays_away_when_it_comes(tmp_path) -> None:
    with said(tmp_path, ASKED) as call:
        call.talk(5)
        call.press(GateVerb.PAUSE)
        call.talk(3)
        call.press(GateVerb.RESUME)
        call.talk(4)
        call.say(consent=Consent.GIVEN)
        permitted, written = call.end()
    assert {place // 8000 for _, place in written} == {0, 1, *range(8, 12)}
    assert {place for _, place in written} <= permitted


def test_consent_that_is_withdrawn_drops_what_may_be_withdrawn(tmp_path) -> None:
    with said(tmp_path, ASKED, TRAINING, CONTRACT) as call:
        call.talk(5)
        call.say(consent=Consent.GIVEN)
        call.talk(5)
        answer = call.say(consent=Consent.WITHDRAWN)
        states = {"asked": GateState.DROPPED, "training": GateState.DROPPED, "contract": GateState.RECORDING}
        assert answer.states == states
        call.talk(5)
        _, written = call.end()
    assert seconds_of(written)[1] == 15.0, "what a contract demands goes on"


def test_a_call_is_decided_on_again_when_its_queue_changes(tmp_path) -> None:
    with said(tmp_path, SALES) as call:
        call.talk(4)
        assert call.say(queue="sales-fr").states == {"sales": GateState.RECORDING}
        call.talk(4)
        assert call.say(queue="support").states == {"sales": GateState.IDLE}
        call.talk(4)
        permitted, written = call.end()
    assert {place for _, place in written} <= permitted
    assert seconds_of(written) == pytest.approx((4.0, 5.0), abs=0.05), "less the holdback before it left"


def test_tags_turn_purposes_with_conditions_on_and_off_but_no_others_no_draw_and_no_pause(tmp_path) -> None:
    vip = Purpose("vip", Trigger.ALL, AUDIO, ("age1x",), None, when=Condition(tags=("vip",)))
    public = Purpose("public", Trigger.ALL, AUDIO, ("age1x",), None, when=Condition(exclude_tags=("private",)))
    some = Purpose("some", Trigger.PERCENT, AUDIO, ("age1x",), None, percent=50.0, stratify=Stratify.QUEUE)
    with said(tmp_path, TRAINING, vip, public, some) as call:
        idle, recording, paused = GateState.IDLE, GateState.RECORDING, GateState.PAUSED

        def states() -> tuple[GateState, ...]:
            return tuple(call.live.gate.states[name] for name in ("training", "vip", "public"))

        assert states() == (recording, idle, recording)
        call.talk(5)
        drawn = call.live.decisions[-1].draw
        call.say(add_tags=("vip", "private"), queue="sales")
        assert states() == (recording, recording, idle)
        call.press(GateVerb.PAUSE)
        call.say(remove_tags=("private",))
        assert states() == (paused, paused, paused), "what is turned on while a pause holds is paused"
        call.say(remove_tags=("vip",))
        call.say(add_tags=("vip",))
        call.press(GateVerb.RESUME)
        assert states() == (recording, recording, recording)
        assert call.live.decisions[-1].draw == drawn is not None, "drawn once, whatever its queue is now"


def test_a_pause_before_there_is_anything_to_pause_holds_at_once(tmp_path) -> None:
    with said(tmp_path, SALES) as call:
        call.talk(2)
        call.press(GateVerb.PAUSE)
        call.talk(2)
        answer = call.say(queue="sales")
        assert answer.states == {"sales": GateState.PAUSED} and answer.causes == {"sales": ("agent",)}
        call.talk(2)
        call.press(GateVerb.RESUME)
        call.talk(2)
        _, written = call.end()
    assert seconds_of(written) == pytest.approx((6.0, 8.0), abs=0.05)


@pytest.mark.parametrize(("cause", "paused"), [("no-media", True), ("bye", False)])
def test_a_session_set_up_anew_is_paused_as_it_was(cause: str, paused: bool) -> None:
    with line((TRAINING,)) as call:
        call.calls.use_key(call.key)
        call.go_on(0.0, TALK)
        call.calls.command(GateCommand(CALL, GateVerb.PAUSE, "agent:1", cause="context:payment"), 10**9, 0)
        call.calls.ended(CallEnded(CALL, 0, cause), 2 * 10**9)
        anew = replace(call.live.call, call_id="cd" * 16)
        live = call.calls.started(CallStarted(anew), call.live.decisions, 3 * 10**9)
        assert live.gate.states == {"training": GateState.PAUSED if paused else GateState.RECORDING}
        other = Call("ef" * 16, "another", "span", "gw", 0)
        assert not call.calls.started(CallStarted(other), call.live.decisions, 3 * 10**9).gate.is_paused
        call.writer.close()


def test_a_session_set_up_while_the_old_one_still_lives_is_paused_too() -> None:
    with line((TRAINING,)) as call:
        call.press(GateVerb.PAUSE)
        again = replace(call.live.call, call_id="cd" * 16, streams=())
        live = call.calls.started(CallStarted(again), call.live.decisions, 10**9)
        assert live.gate.states == {"training": GateState.PAUSED}
        call.writer.close()


def test_every_byte_is_where_it_belongs_when_two_purposes_wait_and_record_in_turn(tmp_path) -> None:
    """What waited is written late: the log has its stretches out of order, and each once."""
    with said(tmp_path, ASKED, SALES) as call:
        call.talk(4)
        call.say(queue="sales")
        call.talk(4)
        call.say(queue="other")
        call.talk(6)
        call.say(consent=Consent.GIVEN)
        call.talk(2)
        permitted, written = call.end()
    assert {place for _, place in written} == permitted & {
        p for _, first in call.sent for p in range(first, first + 160)
    }
    assert seconds_of(written) == (0.0, 16.0)
