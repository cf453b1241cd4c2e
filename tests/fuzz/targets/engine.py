"""The media engine under any packets at any times: never raises, hands on each place once, and its counts add up.

What the compiled core does and what is done in numpy is the same.
"""

from collections import Counter
from itertools import pairwise

from packets import MS, Packet, block_of, rtp
from twins import Twins

from agent.model.call import CLOCK_RATE, Codec, MediaFormat
from agent.model.media import StreamChunk
from fuzz.draws import Draws

PORTS = (20000, 20002, 20004)
SOURCES = (1, 2, 3)
FORMATS = (
    MediaFormat(8, Codec.PCMA),
    MediaFormat(0, Codec.PCMU),
    MediaFormat(111, Codec.OPUS, 48000, 2),
    MediaFormat(18, Codec.G729),
    MediaFormat(96, Codec.AMR_WB, 16000, 1, "octet-align=1"),
    MediaFormat(97, Codec.OTHER, 90000, 1, "", "x"),
    MediaFormat(101, Codec.TELEPHONE_EVENT),
    MediaFormat(13, Codec.COMFORT_NOISE),
)
SIZES = (160, 160, 80, 240, 480, 0, 1, 960, 961, 1999)
STEPS_MS = (20, 0, 20, 1, 200, 1000, 30_000, 3_600_000)
MOST = 200


def _added(one: int, two: int = 1, source: int = 0) -> bytes:
    return bytes([0, 0, source, one, two, 2])


def _sent(kind: int, step: int = 1, size: int = 0, later: int = 0, source: int = 0) -> bytes:
    return bytes([1, 0, source, step, 0, size, kind, later]) + b"\x05\x80\x03\x20"


_FLUSHED, _ENDED = b"\x02\x00\x00", b"\x03\x00"
SEEDS = (
    _added(0) + _sent(0) * 30 + _FLUSHED + _sent(1) * 5 + _ENDED,
    _added(0) + b"".join(_sent(0, step=n % 5) for n in range(40)) + _FLUSHED + _ENDED,
    _added(2, 4, source=1)
    + (_sent(2, size=2) * 9 + _sent(6, size=6) + _sent(4, source=1)) * 3
    + b"\x04\x00\x03\x05\x02\x01",
    _added(5, 3)
    + (_sent(5, step=2) + _sent(3, later=3) + _sent(7, size=6)) * 9
    + _ENDED
    + _added(0)
    + _sent(0, later=5),
    _added(0) + b"\x05\x00\x0e\x80\x08" + bytes(12) + b"\x00" + _sent(0) * 3 + _FLUSHED + _ENDED,
)


class Listener:
    """One stream from its beginning to its end."""

    def __init__(self) -> None:
        self.end = -(1 << 62)
        self.sent = 0

    def take(self, chunk: StreamChunk) -> None:
        """A chunk must come after the one before it."""
        assert chunk.position_samples >= self.end, "chunks overlap or go back"
        assert 0 <= chunk.lost_samples <= chunk.samples and 0 < chunk.samples <= 4 * CLOCK_RATE
        self.end = chunk.end_samples
        if (frames := chunk.frames) is not None:
            assert len(frames.begin) == len(frames.duration) == len(frames.size) > 0
            assert frames.begin.min() >= 0 and (frames.begin + frames.duration).max() <= frames.samples
            assert frames.duration.min() >= 0 and frames.size.min() >= 0 and frames.size.sum() == len(chunk.payload)


