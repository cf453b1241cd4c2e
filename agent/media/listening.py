"""Listening in: copies of what has come in order, of the rows that somebody hears live, while it stays where it is.

It must be asked before anything is handed on or released. What is missing is waited for as long as packets may be late;
what comes later than that is not heard any more, though it is recorded.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from agent.media.arena import Arena
from agent.media.columns import LOW_BITS, SIZE_BITS, WINDOW, Columns, Numbers
from agent.media.formats import Formats
from agent.media.tape import Tape
from agent.model.media import Frames, StreamChunk


class Listening:
    """To rows of `columns`; the other arguments are those of `agent.media.handing.HandingOn`."""

    def __init__(
        self,
        columns: Columns,
        formats: Formats,
        names: Mapping[int, tuple[str, int]],
        reorder_samples: int,
        idle_ns: int,
    ) -> None:
        self._columns, self._formats, self._names = columns, formats, names
        self._reorder_samples, self._idle_ns = reorder_samples, idle_ns
        self._tape, self._arena = Tape(columns), Arena(columns)

    def stretches(self, rows: Numbers, since: Sequence[int], now_ns: int) -> Iterator[tuple[int, StreamChunk]]:
        """See `Engine.listen`; of these rows."""
        c = self._columns
        until = self._in_order(rows, now_ns)
        start = np.where(c.begun[rows], c.start[rows], np.maximum(c.start[rows], c.low[rows]))
        start = np.maximum(start, since)
        due = until > start
        lists = (column[due].tolist() for column in (np.arange(len(rows)), rows, start, until))
        for number, row, begin, end in zip(*lists, strict=True):
            chunk = self._packets(row, begin, end) if c.framed[row] else self._bytes(row, begin, end)
            if chunk is not None:
                yield number, chunk

    def _in_order(self, rows: Numbers, now_ns: int) -> Numbers:
        """Up to which position nothing of each row is waited for."""
        c = self._columns
        until = c.end[rows].copy()
        complete = c.accounted[rows] == c.high[rows] - c.base[rows] + 1
        complete |= now_ns - c.last_ns[rows] > self._idle_ns
        for n in np.flatnonzero(~complete).tolist():
            row = int(rows[n])
            count = min(self._reorder_samples // max(int(c.packet[row]), 1) + 1, WINDOW)
            lately = np.arange(max(int(c.base[row]), int(c.high[row]) - count + 1), int(c.high[row]) + 1)
            if not c.seen[row, lately & (WINDOW - 1)].all():
                until[n] -= self._reorder_samples
        return until

    def _bytes(self, row: int, begin: int, end: int) -> StreamChunk:
        payload = np.concatenate(self._tape.pieces(row, begin, end))
        return StreamChunk(*self._names[row], self._formats.in_use(row).codec, begin, payload)

    def _packets(self, row: int, begin: int, end: int) -> StreamChunk | None:
        """Those that end after `begin`; where they overlap what was before, by rounding, they count from there."""
        c = self._columns
        ext = np.arange(max(int(c.base[row]), int(c.high[row]) - WINDOW + 1), int(c.high[row]) + 1)
        slots = ext & (WINDOW - 1)
        place = c.where[row, slots] >> SIZE_BITS
        ext = ext[c.seen[row, slots] & (c.where[row, slots] & LOW_BITS > 0) & (place > begin) & (place <= end)]
        position, samples, size, payload = self._arena.take(row, ext)
        if not len(position):
            return None
        after = position + samples
        position = np.maximum(position, begin)
        frames = Frames(self._formats.in_use(row), end - begin, position - begin, after - position, size)
        return StreamChunk(*self._names[row], frames.format.codec, begin, payload, 0, frames)
