"""The gate by example: what a press removes, what stays, who is warned, and what a restart remembers."""

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest

from agent.capture.gate import LEEWAY_SAMPLES, CallGate
from agent.model.call import Codec
from agent.model.gate import GateCommand, GateMark, GateState, GateVerb
from agent.model.media import KeyPress, StreamChunk
from agent.model.purpose import Decision
from agent.policy.lists import PROTECTED_RULE
from agent.policy.permit import recorded_spans

CALL = "00112233445566778899aabbccddeeff"
HOLDBACK, LIMIT, WARN = 300, 5000, 4000
PAUSE, RESUME, KEEP = GateVerb.PAUSE, GateVerb.RESUME, GateVerb.KEEP


def press(verb: GateVerb, name: str | None = None) -> GateCommand:
    return GateCommand(CALL, verb, "agent:2001", "card", name)


@pytest.fixture
def make(purposes, memory, decide):
    """`make("training", …)` → (gate opened at 0, its sink)."""

    def build(*names: str):
        sink = memory()
        gate = CallGate(CALL, [purposes[n] for n in names], sink, HOLDBACK, LIMIT, WARN)
        gate.decide(decide(*names), 0, 7)
        return gate, sink

    return build


def test_a_late_press_removes_the_holdback_and_not_a_sample_more(make, media, purposes) -> None:
    gate, sink = make("training")
    gate.feed(media(0, 1000))
    gate.release(950)
    assert sink.samples() == list(range(650))
    answer = gate.command(press(PAUSE), 1000, 8)
    assert answer.since_samples == 700 and answer.changed == ("training",)
    assert gate.held_samples == 50
    gate.feed(media(1000, 1500))
    gate.release(1500)
    assert gate.held_samples == 0 and sink.samples() == list(range(700))
    assert gate.command(press(RESUME), 1600, 9).since_samples == 1600
    gate.feed(media(1500, 2000))
    gate.end(2000, 10)
    wanted = list(range(700)) + list(range(1600, 2000))
    assert sink.samples() == wanted
    spans = recorded_spans(sink.marks, purposes["training"], 2000)
    assert [p for a, b in spans for p in range(a, b)] == wanted


def test_a_session_that_is_stopped_loses_nothing_of_either_side(make, media, purposes) -> None:
    """What came before the stop may lie ahead of the clock, and the first packet of after a little before its end."""
    gate, sink = make("training")
    stop = replace(press(PAUSE), cause="siprec", reaches_back=False)
    gate.feed(media(0, 4000))
    assert gate.command(stop, 3900, 8, 4000).since_samples == 4000
    gate.feed(media(4000, 5100))  # said although it is stopped
    resumed = gate.command(replace(stop, verb=RESUME), 6000, 9, 5100).since_samples
    assert resumed == 6000 - LEEWAY_SAMPLES
    gate.feed(media(5900, 6500))
    gate.end(7000, 10)
    assert sink.samples() == [*range(4000), *range(5900, 6500)]


def test_a_stop_for_a_moment_opens_nothing_twice(make, media) -> None:
    gate, sink = make("training")
    stop = replace(press(PAUSE), cause="siprec", reaches_back=False)
    gate.feed(media(0, 4000))
    gate.command(stop, 4000, 8, 4000)
    gate.command(replace(stop, verb=RESUME), 4010, 9, 4000)
    gate.feed(media(4000, 6000))
    gate.end(6000, 10)
    assert sink.samples() == list(range(6000))


def test_the_press_cannot_reach_behind_what_was_released_or_resumed(make, media) -> None:
    gate, sink = make("training")
    gate.feed(media(0, 1000))
    gate.release(1000)
    assert gate.command(press(PAUSE), 900, 8).since_samples == 700, "a clock that goes back stands still"
    gate.command(press(RESUME), 1200, 9)
    assert gate.command(press(PAUSE), 1210, 10).since_samples == 1200
    gate.end(1300, 11)
    assert sink.samples() == list(range(700))


