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

    def view(self, row: int, start: int, stop: int) -> Bytes:
        """Positions `start` to `stop` of a row, where they are if that is in one piece."""
        parts = self._parts(start, stop)
        pieces = [self._columns.buffer[row, part] for part in parts]
        return pieces[0] if len(parts) == 1 else np.concatenate(pieces)

    def silence(self, row: int, start: int, stop: int) -> None:
        """Make positions `start` to `stop` of a row silent."""
        c = self._columns
        for part in self._parts(start, stop):
            c.buffer[row, part] = c.silence[row]

    def _parts(self, start: int, stop: int) -> list[slice]:
        room = self._columns.room
        first, length = start % room, stop - start
        if first + length <= room:
            return [slice(first, first + length)]
        return [slice(first, room), slice(0, first + length - room)]
