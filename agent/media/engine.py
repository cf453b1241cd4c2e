"""The media engine: blocks of packets in, stretches of in-order media out, everything counted.

A stream is an address that packets are sent to. Any source of `PacketBlock` feeds it. A codec is a
payload type, a byte of silence and a rate of one byte a sample.
"""

import numpy as np

from agent.media.block import PacketBlock
from agent.media.columns import SIZE_BITS, WINDOW, Columns
from agent.media.endpoint import KeyTable
from agent.media.g711 import SILENCE
from agent.media.placing import Arrivals, Placer
from agent.media.rtp import parse
from agent.media.sources import Sources
from agent.model.call import CLOCK_RATE, Codec
from agent.model.media import StreamChunk, StreamCounts

SHORTEST, LONGEST = 40, 960
"""Bytes of a G.711 packet: 5 to 120 ms. Anything else is no audio of ours."""
IDLE_MS = 250
STAGGER = 8


class EngineFull(RuntimeError):
    """There are as many streams as the engine was made for."""


class Engine:
    """`max_streams` rows; `reorder_ms` is how long a missing packet is waited for. One thread at a time."""

    def __init__(self, max_streams: int, reorder_ms: int, flush_interval_s: float) -> None:
        self._flush_samples = int(flush_interval_s * CLOCK_RATE)
        self._reorder_samples = reorder_ms * CLOCK_RATE // 1000
        self._idle_ns = max(reorder_ms, IDLE_MS) * 1_000_000
        room = 1 << (self._flush_samples + self._reorder_samples + CLOCK_RATE // 2).bit_length()
        self._columns = Columns(max_streams, room)
        self._placer = Placer(self._columns, self._reorder_samples, self._hand_on_all, self._hand_on_ordered)
        self._sources = Sources(self._columns)
        self._row_of = KeyTable()
        self._free = list(range(max_streams - 1, -1, -1))
        self._names: dict[int, tuple[str, int, Codec]] = {}
        self._ready: list[StreamChunk] = []
        self.stray = 0
        """Packets to addresses that no stream has."""

    def add(
        self,
        address: int,
        call_id: str,
        stream: int,
        codec: Codec,
        payload_type: int,
        origin_ns: int,
        *,
        announced: int = 0,
        since_ns: int = 0,
    ) -> None:
        """Listen to `address` (see `agent.media.endpoint`) for a stream of a call whose media origin is `origin_ns`.

        `announced` is the address it is said to come from, 0 when nothing was said; what arrived before `since_ns` is
        none of its packets. Times are monotonic. Raises EngineFull, and ValueError when the address has a stream.
        """
        if not self._free:
            raise EngineFull(f"no room for more than {self._columns.rows} streams")
        self._row_of.add(address, self._free[-1])
        row = self._free.pop()
        c = self._columns
        c.clear(row)
        c.active[row], c.origin_ns[row] = True, origin_ns
        c.want[row] = self._flush_samples * (1 + row % STAGGER) // STAGGER  # first chunks do not come due all at once
        self._names[row] = (call_id, stream, codec)
        self._placer.ssrcs[row] = []
        self._sources.begin(row, address, announced, since_ns, origin_ns)
        self._set_codec(row, codec, payload_type)

    def change(self, address: int, codec: Codec, payload_type: int, announced: int = 0) -> list[StreamChunk]:
        """From now on the stream is of this codec and payload type. Returns what was received in the old one."""
        row = self._row_of.get(address)
        self._columns.announced[row] = announced
        call_id, stream, before = self._names[row]
        if (codec, payload_type) == (before, self._columns.payload_type[row]):
            return []
        self._hand_on_all(row)
        self._names[row] = (call_id, stream, codec)
        self._set_codec(row, codec, payload_type)
        return self._take_ready()

    def finish(self, address: int) -> list[StreamChunk]:
        """All media of the stream not handed on yet. Raises LookupError."""
        self._hand_on_all(self._row_of.get(address))
        return self._take_ready()

    def remove(self, address: int) -> StreamCounts:
        """End the stream and return what was counted; what was not handed on is let go. Raises LookupError."""
        row = self._row_of.get(address)
        self._sources.end(row, address)
        counts = self._counts(row)
        self._columns.active[row] = False
        self._row_of.remove(address)
        del self._names[row], self._placer.ssrcs[row]
        self._free.append(row)
        return counts

    def process(self, block: PacketBlock) -> None:
        """Take in a block."""
        c = self._columns
        row = self._row_of.find(block.destination)
        h = parse(block)
        own = h.valid & (row >= 0)
        audio = own & (h.payload_type == c.payload_type[row]) & (h.size >= SHORTEST) & (h.size <= LONGEST)
        mute = own & ~audio & (~c.locked[row] | (h.ssrc == c.ssrc[row]))
        chosen = audio | mute
        if (stale := self._sources.stale(row, h.ssrc, h.timestamp, block.arrival_ns)) is not None:
            stale &= own
            c.stale += np.bincount(row[stale], minlength=c.rows)
            chosen &= ~stale
        strange = chosen & (block.source != c.source[row])
        if strange.any():
            admitted, waited = self._sources.admit(block, row, strange & audio)
            for held in waited:
                self.process(held)
            chosen &= ~strange | admitted | (mute & (block.source == c.source[row]))
        if not audio.all():
            foreign = (row >= 0) & ~audio
            if stale is not None:
                foreign &= ~stale
            self.stray += int(np.count_nonzero(row < 0))
            c.foreign += np.bincount(row[foreign], minlength=c.rows)
        size = np.where(mute, 0, h.size)
        arrivals = Arrivals(row, h.ssrc, h.sequence, h.timestamp, h.start, size, mute, block.arrival_ns)
        self._placer.place(arrivals if chosen.all() else arrivals.take(chosen), block.memory)

    def flush(self, now_ns: int) -> list[StreamChunk]:
        """Chunks of the streams that have enough in-order media, or had no packet for a while (`now_ns` monotonic)."""
        c = self._columns
        held = c.end - c.start
        due = c.active & (held > 0) & ((held >= c.want) | (now_ns - c.last_ns > self._idle_ns))
        for row in np.flatnonzero(due).tolist():
            if now_ns - c.last_ns[row] > self._idle_ns:
                self._hand_on_all(row)
            else:
                self._hand_on_ordered(row)
            c.want[row] = self._flush_samples
        return self._take_ready()

    def counts(self, address: int) -> StreamCounts:
        """What was counted so far for a stream. Raises LookupError."""
        return self._counts(self._row_of.get(address))

    # ---- handing on

    def _hand_on_all(self, row: int) -> None:
        """Everything placed; what is missing before the end is given up."""
        c = self._columns
        self._emit(row, int(c.end[row]), int(c.covered[row]))
        c.base[row], c.accounted[row] = c.high[row] + 1, 0

    def _hand_on_ordered(self, row: int) -> None:
        """What is in order; beyond a gap, only what came so much later that the gap is given up."""
        c = self._columns
        base, high = int(c.base[row]), int(c.high[row])
        if c.accounted[row] == high - base + 1:
            self._hand_on_all(row)
            return
        places = np.arange(max(base, high - WINDOW + 1), high + 1)
        present = c.seen[row, places & (WINDOW - 1)]
        where = np.where(present, c.where[row, places & (WINDOW - 1)], 0)
        ends = where >> SIZE_BITS
        gap = int(np.argmin(present))
        old = np.flatnonzero(ends * present > 0)
        old = old[ends[old] <= c.end[row] - self._reorder_samples]
        count = max(gap, int(old[-1]) + 1 if len(old) else 0)
        if not count:
            return
        until = int(ends[:count].max())
        sizes = where & (1 << SIZE_BITS) - 1
        self._emit(row, until, int(sizes[:count].sum()))
        c.base[row] = places[0] + count
        c.accounted[row] = int(np.count_nonzero(present[count:]))

    def _emit(self, row: int, until: int, covered: int) -> None:
        """Hand on the buffer up to position `until` and move the rest to its front."""
        c = self._columns
        start, held = int(c.start[row]), int(c.end[row] - c.start[row])
        length = until - start
        if length <= 0:
            return
        buffer = c.buffer[row]
        lead = 0 if c.begun[row] else min(length, max(0, int(c.low[row]) - start))
        payload = buffer[lead:length].copy()
        rest = held - length
        buffer[:rest] = buffer[length:held].copy()
        buffer[rest:held] = c.silence[row]
        c.start[row], c.begun[row] = until, True
        c.covered[row] = max(0, int(c.covered[row]) - covered)
        call_id, stream, codec = self._names[row]
        lost = max(0, len(payload) - covered)
        self._ready.append(StreamChunk(call_id, stream, codec, start + lead, payload, lost))

    def _take_ready(self) -> list[StreamChunk]:
        ready, self._ready = self._ready, []
        return ready

    # ---- rows

    def _set_codec(self, row: int, codec: Codec, payload_type: int) -> None:
        c = self._columns
        c.payload_type[row], c.silence[row] = payload_type, SILENCE[codec]
        c.buffer[row] = SILENCE[codec]

    def _counts(self, row: int) -> StreamCounts:
        c = self._columns
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
        )