def test_late_packets_of_a_pause_are_discarded_even_after_resume(make, media) -> None:
    gate, sink = make("training")
    gate.command(press(PAUSE), 1000, 8)
    gate.command(press(RESUME), 2000, 9)
    gate.feed(media(500, 2100))
    gate.end(2100, 10)
    assert sink.samples() == list(range(500, 700)) + list(range(2000, 2100))


def test_one_purpose_pauses_while_another_records(make, media, purposes) -> None:
    gate, sink = make("training", "analytics")
    gate.feed(media(0, 1000))
    assert gate.command(press(PAUSE, "training"), 1000, 8).since_samples == 700
    gate.feed(media(1000, 2000))
    gate.end(2000, 9)
    assert sink.samples() == list(range(2000))
    assert recorded_spans(sink.marks, purposes["training"], 2000) == ((0, 700),)
    assert recorded_spans(sink.marks, purposes["analytics"], 2000) == ((0, 2000),)


@pytest.mark.parametrize(("name", "first"), [("evidence", 0), ("contract", 1000)])
def test_keep_from_the_start_and_from_the_press(make, media, purposes, name: str, first: int) -> None:
    gate, sink = make(name)
    gate.feed(media(0, 900))
    assert gate.command(press(KEEP), 1000, 8).since_samples == 1000
    gate.feed(media(900, 2000))
    gate.end(2000, 9)
    assert sink.samples() == list(range(first, 2000))
    assert recorded_spans(sink.marks, purposes[name], 2000) == ((first, 2000),)


def test_pause_soon_after_keep_still_removes_what_was_said_before(make, media, purposes) -> None:
    gate, sink = make("evidence")
    gate.feed(media(0, 1000))
    gate.command(press(KEEP), 950, 8)
    assert gate.command(press(PAUSE), 1000, 9).since_samples == 700
    gate.end(1000, 10)
    assert sink.samples() == list(range(700))
    assert recorded_spans(sink.marks, purposes["evidence"], 1000) == ((0, 700),)


@pytest.mark.parametrize("names", [(), ("assistance",)])
def test_nothing_is_held_when_no_purpose_will_ever_write(make, media, names: tuple[str, ...]) -> None:
    gate, sink = make(*names)
    gate.feed(media(0, 1000))
    assert gate.held_samples == 0
    gate.end(1000, 9)
    assert sink.chunks == []


def test_a_forgotten_pause_is_warned_about_once_and_ends_at_the_limit(make, media) -> None:
    gate, sink = make("training", "evidence")
    gate.command(press(PAUSE), 1000, 8)
    assert gate.tick(4999, 9) == []
    assert [(a.kind, a.purpose, a.actor) for a in gate.tick(5000, 9)] == [
        ("warn", "training", "agent:2001"),
        ("warn", "evidence", "agent:2001"),
    ]
    assert gate.tick(5999, 9) == []
    assert [(a.kind, a.paused_samples) for a in gate.tick(6000, 9)] == [("limit", 5000)] * 2
    assert gate.states == {"training": GateState.RECORDING, "evidence": GateState.ARMED}
    assert [(m.verb, m.since_samples) for m in sink.marks[-2:]] == [("limit", 6000)] * 2
    gate.feed(media(5900, 6100))
    gate.end(6100, 10)
    assert sink.samples() == list(range(6000, 6100))


def test_it_tells_since_when_each_pause_holds_and_when_its_limit_ends_it(make) -> None:
    gate, _ = make("training", "evidence")
    assert gate.paused_since == gate.resumes_at == {}
    gate.command(press(PAUSE, "training"), 1000, 8)
    gate.command(press(PAUSE), 2000, 8)
    assert gate.paused_since == {"training": 700, "evidence": 1700}
    assert gate.resumes_at == {"training": 2000 + LIMIT, "evidence": 2000 + LIMIT}
    gate.command(replace(press(PAUSE, "evidence"), cause="siprec"), 2500, 8)
    assert gate.resumes_at == {"training": 2000 + LIMIT}, "the gateway takes back its own pause"
    gate.tick(2000 + LIMIT, 9)
    assert list(gate.paused_since) == ["evidence"] and gate.resumes_at == {}


