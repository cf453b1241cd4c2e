"""Packets of codecs without a byte a sample: bytes in order of arrival in the buffer of their row, found by sequence.

A packet is not split and not changed. What is handed on leaves the buffer; what stays is moved to its front.
"""

import numpy as np
import numpy.typing as npt

from agent.media.columns import LOW_BITS, SIZE_BITS, WINDOW, Columns, Numbers

MOST_BYTES = LOW_BITS

Bytes = npt.NDArray[np.uint8]


def scatter(buffer: Bytes, target: Numbers, flat: Bytes, at: Numbers, size: Numbers) -> None:
    """Copy `size` bytes from each `at` of `flat` to each `target` of `buffer`, all of one size by one gather."""
    if not len(size):
        return
    low, high = int(size.min()), int(size.max())
    for one in [low] if low == high else np.unique(size).tolist():
        item = np.dtype(f"V{one}")
        into = np.ndarray((len(buffer) - one + 1,), item, buffer, strides=(1,))
        out_of = np.ndarray((len(flat) - one + 1,), item, flat, strides=(1,))
        if low == high:
            into[target] = out_of[at]
        else:
            chosen = size == one
            into[target[chosen]] = out_of[at[chosen]]


class Arena:
    """The buffers of the framed rows of `columns`."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns

    def store(self, row: Numbers, ext: Numbers, at: Numbers, size: Numbers, flat: Bytes) -> None:
        """Keep packets, grouped by row, of `size` bytes at `at` of `flat`; there must be room (see `fits`)."""
        c = self._columns
        starts, before = _groups(row, size)
        offset = c.fill[row] + before
        scatter(c.buffer.reshape(-1), row * c.room + offset, flat, at, size)
        c.frame.reshape(-1)[row * WINDOW + (ext & (WINDOW - 1))] = offset << SIZE_BITS | size
        c.fill[row[starts]] += np.add.reduceat(size, starts)

    def fits(self, row: Numbers, size: Numbers) -> npt.NDArray[np.bool_]:
        """Which packets, grouped by row, have room if those before them are stored as well."""
        c = self._columns
        _, before = _groups(row, size)
        room: npt.NDArray[np.bool_] = c.fill[row] + before + size <= c.room
        return room

    def take(self, row: int, ext: Numbers) -> tuple[Numbers, Numbers, Numbers, Bytes]:
        """Packets of a row by sequence number: position, samples, bytes of each, and their bytes, by position."""
        c = self._columns
        where, frame = c.where[row, ext & (WINDOW - 1)], c.frame[row, ext & (WINDOW - 1)]
        samples = where & LOW_BITS
        position = (where >> SIZE_BITS) - samples
        order = np.argsort(position, kind="stable")
        frame = frame[order]
        return position[order], samples[order], frame & LOW_BITS, self._bytes(row, frame)

    def keep_only(self, row: int, ext: Numbers) -> None:
        """Move the packets of these sequence numbers to the front; all others are gone."""
        c = self._columns
        slots = ext & (WINDOW - 1)
        frame = c.frame[row, slots]
        kept, size = self._bytes(row, frame), frame & LOW_BITS
        c.buffer[row, : len(kept)] = kept
        c.frame[row, slots] = (np.cumsum(size) - size) << SIZE_BITS | size
        c.fill[row] = len(kept)

    def _bytes(self, row: int, frame: Numbers) -> Bytes:
        """The bytes of packets, one after the other, as a copy."""
        size = frame & LOW_BITS
        index = np.repeat((frame >> SIZE_BITS) - (np.cumsum(size) - size), size) + np.arange(int(size.sum()))
        kept: Bytes = self._columns.buffer[row, index]
        return kept


def _groups(row: Numbers, size: Numbers) -> tuple[Numbers, Numbers]:
    """Where each group of equal rows begins, and for each packet the bytes of those before it in its group."""
    new = np.ones(len(row), np.bool_)
    np.not_equal(row[1:], row[:-1], out=new[1:])
    starts = np.flatnonzero(new)
    before = np.cumsum(size) - size
    before -= np.repeat(before[starts], np.diff(starts, append=len(row)))
    return starts, before
