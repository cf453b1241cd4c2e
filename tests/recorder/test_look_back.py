"""Media that waits in the engine's own buffers: the log has what the gates permit, every sample of it, nothing else."""

import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marks import written_by
from packets import Packet, block_of, rtp

from agent.capture.format import RecordKind
from agent.capture.keys import CallKey
from agent.capture.reader import Cursor, open_record, scan
from agent.capture.writer import LogWriter
from agent.config import Settings
from agent.media.endpoint import key
from agent.model.call import Call, Codec, MediaStream
from agent.model.events import CallEnded, CallStarted
from agent.model.gate import GateCommand, GateMark, GateVerb
from agent.model.purpose import ArtifactKind, Decision, KeepFrom, Purpose, Trigger
from agent.model.wire import load
from agent.recorder.calls import Calls

MS = 1_000_000
CALL = "ab" * 16
SILENCE = 0xD5
ENDS = (("10.0.0.1", 6000), ("10.0.0.5", 4000))
AUDIO = (ArtifactKind.AUDIO,)
PURPOSES = (
    Purpose("training", Trigger.ALL, AUDIO, ("age1x",), None),
    Purpose("evidence", Trigger.ON_DEMAND, AUDIO, ("age1x",), None, keep_from=KeepFrom.START),
    Purpose("contract", Trigger.ON_DEMAND, AUDIO, ("age1x",), None, keep_from=KeepFrom.PRESS),
)