def test_a_limit_of_zero_is_no_limit(purposes, memory, decide) -> None:
    gate = CallGate(CALL, [purposes["training"]], memory(), HOLDBACK, 0, WARN)
    gate.decide(decide("training"), 0, 7)
    gate.command(press(PAUSE), 1000, 8)
    assert gate.tick(10**9, 9) == [] and gate.states["training"] is GateState.PAUSED and gate.resumes_at == {}


def test_paused_stays_paused_over_a_restart_and_its_clock_goes_on(make, media, purposes, memory) -> None:
    gate, _ = make("training", "contract")
    gate.feed(media(0, 1000))
    gate.release(1000)
    gate.command(press(PAUSE), 1000, 8)
    gate.tick(5100, 8)
    sink = memory()
    again = CallGate.restore(gate.snapshot(), list(purposes.values()), sink, HOLDBACK, LIMIT, WARN)
    assert again.call_id == CALL
    assert again.states["training"] is GateState.PAUSED and again.states["contract"] is GateState.ARMED_PAUSED
    assert again.states["evidence"] is GateState.IDLE
    again.feed(media(600, 5500))
    again.release(5500)
    assert sink.samples() == list(range(600, 700)), "late, but of before the pause"
    assert again.tick(5999, 9) == [], "warned already"
    assert [a.kind for a in again.tick(6000, 9)] == ["limit", "limit"]
    again.feed(media(5500, 6500))
    again.end(6500, 10)
    assert sink.samples() == list(range(600, 700)) + list(range(6000, 6500))


@pytest.mark.parametrize("bytes_", [b"", b"{}", b"[1]", b'{"call_id": 1}'])
def test_a_foreign_snapshot_is_refused(bytes_: bytes, memory) -> None:
    with pytest.raises(ValueError):
        CallGate.restore(bytes_, [], memory(), HOLDBACK, LIMIT, WARN)


def test_what_a_pause_removes_leaves_memory_though_its_chunk_stays_in_part(make) -> None:
    gate, sink = make("training")
    base = (np.arange(1000) % 251).astype(np.uint8)
    gone = weakref.ref(base)
    gate.feed(StreamChunk(CALL, 0, Codec.PCMA, 0, base))
    gate.command(press(PAUSE), 1000, 8)
    del base
    gc.collect()
    assert gone() is None and gate.held_samples == 700
    gate.end(1000, 9)
    assert sink.samples() == list(range(700))


def test_lost_samples_are_shared_out_and_add_up(make, media) -> None:
    gate, sink = make("training")
    gate.feed(media(0, 1000, lost=333))
    for now in range(310, 1300, 77):
        gate.release(now)
    gate.end(1300, 9)
    assert len(sink.chunks) > 5 and sum(c.lost_samples for c in sink.chunks) == 333


def test_an_unknown_purpose_is_refused(make) -> None:
    with pytest.raises(ValueError, match="not configured"):
        make("training")[0].command(press(PAUSE, "nobody"), 1, 1)


def test_a_second_press_changes_nothing_and_says_since_when(make) -> None:
    gate, sink = make("training")
    gate.command(press(PAUSE), 1000, 8)
    count = len(sink.marks)
    answer = gate.command(press(PAUSE), 2000, 9)
    assert (answer.changed, answer.since_samples, len(sink.marks)) == ((), 700, count)


def test_media_ahead_of_the_clock_survives_to_the_end_of_the_call(make, media, purposes) -> None:
    gate, sink = make("training")
    gate.feed(media(0, 1100))
    gate.end(1000, 9)
    assert sink.samples() == list(range(1100))
    assert recorded_spans(sink.marks, purposes["training"], 1100) == ((0, 1100),)


def test_what_waited_before_a_pause_is_heard_as_well_once_it_is_agreed_to(purposes, memory, decide, media) -> None:
    sink = memory()
    gate = CallGate(CALL, [purposes["asked"]], sink, 30, LIMIT, WARN, 1000)
    gate.decide(decide("asked", waits=True), 0, 0)
    gate.feed(media(0, 100))
    gate.command(press(PAUSE), 100, 1, 100)
    gate.feed(media(100, 200))
    gate.command(press(RESUME), 200, 1, 200)
    gate.feed(media(200, 300))
    gate.release(300)
    gate.decide(decide("asked"), 300, 2, 300)
    gate.end(300, 3)
    spans = recorded_spans(sink.marks, purposes["asked"], 300)
    assert spans == ((0, 70), (200, 300))
    assert sink.samples() == [p for a, b in spans for p in range(a, b)]