class Session:
    """An engine and what was done to it."""

    def __init__(self, draws: Draws) -> None:
        self._draws = draws
        self._engine = Twins(max_streams=2, reorder_ms=200, flush_interval_s=0.5)
        self._live: dict[int, Listener] = {}
        self._now_ms = 1000.0
        self._waiting: list[Packet] = []
        self._sequence, self._timestamp = Counter[int](), Counter[int]()
        self._strays = 0

    def step(self) -> None:
        """One thing happens; packets wait until another does, so that blocks are of any length."""
        what, port = self._draws.number(1) % 6, self._draws.choice(PORTS)
        if what in (1, 5):
            self._waiting.append(self._packet(port) if what == 1 else self._noise(port))
            return
        self.deliver()
        if what == 0 and port not in self._live and len(self._live) < 2:
            announced = self._draws.choice((0, *SOURCES))
            origin, since = int(self._now_ms * MS), int((self._now_ms - 100) * MS) * (len(self._live) % 2)
            self._engine.add(port, "call", port, self._formats(), origin, announced=announced, since_ns=since)
            self._live[port] = Listener()
        elif what == 2:
            self._now_ms += self._draws.choice(STEPS_MS)
            self._take(self._engine.flush(int(self._now_ms * MS)))
        elif what == 3 and port in self._live:
            self.end(port)
        elif what == 4 and port in self._live:
            self._take(self._engine.change(port, self._formats(), self._draws.choice((0, *SOURCES))))

    def _formats(self) -> list[MediaFormat]:
        """Two that are spoken, and perhaps events and noise."""
        one, two = self._draws.choice(FORMATS), self._draws.choice(FORMATS)
        return [*dict.fromkeys((one, two, *FORMATS[6:][: self._draws.number(1) % 3]))]

    def _packet(self, port: int) -> Packet:
        d, source = self._draws, self._draws.choice(SOURCES)
        stepped, leapt, size = d.number(1), d.number(1), d.choice(SIZES)
        self._sequence[source] += stepped if stepped < 128 else stepped - 256
        self._timestamp[source] += size * (1 + leapt % 4) if leapt < 200 else leapt << 23
        kind = d.choice(FORMATS).payload_type
        self._now_ms += d.choice(STEPS_MS)
        ssrc = 7 * source + leapt // 250
        data = rtp(
            self._sequence[source],
            self._timestamp[source],
            (d.take(4) + bytes([source]) * size)[:size],
            ssrc=ssrc,
            pt=kind,
        )
        return Packet(data, port, self._now_ms, source)

    def _noise(self, port: int) -> Packet:
        return Packet(self._draws.take(self._draws.number(1)), port, self._now_ms, self._draws.choice(SOURCES))

    def deliver(self) -> None:
        """One block of all that waits."""
        if not self._waiting:
            return
        for packet in self._waiting:
            if packet.port in self._live:
                self._live[packet.port].sent += 1
            else:
                self._strays += 1
        self._engine.process(block_of(self._waiting))
        self._waiting.clear()
        assert self._engine.stray == self._strays
        for key in self._engine.take_keys():
            assert key.stream in self._live and key.position_samples >= 0 and 0 <= key.event <= 255

    def end(self, port: int) -> None:
        """Finish a stream."""
        self._take(self._engine.finish(port))
        before = self._engine.counts(port)
        counts = self._engine.remove(port)
        listener = self._live.pop(port)
        assert counts.foreign >= before.foreign and counts.received == before.received
        assert counts.received + counts.foreign + counts.stale <= listener.sent
        assert min(counts.lost, counts.late, counts.duplicates, counts.reordered, counts.foreign, counts.jumps) >= 0
        assert counts.late + counts.duplicates <= counts.received and counts.reordered <= counts.received
        assert all(a != b for a, b in pairwise(counts.ssrcs)) and len(counts.ssrcs) <= counts.jumps + 1

    def close(self) -> None:
        """Finish all."""
        self.deliver()
        for port in list(self._live):
            self.end(port)

    def _take(self, chunks: list[StreamChunk]) -> None:
        for chunk in chunks:
            self._live[chunk.stream].take(chunk)


def target(data: bytes) -> None:
    """What happens, one after the other."""
    draws = Draws(data)
    session = Session(draws)
    for _ in range(MOST):
        if not draws.left:
            break
        session.step()
    session.close()
