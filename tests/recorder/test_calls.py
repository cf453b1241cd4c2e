"""Calls of a passive tap: whose packets they are when addresses change hands."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from packets import Packet, block_of, rtp

from agent.capture.writer import LogWriter
from agent.config import Settings
from agent.media.endpoint import key
from agent.model.call import Call, Codec, MediaStream, Party
from agent.model.events import CallChanged, CallEnded, CallStarted
from agent.model.gate import GateCommand, GateMark, GateState, GateVerb
from agent.model.media import StreamCounts
from agent.model.purpose import ArtifactKind, Decision, Purpose, Trigger
from agent.policy.lists import PROTECTED_RULE
from agent.recorder.calls import Calls
from agent.recorder.streams import added_up

MS = 1_000_000
PHONE, PBX, OTHER = ("10.0.0.5", 4000), ("10.0.0.1", 6000), ("10.0.0.7", 4400)
PURPOSE = Purpose("evidence", Trigger.ALL, (ArtifactKind.AUDIO,), ("age1x",), None)
DECISIONS = (Decision("evidence", True, Trigger.ALL, "all"),)


@pytest.fixture
def calls(tmp_path: Path) -> Iterator[Calls]:
    writer = LogWriter(tmp_path, 1 << 20, time.time_ns)
    yield Calls(Settings(), (PURPOSE,), writer, 16)
    writer.close()


def call_of(call_id: str, *ends: tuple[tuple[str, int], tuple[str, int], bool]) -> Call:
    streams = tuple(
        MediaStream(n, f"p{n}", n, f"p{n}", Codec.PCMA, 8, to[1], active, to[0], come_from[0], come_from[1])
        for n, (to, come_from, active) in enumerate(ends)
    )
    return Call(call_id * 32, "ref", "span", "gw", 0, streams=streams)


def changed(call: Call) -> CallChanged:
    return CallChanged(call.call_id, 0, (), call.streams)


def test_a_call_hears_nothing_more_at_an_address_it_has_left(calls: Calls) -> None:
    def send(first: int, value: int, at_ms: int) -> None:
        packets = [
            Packet(rtp(first + n, (first + n) * 160, bytes([value]) * 160), at_ms=at_ms + 20 * n) for n in range(10)
        ]
        block = block_of([replace(p, port=key(*PHONE), source=key(*PBX)) for p in packets])
        calls.process(block)

    one = call_of("a", (PHONE, PBX, True), (PBX, PHONE, True))
    live = calls.started(CallStarted(one), DECISIONS, 0)
    send(0, 1, 20)
    moved = call_of("a", (PHONE, PBX, False), (PBX, OTHER, True), (OTHER, PBX, True))
    calls.changed(changed(moved), 0)
    send(10, 2, 220)
    assert calls.engine.stray == 10 and set(live.streams) == {key(*PBX), key(*OTHER)}
    back = call_of("a", (PHONE, PBX, True), (PBX, PHONE, True))
    calls.changed(changed(back), 0)
    send(20, 3, 420)
    calls.flush(10_000 * MS)
    held = [int(v) for chunk in live.gate._held.sound._streams[0] for v in set(chunk.payload.tolist()) - {0xD5}]
    assert sorted(set(held)) == [1, 3], "what came while it was somebody else's is not in it; its own goes on"


def test_an_address_a_call_has_left_may_be_the_next_calls(calls: Calls) -> None:
    calls.started(CallStarted(call_of("a", (PHONE, PBX, True))), DECISIONS, 0)
    calls.changed(changed(call_of("a", (PHONE, PBX, False))), 0)
    live = calls.started(CallStarted(call_of("b", (PHONE, PBX, True))), DECISIONS, 0)
    assert set(live.streams) == {key(*PHONE)}


def test_a_session_set_up_anew_is_paused_by_people_and_not_by_how_the_old_one_stood(calls: Calls) -> None:
    """Whether the gateway sends, the new session says: a stop of the old one would last for ever."""
    one = call_of("a", (PHONE, PBX, True))
    calls.started(CallStarted(one), DECISIONS, 0)
    stop = GateCommand("a" * 32, GateVerb.PAUSE, "gateway:gw", cause="siprec", reaches_back=False)
    calls.command(stop, 10 * MS, 0)
    calls.command(GateCommand("a" * 32, GateVerb.PAUSE, "agent:2001"), 20 * MS, 0)
    calls.ended(CallEnded("a" * 32, 0, "expired"), 30 * MS)
    again = calls.started(CallStarted(call_of("b", (PHONE, PBX, True))), DECISIONS, 40 * MS)
    assert {name: [c.name for c in held] for name, held in again.gate.causes.items()} == {"evidence": ["agent"]}
    calls.command(GateCommand("b" * 32, GateVerb.RESUME, "agent:2001"), 50 * MS, 0)
    calls.command(replace(stop, call_id="b" * 32), 60 * MS, 0)
    calls.ended(CallEnded("b" * 32, 0, "expired"), 70 * MS)
    third = calls.started(CallStarted(call_of("c", (PHONE, PBX, True))), DECISIONS, 80 * MS)
    assert third.gate.states == {"evidence": GateState.RECORDING}


def test_nothing_is_seen_of_a_listed_party_from_its_joining_on_though_it_is_named_late(tmp_path: Path) -> None:
    forbidden = Decision("evidence", False, Trigger.ALL, PROTECTED_RULE)
    writer = LogWriter(tmp_path, 1 << 20, time.time_ns)
    calls = Calls(
        Settings(),
        (PURPOSE,),
        writer,
        16,
        decide_again=lambda call, before, _: (forbidden,) if call.parties[1].number == "2009" else before,
    )
    there = Party("b", "", joined_ns=0)
    one = replace(call_of("a", (PHONE, PBX, True)), parties=(Party("a", "2001", joined_ns=0), there))
    live = calls.started(CallStarted(one), DECISIONS, 0)
    seen: list[GateMark] = []
    live.gate._turning._sink = SimpleNamespace(mark=seen.append)
    named = replace(changed(one), parties=(one.parties[0], replace(there, number="2009")))
    calls.changed(named, 60_000 * MS)
    assert [(m.verb, m.since_samples) for m in seen] == [("exclude", 0)]
    writer.close()


def test_the_counts_of_all_times_are_one() -> None:
    parts = [(0, StreamCounts(received=3, lost=1, ssrcs=(7,), formats=("PCMA",), jitter_max_ms=5.0))]
    parts += [
        (1, StreamCounts(received=9)),
        (0, StreamCounts(received=4, ssrcs=(8,), formats=("PCMA", "GSM"), jitter_ms=2.0)),
    ]
    assert added_up(parts) == (
        (0, StreamCounts(7, 1, jumps=1, ssrcs=(7, 8), formats=("PCMA", "GSM"), jitter_ms=2.0, jitter_max_ms=5.0)),
        (1, StreamCounts(received=9)),
    )


def test_what_is_overheard_takes_no_room_from_calls_that_are_sent_to_us(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path, 1 << 20, time.time_ns)
    calls = Calls(Settings(), (PURPOSE,), writer, 4, most_overheard=2)
    other = ("10.0.0.9", 5000)
    calls.started(CallStarted(call_of("a", (PHONE, PBX, True), (PBX, PHONE, True))), DECISIONS, 0)
    refused = calls.started(CallStarted(call_of("b", (OTHER, other, True), (other, OTHER, True))), DECISIONS, 0)
    assert not refused.streams
    calls.ended(CallEnded("b" * 32, 0, "bye"), 0)
    sent = replace(call_of("c", (OTHER, other, True), (other, OTHER, True)), tap="siprec")
    assert len(calls.started(CallStarted(sent), DECISIONS, 0).streams) == 2
    calls.changed(changed(call_of("a", (PHONE, PBX, False), (PBX, PHONE, True))), 0)
    calls.ended(CallEnded("a" * 32, 0, "bye"), 0)
    again = calls.started(CallStarted(call_of("d", (PHONE, PBX, True), (PBX, PHONE, True))), DECISIONS, 0)
    assert len(again.streams) == 2
    writer.close()


def test_a_press_while_another_call_begins_anew_takes_none_of_its_sound(calls: Calls) -> None:
    """What a stream said before it was restarted is ready to be fed when presses are obeyed, before all is."""
    one = calls.started(CallStarted(call_of("a", (PHONE, PBX, True))), DECISIONS, 0)
    other = calls.started(CallStarted(call_of("b", (OTHER, PBX, True))), DECISIONS, 0)
    packets = [Packet(rtp(n, n * 160, bytes([7]) * 160, ssrc=1), at_ms=20 + 20 * n) for n in range(10)]
    packets += [Packet(rtp(n, n * 160, bytes([8]) * 160, ssrc=2), at_ms=220 + 20 * n) for n in range(10)]
    calls.process(block_of([replace(p, port=key(*PHONE), source=key(*PBX)) for p in packets]))
    calls.command(GateCommand(other.call.call_id, GateVerb.KEEP, "agent:1"), 420 * MS, 0)
    calls.flush(420 * MS)
    assert other.gate.held_samples == 0, "not a sample of it in the other call"
    held = {int(v) for chunk in one.gate._held.sound._streams[0] for v in chunk.payload.tolist()}
    assert held == {7}, "it is in its own"


def test_a_pause_of_the_guard_that_it_does_not_take_back_ends_by_itself(calls: Calls) -> None:
    live = calls.started(CallStarted(call_of("a", (PHONE, PBX, True))), DECISIONS, 0)
    calls.command(
        GateCommand(live.call.call_id, GateVerb.PAUSE, "guard:speech", "digits", cause="speech"), 1000 * MS, 0
    )
    calls.command(GateCommand(live.call.call_id, GateVerb.PAUSE, "agent:1", "", cause="agent"), 2000 * MS, 0)
    names = lambda: {cause.name for held in live.gate.causes.values() for cause in held}  # noqa: E731
    calls.care(15_000 * MS, 0, all_calls=True)
    assert names() == {"speech", "agent"}
    calls.care(17_000 * MS, 0, all_calls=True)
    assert names() == {"agent"}, "the agent's own lasts"
