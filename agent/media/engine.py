"""The media engine: blocks of packets in, stretches of in-order media out, everything counted.

A stream is an address that packets are sent to, and the formats its payload types mean. Any source of `PacketBlock`
feeds it. Audio is kept as received: by the byte where a codec has one a sample, by the packet where not.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from agent.media.block import PacketBlock
from agent.media.columns import KEYS, NOISE, Columns, Numbers
from agent.media.core import Choice, open_core
from agent.media.endpoint import KeyTable
from agent.media.formats import Formats
from agent.media.handing import HandingOn
from agent.media.keys import EVENT_BYTES, Keys
from agent.media.listening import Listening
from agent.media.placing import BEHIND_SAMPLES, Arrivals, Placer
from agent.media.returns import RETURNING, Returns
from agent.media.rtp import Headers, parse
from agent.media.sources import Sources
from agent.media.tape import Bytes
from agent.media.timing import LAG_SAMPLES, NS_PER_SAMPLE
from agent.model.call import CLOCK_RATE, Codec, MediaFormat
from agent.model.media import KeyPress, StreamChunk, StreamCounts

SHORTEST, LONGEST = 40, 960
"""Samples of a packet: 5 to 120 ms. Anything else is no audio of ours."""
NOWHERE = 1 << 60
"""Where a stream begins of which nothing has come."""
IDLE_MS = 250
SPARE_SAMPLES = CLOCK_RATE // 4
"""Of each buffer: for media that is not fetched in time."""
STAGGER = 8


class EngineFull(RuntimeError):
    """There are as many streams as the engine was made for."""


class Engine:
    """`max_streams` rows; `reorder_ms` is how long a missing packet is waited for; media in order is handed on every
    `flush_interval_s`, or waits up to `look_back_s` to be released. One thread at a time.

    Packets that are just the next of their streams are taken in by the `core` wanted (`agent.media.core`), others in
    numpy. Raises CoreMissing if "c" is wanted and is not to be had.
    """

    def __init__(
        self,
        max_streams: int,
        reorder_ms: int,
        flush_interval_s: float,
        look_back_s: float = 0.0,
        core: Choice = "auto",
    ) -> None:
        self._flush_samples = int(flush_interval_s * CLOCK_RATE)
        reorder_samples = reorder_ms * CLOCK_RATE // 1000
        self._idle_ns = max(reorder_ms, IDLE_MS) * 1_000_000
        held = max(2 * self._flush_samples, int(look_back_s * CLOCK_RATE))
        self._columns = Columns(max_streams, held + reorder_samples + SPARE_SAMPLES)
        self._names: dict[int, tuple[str, int]] = {}
        self._formats = Formats(self._columns)
        self._handing = HandingOn(self._columns, self._formats, self._names, reorder_samples, self._idle_ns)
        self._listening = Listening(self._columns, self._formats, self._names, reorder_samples, self._idle_ns)
        self._placer = Placer(
            self._columns, reorder_samples, self._handing.everything, self._handing.in_order, self._formats.use
        )
        self._keys = Keys(self._columns)
        self._sources = Sources(self._columns)
        self._returns = Returns(self._columns, self._placer.timing)
        self._row_of = KeyTable()
        self._core = open_core(core, self._columns, self._placer.timing, self._row_of)
        self._free = list(range(max_streams - 1, -1, -1))
        self._pressed: list[KeyPress] = []
        self.stray = 0
        """Packets to addresses that no stream has."""

    @property
    def core(self) -> str:
        """What takes in packets that are just the next of their streams: "c" or "numpy"."""
        return "c" if self._core else "numpy"

    def add(
        self,
        address: int,
        call_id: str,
        stream: int,
        formats: Sequence[MediaFormat],
        origin_ns: int,
        *,
        announced: int = 0,
        since_ns: int = 0,
    ) -> None:
        """Listen to `address` (see `agent.media.endpoint`) for a stream of a call whose media origin is `origin_ns`, in
        any of its `formats`, of which the first audio is expected first.

        `announced` is the address it is said to come from, 0 when nothing was said; what arrived before `since_ns` is
        none of its packets. Times are monotonic. Raises EngineFull, and ValueError when the address has a stream.
        """
        if not self._free:
            raise EngineFull(f"no room for more than {self._columns.rows} streams")
        self._row_of.add(address, self._free[-1])
        row = self._free.pop()
        c = self._columns
        for part in (c, self._placer.timing, self._keys):
            part.clear(row)
        c.active[row], c.origin_ns[row] = True, origin_ns
        c.want[row] = self._flush_samples * (1 + row % STAGGER) // STAGGER  # first chunks do not come due all at once
        self._names[row] = (call_id, stream)
        self._placer.ssrcs[row] = []
        self._sources.begin(row, address, announced, since_ns, origin_ns)
        self._formats.begin(row, tuple(formats))

    def change(self, address: int, formats: Sequence[MediaFormat], announced: int = 0) -> list[StreamChunk]:
        """From now on the stream is of these formats. Returns what was received before. Raises LookupError."""
        row = self._row_of.get(address)
        self._settle(row)
        self._columns.announced[row] = announced
        if tuple(formats) == self._formats.of(row):
            return []
        self._handing.everything(row)
        rate = int(self._columns.rate[row])
        self._formats.announce(row, tuple(formats))
        if self._columns.rate[row] != rate:
            self._placer.timing.lagging[row] = True  # another clock: the next packet is where its arrival says
        return self._handing.take_of(row)

    def heard(self, address: int) -> tuple[int, int]:
        """The SSRC and the arrival of the last packet of a stream; 0 and 0 before the first. Raises LookupError."""
        row = self._row_of.get(address)
        return int(self._columns.ssrc[row]), int(self._columns.last_ns[row])

    def heard_until(self, address: int) -> int:
        """The position after the last sample that has come, in the future if its sender hurries. Raises LookupError."""
        return int(self._columns.end[self._row_of.get(address)])

    def knows(self, destination: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which of these addresses have a stream."""
        known: npt.NDArray[np.bool_] = self._row_of.find(destination) >= 0
        return known

    def rename(self, address: int, stream: int) -> list[StreamChunk]:
        """What comes to `address` from now on is another stream of the call: the same packets, another party's voice.
        Returns what was received before; counts go on. Raises LookupError."""
        row = self._row_of.get(address)
        self._settle(row)
        self._handing.everything(row)
        self._names[row] = (self._names[row][0], stream)
        self._columns.begun[row], self._columns.low[row] = False, NOWHERE
        return self._handing.take_of(row)

    def finish(self, address: int) -> list[StreamChunk]:
        """All media of the stream not handed on yet. Raises LookupError."""
        row = self._row_of.get(address)
        self._settle(row)
        self._handing.everything(row)
        return self._handing.take_of(row)

    def remove(self, address: int, *, for_good: bool = True) -> StreamCounts:
        """End the stream and return what was counted; what was not handed on is let go. Unless it is `for_good`, its
        sender may go on in a stream that is added later. Raises LookupError."""
        row = self._row_of.get(address)
        self._returns.forget(row)
        self._sources.end(row, address, remember=for_good)
        counts = self._counts(row)
        self._columns.active[row] = False
        self._handing.take_of(row)
        self._row_of.remove(address)
        self._formats.end(row)
        del self._names[row], self._placer.ssrcs[row]
        self._free.append(row)
        return counts

    def process(self, block: PacketBlock, *, settled: bool = False) -> None:
        """Take in a block. `settled`: streams that come back in it do so where their timestamps say."""
        if self._core and not len(block := self._core.place(block)):
            return
        c = self._columns
        row = self._row_of.find(block.destination)
        h = parse(block)
        own = h.valid & (row >= 0)
        kind, samples = self._formats.measure(block, h, row, own)
        audio = own & (kind > 0) & (kind < NOISE) & (samples >= SHORTEST) & (samples <= LONGEST)
        mute = own & ~audio & (~c.locked[row] | (h.ssrc == c.ssrc[row]))
        chosen = audio | mute
        if (stale := self._sources.stale(row, h.ssrc, h.timestamp, block.arrival_ns)) is not None:
            stale &= own
            c.stale += np.bincount(row[stale], minlength=c.rows)
            chosen &= ~stale
        told: list[int] = []
        counted = row >= 0
        if not settled:
            late, timely = self._late(h, row, chosen & audio, block)
            if late.any() or self._returns.holds_some:
                left, told = self._returns.hold(block, row, chosen, late, timely)
                counted &= left | ~chosen  # what waits is counted when it is taken in
                chosen = left
        strange = chosen & (block.source != c.source[row])
        if strange.any():
            early = mute & (kind == KEYS) & ~c.locked[row] & (c.source[row] == 0)  # pressed before the first sound
            admitted, waited = self._sources.admit(block, row, strange & (audio | early), audio)
            for held in waited:
                self.process(held)
            chosen &= ~strange | admitted | (mute & (block.source == c.source[row]))
        if not audio.all():
            foreign = counted & ~audio & ~(mute & (kind >= NOISE))
            if stale is not None:
                foreign &= ~stale
            self.stray += int(np.count_nonzero(row < 0))
            c.foreign += np.bincount(row[foreign], minlength=c.rows)
        silent = mute.any()
        if silent:
            samples = np.where(mute, 0, samples)
        arrivals = Arrivals(
            row, h.ssrc, h.sequence, h.timestamp, h.start, h.size, samples, kind, mute, block.arrival_ns
        )
        self._placer.place(arrivals if chosen.all() else arrivals.take(chosen), block.memory)
        if silent:
            self._without_sound(block, h, row, kind, chosen & mute & (~c.locked[row] | (h.ssrc == c.ssrc[row])))
        for one in told:
            self._settle(one)

    def _late(
        self, h: Headers, row: Numbers, audio: npt.NDArray[np.bool_], block: PacketBlock
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Which packets of audio come long after their place, and which come in time for it."""
        c, lagging = self._columns, self._placer.timing.lagging
        known = np.flatnonzero(audio & c.locked[row] & (h.ssrc == c.ssrc[row]))
        rows = row[known]
        transit = (block.arrival_ns[known] - c.origin_ns[rows]) // NS_PER_SAMPLE
        transit -= self._placer.position(rows, h.timestamp[known])
        late, timely = np.zeros(len(row), np.bool_), np.zeros(len(row), np.bool_)
        late[known] = (transit > LAG_SAMPLES) & (transit <= BEHIND_SAMPLES)
        late[known] &= ~lagging[rows] | (c.source[rows] == RETURNING)
        timely[known] = transit <= LAG_SAMPLES
        return late, timely

    def _settle(self, row: int) -> None:
        """Take in what waited of a stream that has come back."""
        if (held := self._returns.take(row)) is not None:
            self.process(held, settled=True)

    def _without_sound(
        self, block: PacketBlock, h: Headers, row: Numbers, kind: Numbers, chosen: npt.NDArray[np.bool_]
    ) -> None:
        """Comfort noise is counted, keys pressed are told."""
        c = self._columns
        c.noise += np.bincount(row[chosen & (kind == NOISE)], minlength=c.rows)
        told = np.flatnonzero(chosen & (kind == KEYS) & (h.size >= EVENT_BYTES))
        if len(told):
            for one, event, position in self._keys.note(
                block, h.start[told], row[told], h.ssrc[told], h.timestamp[told], block.arrival_ns[told]
            ):
                self._pressed.append(KeyPress(*self._names[one], event, position))

    def take_keys(self) -> list[KeyPress]:
        """The keys pressed since the last call of this."""
        pressed, self._pressed = self._pressed, []
        return pressed

    def flush(self, now_ns: int) -> list[StreamChunk]:
        """Chunks of the streams that have enough in-order media, or had no packet for a while (`now_ns` monotonic).
        Streams whose media waits to be released have none, unless a packet found their buffer full."""
        c = self._columns
        for row in self._returns.overdue(now_ns):
            self._settle(row)
        free = np.flatnonzero(c.active & ~c.waits)
        held, idle = c.end[free] - c.start[free], now_ns - c.last_ns[free] > self._idle_ns
        due = (held > 0) & ((held >= c.want[free]) | idle)
        for row, ended in zip(free[due].tolist(), idle[due].tolist(), strict=True):
            if ended:
                self._handing.everything(row)
            else:
                self._handing.in_order(row)
            c.want[row] = self._flush_samples
        return self._handing.take()

    def release(
        self, addresses: Sequence[int], since: Sequence[int], before: Sequence[int], now_ns: int, holdback_samples: int
    ) -> Iterator[tuple[int, int, Codec, int, Bytes, int]]:
        """Of each of these streams what lies before position `before` and is older than the holdback: the number of the
        stream in `addresses`, its stream, codec, position, media (a byte a sample) and lost samples. The media may be
        the buffer itself, which falls silent when the next is asked for; so all must be.

        All that the buffer holds must lie at or after `since`. Then it waits there from now on until it is released;
        of all other streams it is handed on by `flush` as it comes, which has to be asked first: a full buffer is
        handed on as well. Raises LookupError.
        """
        rows = np.array(self._row_of.rows(addresses), np.int64)
        return self._handing.release(rows, since, before, now_ns, holdback_samples)

    def listen(self, addresses: Sequence[int], since: Sequence[int], now_ns: int) -> Iterator[tuple[int, StreamChunk]]:
        """Copies of what came in order at or after position `since` of each of these streams, with the number of the
        stream in `addresses`. Nothing moves, and what has left the buffers is not here. Raises LookupError."""
        rows = np.array(self._row_of.rows(addresses), np.int64)
        return self._listening.stretches(rows, since, now_ns)

    def hand_on(self, address: int) -> list[StreamChunk]:
        """What a stream has in order, wherever it waited. Raises LookupError."""
        row = self._row_of.get(address)
        self._columns.waits[row] = False
        if self._columns.end[row] > self._columns.start[row]:
            self._handing.in_order(row)
        return self._handing.take_of(row)

    def counts(self, address: int) -> StreamCounts:
        """What was counted so far for a stream. Raises LookupError."""
        return self._counts(self._row_of.get(address))

    def _counts(self, row: int) -> StreamCounts:
        c, timing = self._columns, self._placer.timing
        return StreamCounts(
            received=int(c.received[row]),
            lost=c.lost(row),
            late=int(c.late[row]),
            duplicates=int(c.duplicates[row]),
            reordered=int(c.reordered[row]),
            foreign=int(c.foreign[row]),
            stale=int(c.stale[row]),
            jumps=int(c.jumps[row]),
            ssrcs=tuple(self._placer.ssrcs.get(row, ())),
            keys=int(self._keys.count[row]),
            noise=int(c.noise[row]),
            jitter_ms=round(float(timing.jitter[row]) * 1000 / CLOCK_RATE, 2),
            jitter_max_ms=round(float(timing.jitter_max[row]) * 1000 / CLOCK_RATE, 2),
            drift_ppm=round(timing.drift_ppm(row), 1),
            packet_ms=float(c.packet[row]) * 1000 / CLOCK_RATE,
            formats=self._formats.came(row),
        )