@pytest.mark.parametrize("shut", ["paused", "unasked"])
def test_a_keep_opens_nothing_that_a_sender_ahead_of_the_clock_said_while_it_was_shut(
    purposes, memory, decide, media, shut
) -> None:
    sink, contract = memory(), replace(purposes["contract"], consent=shut == "unasked")
    gate = CallGate(CALL, [contract], sink, 30, LIMIT, WARN, 1000)
    gate.decide([replace(d, waits=contract.consent, applies=not contract.consent) for d in decide("contract")], 0, 0)
    gate.command(press(PAUSE), 100, 1, 100)
    gate.feed(media(100, 300))
    gate.command(press(RESUME), 200, 1, 300)
    gate.decide(decide("contract"), 200, 1, 300)
    assert gate.command(press(KEEP), 210, 1, 300).states == {"contract": GateState.RECORDING}
    gate.feed(media(300, 400))
    gate.end(400, 2)
    assert sink.samples() == list(range(300, 400))
    assert recorded_spans(sink.marks, contract, 400) == ((300, 400),)


@pytest.mark.parametrize("verb", [KEEP, GateVerb.DROP])
def test_what_was_said_ahead_of_the_clock_before_a_stop_is_not_lost_by_a_press_after_it(
    purposes, memory, decide, media, verb
) -> None:
    sink, binding = memory(), purposes["binding"]
    gate = CallGate(CALL, [binding], sink, 30, LIMIT, WARN)
    gate.decide(decide("binding"), 0, 0)
    if verb is GateVerb.DROP:
        gate.command(press(KEEP), 0, 0)
    gate.feed(media(0, 300))
    gate.command(GateCommand(CALL, PAUSE, "gateway:pbx", cause="siprec", reaches_back=False), 200, 1, 300)
    gate.command(press(verb), 210, 1, 300)
    gate.end(400, 2)
    assert sink.samples() == list(range(300))
    assert recorded_spans(sink.marks, binding, 400) == ((0, 300),)


def test_a_listed_party_that_is_named_late_was_there_before_all_the_same(make, media, decide, purposes) -> None:
    gate, sink = make("training", "analytics")
    gate.feed(media(0, 5000))
    gate.release(5000)
    (forbidden,) = (replace(d, rule=PROTECTED_RULE) for d in decide("training", applies=False))
    gate.decide([forbidden, *decide("analytics", applies=False)], 5000, 1, 5000, 1000)
    gate.end(6000, 2)
    assert recorded_spans(sink.marks, purposes["training"], 6000) == ((0, 1000),)
    assert recorded_spans(sink.marks, purposes["analytics"], 6000) == ((0, 4700),), "excluded for another reason"


