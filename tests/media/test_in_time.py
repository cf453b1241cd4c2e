"""Positions keep to what was said when, whatever a sender does with its clock: a pause depends on it (I1)."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from agent.capture.gate import CallGate
from agent.media.engine import Engine
from agent.model.call import Codec, MediaFormat
from agent.model.gate import GateCommand, GateMark, GateVerb
from agent.model.media import KeyPress, StreamChunk
from agent.model.purpose import ArtifactKind, Decision, Purpose, Trigger

pytestmark = pytest.mark.usefixtures("either_core")

PORT, MS, HOLDBACK = 20000, 1_000_000, 24000
PCMA, EVENTS = MediaFormat(8, Codec.PCMA), MediaFormat(101, Codec.TELEPHONE_EVENT)
PURPOSE = Purpose("training", Trigger.ALL, (ArtifactKind.AUDIO,), ("age1x",), None, keys=True)
PAUSE, RESUME = (GateCommand("call", verb, "agent:2001") for verb in (GateVerb.PAUSE, GateVerb.RESUME))


class Call:
    """An engine and a gate with a look-back of 3 s; each byte sent says in which second it was spoken.

    `waits`: media waits in the buffers of the engine while the gate lets it.
    """

    def __init__(self, *formats: MediaFormat, waits: bool) -> None:
        self.waits = waits
        self.engine = Engine(max_streams=4, reorder_ms=200, flush_interval_s=1.0, look_back_s=4.0)
        self.engine.add(PORT, "call", 0, formats, 0)
        self.chunks: list[StreamChunk] = []
        self.keys: list[KeyPress] = []
        self.gate = CallGate("call", [PURPOSE], self, HOLDBACK, 0, 0)
        self.gate.decide([Decision("training", True, Trigger.ALL, "")], 0, 0)

    def media(self, chunk: StreamChunk) -> None:
        self.chunks.append(replace(chunk, payload=chunk.payload.copy()))

    def mark(self, mark: GateMark) -> None: ...

    def key(self, key: KeyPress) -> None:
        self.keys.append(key)

    def press(self, command: GateCommand, ms: int) -> None:
        for chunk in self.engine.hand_on(PORT):
            self.gate.feed(chunk)
        self.gate.command(command, ms * 8, 0, self.engine.heard_until(PORT))

    def go_on(self, ms: int) -> None:
        for key in self.engine.take_keys():
            self.gate.press(key)
        for chunk in self.engine.flush(ms * MS):
            self.gate.feed(chunk)
        self.gate.release(ms * 8)
        if self.waits:
            since, before = self.gate.passing
            for _, stream, codec, position, media, lost in self.engine.release(
                [PORT], [since], [before], ms * MS, HOLDBACK
            ):
                self.media(StreamChunk("call", stream, codec, position, media, lost))

    def written(self, ms: int) -> np.ndarray:
        for key in self.engine.take_keys():
            self.gate.press(key)
        for chunk in self.engine.finish(PORT):
            self.gate.feed(chunk)
        self.gate.end(ms * 8, 0)
        return np.concatenate([np.zeros(0, np.uint8), *(c.payload for c in self.chunks)])


@pytest.fixture(params=[False, True], ids=["fed", "waiting"])
def new_call(request: pytest.FixtureRequest) -> Callable[..., Call]:
    return partial(Call, waits=request.param)


def test_a_clock_that_stands_still_during_a_hold_moves_nothing_into_or_out_of_a_pause(
    new_call, rtp, block_of, packet
) -> None:
    call, sent = new_call(PCMA), 0
    for ms in range(20, 60_000, 20):
        if not 10_000 < ms <= 18_000:  # hold: nothing is sent for 8 s, and timestamps go on as if it had not been
            call.engine.process(block_of([packet(rtp(sent, sent * 160, bytes([ms // 1000]) * 160), at_ms=ms)]))
            sent += 1
        if ms == 30_000:
            call.press(PAUSE, ms)
        if ms == 40_000:
            call.press(RESUME, ms)
        if ms % 100 == 0:
            call.go_on(ms)
    seconds = set(call.written(60_000).tolist()) - {0xD5}
    assert not seconds & set(range(28, 40)), "what was said in the pause, or less than the look-back before it"
    assert set(range(41, 60)) | set(range(19, 27)) <= seconds, "and all else is there"
    assert call.engine.remove(PORT).jumps == 1


@pytest.mark.parametrize("talk_again_ms", [28_400, 31_000, 33_000, 34_980])
def test_a_hold_of_a_clock_that_stands_still_may_end_in_a_pause(
    new_call, rtp, block_of, packet, talk_again_ms: int
) -> None:
    """Nothing said in the pause is put before it, not even until it is told that the clock stood still."""
    call, sent = new_call(PCMA), 0
    for ms in range(20, 60_000, 20):
        if not 25_000 < ms <= talk_again_ms:
            call.engine.process(block_of([packet(rtp(sent, sent * 160, bytes([ms // 1000]) * 160), at_ms=ms)]))
            sent += 1
        if ms in (30_000, 40_000):
            call.press(PAUSE if ms == 30_000 else RESUME, ms)
        if ms % 100 == 0:
            call.go_on(ms)
    seconds = set(call.written(60_000).tolist()) - {0xD5}
    assert not seconds & set(range(30, 40)) and set(range(1, 25)) | set(range(41, 60)) <= seconds
    assert call.engine.remove(PORT).jumps == 1


def test_a_key_pressed_after_a_hold_does_not_tell_that_the_clock_went_on(new_call, rtp, block_of, packet) -> None:
    call, sent = new_call(PCMA, EVENTS), 0
    for ms in range(20, 45_000, 20):
        if not 25_000 < ms <= 33_000:
            pt, payload = (101, bytes([5, 0, 0, 160])) if ms == 33_100 else (8, bytes([ms // 1000]) * 160)
            call.engine.process(block_of([packet(rtp(sent, sent * 160, payload, pt=pt), at_ms=ms)]))
            sent += 1
        if ms == 30_000:
            call.press(PAUSE, ms)
        if ms % 100 == 0:
            call.go_on(ms)
    assert not set(call.written(45_000).tolist()) & set(range(30, 45)) and call.keys == []


def test_what_waits_is_counted_once(rtp, block_of, packet) -> None:
    call = Call(PCMA, waits=True)
    for n in range(120):
        ms, pt = 20 * (n + 1) + (5_000 if n >= 100 else 0), 77 if n == 110 else 8
        call.engine.process(block_of([packet(rtp(n, n * 160, bytes(160), pt=pt), at_ms=ms)]))
    call.engine.finish(PORT)
    counts = call.engine.remove(PORT)
    assert (counts.received, counts.foreign, counts.lost) == (119, 1, 0)


def test_a_stream_that_comes_back_and_ends_at_once_is_heard_when_it_came(rtp, block_of, packet) -> None:
    """It never told whether its clock stood still: then it did."""
    call = Call(PCMA, waits=True)
    for n in range(110):
        ms = 20 * (n + 1) + (5_000 if n >= 100 else 0)
        call.engine.process(block_of([packet(rtp(n, n * 160, bytes([n + 1]) * 160), at_ms=ms)]))
    chunks = call.engine.finish(PORT)
    assert [(c.position_samples, c.samples) for c in chunks] == [(0, 16_000), (7_000 * 8, 1600)]


def test_a_burst_after_a_stall_of_the_network_keeps_its_place(new_call, rtp, block_of, packet) -> None:
    call = new_call(PCMA)
    packets = [packet(rtp(n, n * 160, bytes([n // 50 + 1]) * 160), at_ms=20 * (n + 1)) for n in range(100)]
    packets += [
        packet(rtp(n, n * 160, bytes([n // 50 + 1]) * 160), at_ms=5020 + (n - 100) / 10) for n in range(100, 250)
    ]
    packets += [packet(rtp(n, n * 160, bytes([n // 50 + 1]) * 160), at_ms=20 * (n + 2)) for n in range(250, 400)]
    for at in range(0, 400, 10):
        call.engine.process(block_of(packets[at : at + 10]))
        call.go_on(int(packets[at].at_ms))
    written = call.written(9000)
    assert written.tolist() == np.repeat(np.arange(1, 9), 8000).tolist() and call.engine.remove(PORT).jumps == 0


@pytest.mark.parametrize("missing", [100, 900])
def test_a_press_empties_the_buffer_whatever_went_missing_before(missing: int, rtp, block_of, packet) -> None:
    call = Call(PCMA, waits=True)
    for n in range(1000):
        if n != missing:
            call.engine.process(block_of([packet(rtp(n, n * 160, b"\x11" * 160), at_ms=20 * (n + 1))]))
        if n % 5 == 0:
            call.go_on(20 * (n + 1))
    call.press(PAUSE, 20_000)
    c = call.engine._columns
    assert (c.buffer[c.active] == 0xD5).all()


def test_a_sender_ahead_of_its_time_does_not_bring_the_end_of_a_pause(new_call, rtp, block_of, packet) -> None:
    call = new_call(PCMA)
    for n in range(3000):
        ms = 20 + 20 * max(0, n - 90)  # its first 1.8 s come at once
        call.engine.process(block_of([packet(rtp(n, n * 160, bytes([ms // 1000]) * 160), at_ms=ms)]))
        if n > 90 and ms in (20_000, 40_000):
            call.press(PAUSE if ms == 20_000 else RESUME, ms)
        if n % 5 == 0:
            call.go_on(ms)
    seconds = set(call.written(60_000).tolist()) - {0xD5}
    assert not seconds & set(range(20, 40)) and set(range(43, 58)) <= seconds


def test_another_clock_after_a_change_is_where_it_arrives(new_call, rtp, block_of, packet) -> None:
    call = new_call(PCMA)
    call.engine.process(block_of([packet(rtp(n, n * 160, b"\1" * 160), at_ms=20 * (n + 1)) for n in range(50)]))
    opus = MediaFormat(96, Codec.OPUS, 48000, 2)
    call.engine.change(PORT, [opus])
    later = [packet(rtp(50 + n, 8000 + n * 960, b"\x08abc", pt=96), at_ms=3000 + 20 * n) for n in range(10)]
    call.engine.process(block_of(later))
    (chunk,) = call.engine.finish(PORT)
    assert abs(chunk.position_samples - 3000 * 8) < 400 and chunk.frames is not None and len(chunk.frames.size) == 10


@pytest.mark.parametrize("timestamp", [0, 100 * 8000, 0x7000_0000])
def test_a_key_pressed_in_a_pause_is_not_written_whatever_its_timestamp_says(
    new_call, rtp, block_of, packet, timestamp
) -> None:
    call = new_call(PCMA, EVENTS)
    for n in range(2000):
        ms = 20 * (n + 1)
        call.engine.process(block_of([packet(rtp(n, n * 160, b"\x11" * 160), at_ms=ms)]))
        if ms == 20_000:
            call.press(PAUSE, ms)
        if n % 5 == 0:
            call.go_on(ms)
    call.engine.process(block_of([packet(rtp(2000, timestamp, bytes([4, 0, 0, 160]), pt=101), at_ms=40_020)]))
    call.go_on(40_020)
    call.press(RESUME, 41_000)
    call.written(50_000)
    assert call.keys == [] and call.engine.remove(PORT).keys == 1


def test_keys_go_on_under_another_ssrc(new_call, rtp, block_of, packet) -> None:
    for base in (0x1000_0000, 0xF000_0000):
        call, seq = new_call(PCMA, EVENTS), 0
        for ssrc, first, begins, key in ((7, 0x8000_0000, 0, 5), (8, base, 2000, 6)):
            packets = [
                packet(rtp(seq + n, first + n * 160, b"\1" * 160, ssrc=ssrc), at_ms=begins + 20 * (n + 1))
                for n in range(50)
            ]
            told = rtp(seq + 50, first + 50 * 160, bytes([key, 0, 0, 160]), pt=101, ssrc=ssrc)
            call.engine.process(block_of(packets))
            call.engine.process(block_of([packet(told, at_ms=begins + 1020)]))
            seq += 51
        assert [k.event for k in call.engine.take_keys()] == [5, 6]


def test_packets_handed_on_never_come_back(new_call, rtp, block_of, packet) -> None:
    """The buffer overflows, a packet of before comes late, the buffer overflows again: what was handed on is gone."""
    opus = MediaFormat(96, Codec.OPUS, 48000, 2)
    call, at_ms = new_call(opus), 1000

    def send(n: int, ticks: int) -> None:
        nonlocal at_ms
        at_ms += 10
        data = rtp(1000 + n, 100_000 + ticks * 960, bytes([8, n & 255]) * 995, pt=96)
        call.engine.process(block_of([packet(data, at_ms=at_ms)]))

    send(0, 0)
    for n in range(2, 11):
        send(n, n)
    send(-90, -5)
    for n in range(11, 17):
        send(n, n)
    send(-80, 17)
    for n in range(18, 30):
        send(n, n)
    chunks = [*call.engine.flush(at_ms * MS), *call.engine.finish(PORT)]
    seen = [int(chunk.payload[stop - 1]) for chunk in chunks for stop in np.cumsum(chunk.frames.size)]
    assert len(seen) == len(set(seen)) and all(size == 1990 for c in chunks for size in c.frames.size.tolist())


def test_many_kinds_of_packets_are_measured_as_what_they_are(rtp, block_of, packet) -> None:
    engine = Engine(max_streams=64, reorder_ms=200, flush_interval_s=1.0)
    for number in range(40):
        formats = [MediaFormat(64 + n, Codec.AMR, fmtp=f"mode-set={number};x={n}") for n in range(31)]
        engine.add(30000 + number, "other", number, formats, 0)
    engine.add(PORT, "call", 0, [MediaFormat(18, Codec.G729)], 0)
    engine.process(block_of([packet(rtp(n, n * 240, bytes(30), pt=18), at_ms=30 * (n + 1)) for n in range(10)]))
    (chunk,) = engine.finish(PORT)
    assert chunk.frames is not None and set(chunk.frames.duration.tolist()) == {240} and chunk.lost_samples == 0