def sound(stream: int, first: int, size: int = 160) -> bytes:
    """Samples that tell their place and stream, none of them silence."""
    place = np.arange(first, first + size)
    return bytes(((place * 7 + place // 251 + stream * 101) % 200 + 1).astype(np.uint8))


class Line:
    """One recorded call of two streams, `size` samples a packet; `go_on` is what the media thread does with 20 ms."""

    def __init__(
        self, folder: Path, purposes: tuple[Purpose, ...], seed: int, size: int = 160, holdback_s: float = 3.0
    ) -> None:
        self.folder, self.purposes, self.size = folder, purposes, size
        capture = Settings().capture.model_copy(update={"holdback_s": holdback_s})
        self.writer = LogWriter(folder, 1 << 26, time.time_ns)
        self.calls = Calls(Settings().model_copy(update={"capture": capture}), purposes, self.writer, 4)
        streams = tuple(
            MediaStream(n, f"p{n}", n, f"p{n}", Codec.PCMA, 8, to[1], True, to[0]) for n, to in enumerate(ENDS)
        )
        call = Call(CALL, "ref", "span", "gw", 0, streams=streams)
        decisions = tuple(Decision(p.name, True, p.trigger, "all") for p in purposes)
        self.live = self.calls.started(CallStarted(call), decisions, 0)
        self.key = CallKey(CALL, 0, bytes(32))
        self.chance = random.Random(seed)
        self.ms = 0
        self.sent: set[tuple[int, int]] = set()
        self.delayed: list[list[Packet]] = [[], [], [], []]
        self.clocks = [(1, 0, 0), (2, 0, 0)]
        """SSRC of each stream, and where its sequence numbers and timestamps begin."""
        self.settled = [-10, -10]
        self.cares = 0

    def go_on(self, bad: float, talking: tuple[bool, bool]) -> None:
        """20 ms: who talks sends a packet, which may be lost, or, once it has talked for a while, overtaken by up to
        three others. (The first of a stretch tells the engine when this was.)"""
        self.ms += 20
        for stream, first in ((n, first) for n in (0, 1) for first in range(self.ms * 8 - 160, self.ms * 8, self.size)):
            ssrc, number, timestamp = self.clocks[stream]
            if not talking[stream] or self.chance.random() < bad:
                self.settled[stream] = -10 if not talking[stream] else self.settled[stream]
                continue
            data = rtp(number + first // self.size, timestamp + first, sound(stream, first, self.size), ssrc=ssrc)
            self.settled[stream] += 1
            late = self.chance.randrange(1, 4) if self.settled[stream] > 0 and self.chance.random() < bad else 0
            self.delayed[late].append(Packet(data, key(*ENDS[stream]), (first + self.size) / 8))
            self.sent.add((stream, first))
        self.arrive()
        self.calls.flush(self.ms * MS)
        while self.cares * 62.5 <= self.ms:
            self.cares += 1
            self.calls.care(self.ms * MS, 0)

    def arrive(self) -> None:
        due, *self.delayed = [*self.delayed, []]
        if due:
            packets = [Packet(p.data, p.port, max(p.at_ms, self.ms - 20) + n / 1e5) for n, p in enumerate(due)]
            self.calls.process(block_of(packets))

    def restart(self, stream: int) -> None:
        """Its sender goes on under another SSRC; what is still under way of the one before comes first."""
        for _ in self.delayed:
            self.arrive()
        self.clocks[stream] = tuple(self.chance.randrange(1 << bits) for bits in (32, 16, 32))
        self.settled[stream] = -10

    def press(self, verb: GateVerb, purpose: str | None = None) -> None:
        self.calls.command(GateCommand(CALL, verb, "agent:1", "", purpose), self.ms * MS, 0)

    def end(self) -> tuple[set[int], dict[tuple[int, int], int]]:
        """Where the marks in the log permit to write, and what it has: a byte for each stream and position."""
        for _ in range(4):
            self.go_on(0.0, (False, False))
        self.calls.use_key(self.key)
        self.calls.ended(CallEnded(CALL, 0, "bye"), self.ms * MS)
        self.writer.close()
        marks, written = [], {}
        for _, record in scan(self.folder, Cursor(0, 0)):
            head = record.header
            if head.kind is RecordKind.GATE:
                marks.append(load(GateMark, open_record(record, self.key.key)))
            if head.kind is RecordKind.MEDIA:
                for place, value in enumerate(open_record(record, self.key.key), head.position_samples):
                    assert (head.stream, place) not in written, "written twice"
                    written[head.stream, place] = value
        return set().union(*(written_by(marks, p, self.ms * 8) for p in self.purposes)), written


@contextmanager
def line(
    purposes: tuple[Purpose, ...] = PURPOSES, seed: int = 0, size: int = 160, holdback_s: float = 3.0
) -> Iterator[Line]:
    with tempfile.TemporaryDirectory() as folder:
        yield Line(Path(folder), purposes, seed, size, holdback_s)


STRETCHES = st.tuples(st.integers(1, 150), st.sampled_from([0.0, 0.0, 0.02, 0.2]), st.booleans(), st.booleans())
RESTARTS = st.tuples(st.just("restart"), st.integers(0, 1))
PRESSES = st.tuples(st.sampled_from(GateVerb), st.none() | st.sampled_from([p.name for p in PURPOSES]))


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.one_of(STRETCHES, STRETCHES, PRESSES, RESTARTS), max_size=14),
    count=st.integers(1, len(PURPOSES)),
    key_at=st.integers(0, 14),
    seed=st.integers(0, 2**32),
    size=st.sampled_from([40, 80, 160, 160]),
    holdback_s=st.sampled_from([0.0, 0.5, 3.0, 3.0, 30.0]),
)
def test_the_log_has_what_the_gates_permit_and_nothing_else(
    steps: list, count: int, key_at: int, seed: int, size: int, holdback_s: float
) -> None:
    with line(PURPOSES[:count], seed, size, holdback_s) as call:
        for number, step in enumerate(steps):
            if number == key_at:
                call.calls.use_key(call.key)
            if step[0] == "restart":
                call.restart(step[1])
                continue
            if isinstance(step[0], GateVerb):
                if step[1] in {None, *(p.name for p in call.purposes)}:
                    call.press(*step)
                continue
            ticks, bad, *talking = step
            for _ in range(ticks):
                call.go_on(bad, tuple(talking))
        permitted, written = call.end()
    assert {place for _, place in written} <= permitted
    for stream, first in call.sent:
        for place, value in enumerate(sound(stream, first, size), first):
            assert written.get((stream, place)) == (value if place in permitted else None)
    spoken = {(stream, first + n) for stream, first in call.sent for n in range(size)}
    assert all(value == SILENCE for at, value in written.items() if at not in spoken)


def test_what_a_pause_removes_is_gone_at_once_from_the_buffers_too() -> None:
    with line(PURPOSES[:1]) as call:
        call.calls.use_key(call.key)
        for _ in range(300):
            call.go_on(0.0, (True, True))
        columns = call.calls.engine._columns
        assert columns.waits[columns.active].all() and call.live.gate.held_samples == 0, "it waits in the buffers"
        assert (columns.end - columns.start)[columns.active].min() > 2.9 * 8000
        call.press(GateVerb.PAUSE)
        assert (columns.buffer[columns.active] == SILENCE).all() and call.live.gate.held_samples <= 2 * 0.75 * 8000
        for _ in range(300):
            call.go_on(0.0, (True, True))
        call.press(GateVerb.RESUME)
        for _ in range(400):
            call.go_on(0.0, (True, True))
        assert columns.waits[columns.active].all() and call.live.gate.held_samples == 0, "and does so again"
        permitted, written = call.end()
    assert {place for _, place in written} <= permitted
    assert set(range(3 * 8000, 12 * 8000)).isdisjoint(permitted)


@pytest.mark.parametrize("care_comes_late_ms", [0, 300, 1500])
def test_a_full_buffer_loses_nothing(care_comes_late_ms: int) -> None:
    with line(PURPOSES[:1]) as call:
        call.calls.use_key(call.key)
        for _ in range(250):
            call.go_on(0.02, (True, True))
        call.cares += int(care_comes_late_ms / 62.5)
        for _ in range(400):
            call.go_on(0.02, (True, True))
        permitted, written = call.end()
    assert {place for _, place in written} <= permitted
    for stream, first in call.sent:
        assert bytes(written[stream, first + n] for n in range(160)) == sound(stream, first)