def test_a_gateway_that_goes_on_gives_nothing_back_of_an_agents_pause(make, media, purposes) -> None:
    gate, sink = make("training")
    stop = GateCommand(CALL, PAUSE, "gateway:pbx", cause="siprec", reaches_back=False)
    gate.command(stop, 1000, 1, 1000)
    gate.command(press(PAUSE), 1500, 1, 1000)
    gate.command(press(RESUME), 2000, 1, 1000)
    on = gate.command(replace(stop, verb=RESUME), 2000 + LEEWAY_SAMPLES // 2, 1, 1000)
    assert on.since_samples == 2000, "the answer is what holds"
    gate.feed(media(1900, 2500))
    gate.end(2500, 2)
    assert [p for p in sink.samples() if p >= 1000] == list(range(2000, 2500))


def test_after_the_end_nothing_is_taken(make, media) -> None:
    gate, sink = make("training")
    gate.end(100, 9)
    gate.feed(media(0, 50))
    gate.release(10_000)
    assert gate.command(press(RESUME), 200, 10).changed == () and sink.chunks == []
    assert gate.states == {"training": GateState.ENDED}


class _Keys:
    """A sink that remembers keys."""

    def __init__(self) -> None:
        self.keys: list[KeyPress] = []

    def media(self, chunk: StreamChunk) -> None: ...

    def mark(self, mark: GateMark) -> None: ...

    def key(self, key: KeyPress) -> None:
        self.keys.append(key)


def test_keys_are_written_for_purposes_that_keep_them_and_never_of_a_pause(purposes, decide) -> None:
    sink, keeping = _Keys(), replace(purposes["training"], keys=True)
    gate = CallGate(CALL, [keeping, purposes["evidence"]], sink, 24000, 0, 0)
    gate.decide(decide("training", "evidence"), 0, 0)
    pressed = [KeyPress(CALL, 0, n, n * 8000) for n in range(8)]
    for n, key in enumerate(pressed):
        gate.press(key)
        gate.release(n * 8000 + 100)
        if n == 5:
            gate.command(GateCommand(CALL, GateVerb.PAUSE, "agent:2001", purpose="training"), 5 * 8000 + 100, 0)
    gate.end(64000, 0)
    assert [key.event for key in sink.keys] == [0, 1, 2], "three seconds before the press, and all after it, are gone"


def test_keys_of_a_pause_leave_memory_with_its_sound(purposes, decide) -> None:
    keeping = replace(purposes["training"], keys=True)
    gate = CallGate(CALL, [keeping, purposes["evidence"]], _Keys(), 24000, 0, 0)
    gate.decide(decide("training", "evidence"), 0, 0)
    for second in (1, 4, 9):
        gate.press(KeyPress(CALL, 0, second, second * 8000))
    gate.command(GateCommand(CALL, GateVerb.PAUSE, "agent:2001", purpose="training"), 40_000, 0)
    assert [key.event for key in gate._held.keys] == [1, 9], (
        "of before the look-back, and what the clock has not reached"
    )
    gate.release(80_000)
    assert gate._held.keys == []


def test_keys_wait_for_consent_with_the_sound_and_no_longer_and_none_of_a_pause(purposes) -> None:
    sink, asked = _Keys(), replace(purposes["asked"], keys=True)
    gate = CallGate(CALL, [asked], sink, 8000, 0, 0, wait_samples=80_000)
    waits = Decision("asked", False, asked.trigger, "waits for consent", waits=True)
    gate.decide([waits], 0, 0)
    for second in range(20):
        gate.press(KeyPress(CALL, 0, second % 16, second * 8000))
        gate.release(second * 8000 + 100)
        if second in (15, 17):
            verb = GateVerb.PAUSE if second == 15 else GateVerb.RESUME
            gate.command(GateCommand(CALL, verb, "agent:2001"), second * 8000 + 100, 0)
    assert sink.keys == [], "nothing before it is agreed to"
    gate.decide([replace(waits, applies=True, waits=False)], 19 * 8000 + 100, 0)
    gate.release(25 * 8000)
    gate.end(26 * 8000, 0)
    assert [key.position_samples // 8000 for key in sink.keys] == [10, 11, 12, 13, 14, 18, 19]
    assert gate._held.keys == []


def test_without_consent_keys_that_waited_leave_memory(purposes) -> None:
    asked = replace(purposes["asked"], keys=True)
    gate = CallGate(CALL, [asked], _Keys(), 8000, 0, 0)
    gate.decide([Decision("asked", False, asked.trigger, "waits for consent", waits=True)], 0, 0)
    gate.press(KeyPress(CALL, 0, 1, 8000))
    gate.release(40_000)
    assert len(gate._held.keys) == 1
    gate.decide([Decision("asked", False, asked.trigger, "consent refused")], 40_000, 0)
    assert gate._held.keys == []


def test_keys_are_not_even_held_where_nobody_keeps_them(purposes, decide) -> None:
    sink = _Keys()
    gate = CallGate(CALL, [purposes["training"]], sink, 0, 0, 0)
    gate.decide(decide("training"), 0, 0)
    gate.press(KeyPress(CALL, 0, 1, 0))
    gate.end(8000, 0)
    assert sink.keys == []
