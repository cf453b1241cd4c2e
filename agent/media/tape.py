"""The buffers of rows whose codec has a byte a sample: rings in time, the sample at position p at p modulo their room.

All of a buffer that holds no media of its row is the silence of its codec.
"""

import numpy as np
import numpy.typing as npt

from agent.media.arena import scatter
from agent.media.columns import Columns, Numbers

Bytes = npt.NDArray[np.uint8]


class Tape:
    """The buffers of `columns`. No stretch may be longer than their room."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns

    def put(self, row: Numbers, position: Numbers, size: Numbers, flat: Bytes, at: Numbers) -> None:
        """Copy the `size` bytes from each `at` of `flat` to the row and position of each."""
        c = self._columns
        buffer, base, offset = c.buffer.reshape(-1), row * c.room, position % c.room
        over = np.flatnonzero(offset + size > c.room)
        if len(over):
            ramp = np.arange(int(size[over].sum())) - np.repeat(np.cumsum(size[over]) - size[over], size[over])
            target = (np.repeat(offset[over], size[over]) + ramp) % c.room + np.repeat(base[over], size[over])
            buffer[target] = flat[np.repeat(at[over], size[over]) + ramp]
            base, offset, size, at = (np.delete(column, over) for column in (base, offset, size, at))
        scatter(buffer, base + offset, flat, at, size)

    def pieces(self, row: int, start: int, stop: int) -> list[Bytes]:
        """Positions `start` to `stop` of a row, where they are: two pieces where the ring ends between them."""
        c = self._columns
        first, length = start % c.room, stop - start
        if first + length <= c.room:
            return [c.buffer[row, first : first + length]]
        return [c.buffer[row, first:], c.buffer[row, : first + length - c.room]]
