"""The ways of media out of its buffers: a stretch at a time to whoever asks for chunks, or straight to being sealed.

What is in order leaves; what is missing is waited for as long as packets may be late, and then it is silence.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from agent.media.arena import Arena
from agent.media.columns import LOW_BITS, SIZE_BITS, WINDOW, Columns, Numbers
from agent.media.formats import Formats
from agent.media.tape import Bytes, Tape
from agent.media.timing import NS_PER_SAMPLE
from agent.model.call import Codec
from agent.model.media import Frames, StreamChunk


class HandingOn:
    """Of the rows of `columns`; `names` are call and stream of each. `reorder_samples`: how long a missing packet is
    waited for; `idle_ns`: after so long without a packet nothing is."""

    def __init__(
        self,
        columns: Columns,
        formats: Formats,
        names: Mapping[int, tuple[str, int]],
        reorder_samples: int,
        idle_ns: int,
    ) -> None:
        self._columns = columns
        self._formats = formats
        self._names = names
        self._reorder_samples = reorder_samples
        self._idle_ns = idle_ns
        self._tape, self._arena = Tape(columns), Arena(columns)
        self._ready: list[tuple[int, StreamChunk]] = []

    def take(self) -> list[StreamChunk]:
        """The chunks made since this was asked last."""
        ready, self._ready = self._ready, []
        return [chunk for _, chunk in ready]

    def take_of(self, row: int) -> list[StreamChunk]:
        """Those of one row; all others wait to be asked for."""
        mine = [chunk for one, chunk in self._ready if one == row]
        if mine:
            self._ready = [(one, chunk) for one, chunk in self._ready if one != row]
        return mine

    def everything(self, row: int) -> None:
        """Everything placed; what is missing before the end is given up."""
        c = self._columns
        self._emit(row, int(c.end[row]), int(c.covered[row]), int(c.high[row]) + 1)
        c.base[row], c.accounted[row] = c.high[row] + 1, 0

    def in_order(self, row: int) -> None:
        """What is in order, beyond a gap if what came after it came so much later that it is given up."""
        c = self._columns
        base, high = int(c.base[row]), int(c.high[row])
        if c.accounted[row] == high - base + 1:
            self.everything(row)
            return
        places = np.arange(max(base, high - WINDOW + 1), high + 1)
        present = c.seen[row, places & (WINDOW - 1)]
        where = np.where(present, c.where[row, places & (WINDOW - 1)], 0)
        ends = where >> SIZE_BITS
        old = np.flatnonzero(ends * present > 0)
        old = old[ends[old] <= c.end[row] - self._reorder_samples]
        given_up = int(old[-1]) + 1 if len(old) else 0
        gaps = np.flatnonzero(~present[given_up:])
        count = given_up + int(gaps[0]) if len(gaps) else len(present)
        if not count:
            return
        until = int(ends[:count].max())
        left = np.minimum(where & LOW_BITS, np.maximum(ends - c.start[row], 0))  # the rest has been released
        self._emit(row, until, int(left[:count].sum()), int(places[0]) + count)
        c.base[row] = places[0] + count
        c.accounted[row] = int(np.count_nonzero(present[count:]))

    def release(
        self, row: Numbers, since: Sequence[int], before: Sequence[int], now_ns: int, holdback_samples: int
    ) -> Iterator[tuple[int, int, Codec, int, Bytes, int]]:
        """See `Engine.release`; of these rows."""
        c = self._columns
        beyond_window = (c.packet[row] > 0) & (c.packet[row] * WINDOW < c.room)  # what came could not be told any more
        c.waits[row] = waits = ~c.framed[row] & ~beyond_window & (c.start[row] >= since)
        complete = np.where(now_ns - c.last_ns[row] > self._idle_ns, c.end[row], c.end[row] - self._reorder_samples)
        start = np.where(c.begun[row], c.start[row], np.maximum(c.start[row], c.low[row]))
        old = (now_ns - c.origin_ns[row]) // NS_PER_SAMPLE - holdback_samples
        until = np.minimum(np.minimum(before, old), complete)
        due = waits & (until > start)
        number, row, start, until = np.flatnonzero(due), row[due], start[due], until[due]
        placed = self._placed(row, start, until)
        lost = np.maximum(until - start - placed, 0)
        for one in row[~c.told[row]].tolist():
            self._formats.note(one)
        c.start[row], c.begun[row] = until, True
        c.covered[row] = np.maximum(c.covered[row] - placed, 0)
        lists = (column.tolist() for column in (number, row, start, until, lost, c.current[row], c.silence[row]))
        for which, one, begin, end, missing, kind, silence in zip(*lists, strict=True):
            pieces = self._tape.pieces(one, begin, end)
            media = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
            yield which, self._names[one][1], self._formats.of(one)[kind - 1].codec, begin, media, missing
            for piece in pieces:
                piece.fill(silence)

    def _placed(self, row: Numbers, start: Numbers, until: Numbers) -> Numbers:
        """How many samples of each row from `start`, where its media begins, to `until` came in packets."""
        c = self._columns
        placed = until - start
        torn = np.flatnonzero(c.covered[row] != c.end[row] - start)
        if len(torn):
            where = c.where[row[torn]] * c.seen[row[torn]]
            end = where >> SIZE_BITS
            begin = np.maximum(end - (where & LOW_BITS), start[torn, None])
            placed[torn] = np.maximum(np.minimum(end, until[torn, None]) - begin, 0).sum(axis=1)
        return placed

    def _emit(self, row: int, until: int, covered: int, before: int) -> None:
        """Hand on the buffer up to position `until`, of packets those of sequence numbers less than `before`."""
        c = self._columns
        start = int(c.start[row])
        if until <= start:
            return
        if not c.begun[row]:
            start = min(until, max(start, int(c.low[row])))
        if c.framed[row]:
            self._emit_packets(row, start, until, before)
        else:
            self._emit_bytes(row, start, until, covered)
        self._formats.note(row)
        c.start[row], c.begun[row] = until, True
        c.covered[row] = max(0, int(c.covered[row]) - covered)

    def _emit_bytes(self, row: int, start: int, until: int, covered: int) -> None:
        pieces = self._tape.pieces(row, start, until)
        payload = np.concatenate(pieces)
        for piece in pieces:
            piece.fill(self._columns.silence[row])
        lost = max(0, len(payload) - covered)
        chunk = StreamChunk(*self._names[row], self._formats.in_use(row).codec, start, payload, lost)
        self._ready.append((row, chunk))

    def _emit_packets(self, row: int, start: int, until: int, before: int) -> None:
        c = self._columns
        ext = np.arange(max(int(c.base[row]), int(c.high[row]) - WINDOW + 1), int(c.high[row]) + 1)
        ext = ext[c.seen[row, ext & (WINDOW - 1)] & (c.where[row, ext & (WINDOW - 1)] > 0)]
        position, samples, size, payload = self._arena.take(row, ext[ext < before])
        self._arena.keep_only(row, ext[ext >= before])
        if not len(position):
            return
        position = np.clip(position, start, until)  # packets may overlap, by rounding or by timestamps that go back
        samples = np.minimum(samples, until - position)
        frames = Frames(self._formats.in_use(row), until - start, position - start, samples, size)
        lost = max(0, frames.samples - int(samples.sum()))
        chunk = StreamChunk(*self._names[row], frames.format.codec, start, payload, lost, frames)
        self._ready.append((row, chunk))
