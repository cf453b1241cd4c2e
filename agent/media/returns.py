"""Streams that come back after a silence with what belongs long before: was it under way, or did a clock stand still?

Both look alike at first. A burst after a stall of the network soon brings what is in time; after a hold through which a
sender's clock stood still nothing ever does. Until that is told packets wait: put where their timestamps say, what was
said in a pause would lie before it (I1).
"""

import numpy as np
import numpy.typing as npt

from agent.media.aside import MOST, Aside
from agent.media.block import PacketBlock
from agent.media.columns import Columns, Numbers
from agent.media.timing import LAG_NS, Timing

SILENCE_NS = 1_000_000_000
RETURNING = -2
"""In place of its source, as long as packets of a row wait: nothing comes past them."""

Mask = npt.NDArray[np.bool_]


class Returns:
    """Of the rows of `columns`; what is found to have stood still is `lagging` in `timing`."""

    def __init__(self, columns: Columns, timing: Timing) -> None:
        self._columns = columns
        self._timing = timing
        self._held: dict[int, tuple[int, Aside]] = {}

    @property
    def holds_some(self) -> bool:
        """Whether packets of any row wait."""
        return bool(self._held)

    def hold(self, block: PacketBlock, row: Numbers, chosen: Mask, late: Mask, timely: Mask) -> tuple[Mask, list[int]]:
        """Put aside those of the packets chosen that have to wait; `late` ones come long after their place, `timely`
        ones do not. Returns which are left, and the rows of which it is told now what they are."""
        c = self._columns
        left, told = chosen.copy(), []
        for one in np.unique(row[chosen & (late | (c.source[row] == RETURNING))]).tolist():
            mine = np.flatnonzero(chosen & (row == one))
            if one not in self._held:
                arrival_ns = block.arrival_ns[mine]
                silence = np.diff(arrival_ns, prepend=c.last_ns[one])
                back = np.flatnonzero(late[mine] & (silence >= SILENCE_NS) & (block.source[mine] == c.source[one]))
                if not len(back):
                    continue
                mine = mine[back[0] :]
                self._held[one] = int(block.destination[mine[0]]), Aside(int(c.source[one]), int(arrival_ns[back[0]]))
                c.source[one], self._timing.lagging[one] = RETURNING, True
            _, aside = self._held[one]
            left[mine] = False
            own = mine[block.source[mine] == aside.source]
            c.foreign[one] += len(mine) - len(own) + aside.add(block, own)
            if timely[own].any():
                self._timing.lagging[one] = False
                told.append(one)
            elif aside.last_ns - aside.first_ns >= LAG_NS or len(aside.packets) >= MOST:
                told.append(one)
        return left, told

    def overdue(self, now_ns: int) -> list[int]:
        """Rows that have waited long enough by this time."""
        return [row for row, (_, aside) in self._held.items() if now_ns - aside.first_ns >= 2 * LAG_NS]

    def take(self, row: int) -> PacketBlock | None:
        """What waits of a row, to be taken in; where it is not told yet what it is, its clock stood still."""
        if (held := self._held.pop(row, None)) is None:
            return None
        destination, aside = held
        self._columns.source[row] = aside.source
        return aside.block(destination)

    def forget(self, row: int) -> None:
        """The stream is over."""
        self._held.pop(row, None)
