"""Where a call may be listened to live: nowhere from the press on, then from the end of the pause; what is
forgotten."""

import numpy as np
import pytest

from agent.capture.aloud import later
from agent.capture.gate import CallGate
from agent.model.call import Codec, MediaFormat
from agent.model.gate import GateCommand, GateState, GateVerb
from agent.model.media import Frames, StreamChunk
from agent.model.spans import FOREVER
from agent.policy.lists import PROTECTED_RULE

CALL = "00112233445566778899aabbccddeeff"
HOLDBACK, LIMIT, WARN = 300, 5000, 4000
PAUSE, RESUME, DROP = GateVerb.PAUSE, GateVerb.RESUME, GateVerb.DROP


def press(verb: GateVerb, name: str | None = None, cause: str = "agent", *, back: bool = True) -> GateCommand:
    return GateCommand(CALL, verb, "agent:2001", "card", name, cause, back)


@pytest.fixture
def make(purposes, memory, decide):
    """`make("training", "ears")` → gate opened at 0."""

    def build(*names: str, waits: bool = False) -> CallGate:
        gate = CallGate(CALL, [purposes[n] for n in names], memory(), HOLDBACK, LIMIT, WARN)
        gate.decide(decide(*names, waits=waits), 0, 7)
        return gate

    return build


def test_a_call_without_a_live_purpose_is_heard_by_nobody(make) -> None:
    gate = make("training", "assistance")
    assert not gate.aloud.is_wanted and gate.aloud.since == FOREVER


def test_from_the_press_on_nothing_is_heard_and_as_much_is_forgotten_as_the_others_let_go(make) -> None:
    gate = make("training", "ears")
    assert gate.aloud.is_wanted and gate.aloud.since == 0 and gate.aloud.parts(10, 20) == [(10, 20)]
    assert gate.aloud.take_forgotten() is None
    answer = gate.command(press(PAUSE), 1000, 8)
    assert answer.since_samples == 700, "what is written is what counts: a card number said at 800 is nowhere"
    assert answer.states["ears"] is GateState.PAUSED
    assert gate.aloud.parts(900, 1000) == [], "not even what was said before the press"
    assert gate.aloud.take_forgotten() == 700 and gate.aloud.take_forgotten() is None
    gate.command(press(RESUME), 2000, 9, heard_samples=2050)
    assert gate.aloud.since == 2050 and gate.aloud.parts(2000, 2100) == [(2050, 2100)]
    assert gate.aloud.take_forgotten() is None


def test_a_pause_of_others_does_not_stop_who_listens(make) -> None:
    gate = make("training", "ears")
    gate.command(press(PAUSE, "training"), 1000, 8)
    assert gate.aloud.since == 0 and gate.aloud.take_forgotten() is None
    answer = gate.command(press(PAUSE, "ears"), 1200, 8)
    assert answer.since_samples == 1200, "its own holdback is none"
    assert gate.aloud.since == FOREVER and gate.aloud.take_forgotten() == 1200


def test_a_press_for_all_takes_its_holdback_from_who_listened_on_while_the_others_were_paused(make) -> None:
    gate = make("training", "ears")
    gate.command(press(PAUSE, "training"), 1000, 8)
    assert gate.aloud.take_forgotten() is None
    answer = gate.command(press(PAUSE, cause="context:payment"), 2000, 8)
    assert answer.since_samples == 700, "nothing of training has been written since"
    assert gate.aloud.take_forgotten() == 1700, "said at 1800 is sensitive; at 1500 is not"
    gate.command(press(PAUSE, cause="siprec", back=False), 2100, 8, heard_samples=2100)
    assert gate.aloud.take_forgotten() is None, "it reaches back to nothing"


def test_a_second_cause_that_reaches_further_back_is_heard_of(make) -> None:
    gate = make("training", "ears")
    gate.command(press(PAUSE, cause="siprec", back=False), 1000, 8, heard_samples=1000)
    assert gate.aloud.take_forgotten() == 1000
    gate.command(press(PAUSE), 1100, 8)
    assert gate.aloud.take_forgotten() == 800


def test_an_own_holdback(make) -> None:
    gate = make("training", "late-ears")
    assert gate.aloud.holdback_samples == 80
    gate.command(press(PAUSE, "late-ears"), 1000, 8)
    assert gate.aloud.take_forgotten() == 920


def test_what_is_withdrawn_is_forgotten_from_the_start(make) -> None:
    gate = make("binding", "ears")
    gate.command(press(DROP), 1000, 8)
    assert gate.aloud.take_forgotten() == 0 and gate.aloud.since == FOREVER
    gate.command(press(RESUME), 1100, 8)
    assert gate.aloud.since == FOREVER


def test_a_party_on_a_list_is_forgotten_from_where_it_joined(make, decide) -> None:
    gate = make("training", "ears")
    no = [type(d)(d.purpose, False, d.trigger, PROTECTED_RULE) for d in decide("training", "ears")]
    gate.decide(no, 4000, 8, listed_samples=2000)
    assert gate.aloud.take_forgotten() == 2000 and gate.aloud.since == FOREVER


def test_nothing_is_heard_before_consent_and_nothing_of_before(make, decide) -> None:
    gate = make("agreed-ears", waits=True)
    assert gate.states["agreed-ears"] is GateState.WAITING and gate.aloud.since == FOREVER
    gate.decide(decide("agreed-ears"), 3000, 8, heard_samples=3100)
    assert gate.aloud.since == 3100


def test_a_restart_hears_on_and_a_paused_call_stays_silent(make, purposes, memory) -> None:
    gate = make("training", "ears")
    gate.release(2000)
    chosen = [purposes["training"], purposes["ears"]]
    again = CallGate.restore(gate.snapshot(), chosen, memory(), HOLDBACK, LIMIT, WARN)
    assert again.aloud.since == 2000
    gate.command(press(PAUSE), 2500, 8)
    again = CallGate.restore(gate.snapshot(), chosen, memory(), HOLDBACK, LIMIT, WARN)
    assert again.aloud.since == FOREVER


def test_the_rest_of_a_stretch() -> None:
    plain = StreamChunk(CALL, 0, Codec.PCMA, 100, np.arange(50, dtype=np.uint8))
    assert later(plain, 90) is plain and later(plain, 150) is None
    rest = later(plain, 120)
    assert rest is not None and rest.position_samples == 120 and rest.payload.tolist() == list(range(20, 50))
    begin, lasts, size = (np.array(column, np.int64) for column in ([0, 20, 38], [20, 20, 12], [1, 2, 3]))
    frames = Frames(MediaFormat(96, Codec.OPUS, 48000), 50, begin, lasts, size)
    packets = StreamChunk(CALL, 0, Codec.OPUS, 100, np.arange(6, dtype=np.uint8), 0, frames)
    rest = later(packets, 140)
    assert rest is not None and rest.frames is not None and rest.payload.tolist() == [3, 4, 5], "the second is over"
    assert (rest.frames.begin.tolist(), rest.frames.duration.tolist(), rest.samples) == ([0], [10], 10)
