"""A recorded call without sockets: two parties who talk by the 20 ms, a clock, presses, and the log read back."""

import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
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
from agent.policy.decide import Policy
from agent.policy.share import Strata
from agent.recorder.calls import Calls
from agent.recorder.live import as_before

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
    """One recorded call of two streams, `size` samples a packet; `go_on` is what the media thread does with 20 ms.

    Every purpose applies, unless a `policy` decides, at the start and again.
    """

    def __init__(
        self,
        folder: Path,
        purposes: tuple[Purpose, ...],
        seed: int,
        size: int = 160,
        holdback_s: float = 3.0,
        policy: Policy | None = None,
    ) -> None:
        self.folder, self.purposes, self.size = folder, purposes, size
        capture = Settings().capture.model_copy(update={"holdback_s": holdback_s})
        self.writer = LogWriter(folder, 1 << 26, time.time_ns)
        strata = Strata("line")
        again = (lambda call, before, at: policy.decide(call, at, strata, before)) if policy else as_before
        configured = Settings().model_copy(update={"capture": capture})
        self.calls = Calls(configured, purposes, self.writer, 4, decide_again=again)
        streams = tuple(
            MediaStream(n, f"p{n}", n, f"p{n}", Codec.PCMA, 8, to[1], True, to[0]) for n, to in enumerate(ENDS)
        )
        call = Call(CALL, "ref", "span", "gw", 0, streams=streams)
        decisions = tuple(Decision(p.name, True, p.trigger, "all") for p in purposes)
        if policy is not None:
            decisions = policy.decide(call, 0, strata)
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
