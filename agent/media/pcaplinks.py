"""What capture files have in common: records gathered into blocks, and the header that each link type puts in front.

Link types and their headers: tcpdump.org/linktypes.html. Of the Linux cooked headers the protocol is an ethertype.
"""

import numpy as np
import numpy.typing as npt

from agent.media.block import Frames
from agent.media.frames import ETHERNET, RAW_IP

MOST_PACKETS = 4096
SLICE_NS = 250_000_000
"""No block covers more time: what is handed on by the clock is handed on as if it came in live."""
LATEST_NS = 1 << 62
"""Times are kept within what columns of 64 bits can be reckoned with."""

_FIXED = {1: (0, ETHERNET), 12: (0, RAW_IP), 14: (0, RAW_IP), 101: (0, RAW_IP), 228: (0, RAW_IP), 229: (0, RAW_IP)}
_FIXED |= {0: (4, RAW_IP), 108: (4, RAW_IP)}
"""By link type: bytes to pass over, and what comes then. The family of BSD loopback says no more than IP itself."""
_COOKED = {113: (16, 14), 276: (20, 0)}
"""By link type: bytes of the header, and where in it the ethertype is."""

Numbers = npt.NDArray[np.int64]


class Batch:
    """Gathers the records of a stretch of file (`begin`) into blocks."""

    def __init__(self) -> None:
        self.packets = self.cut = self.unread = 0
        self._data = b""
        self._links: list[int] = []
        self._starts: list[int] = []
        self._stops: list[int] = []
        self._times: list[int] = []
        self._until = self._from = 0

    def begin(self, data: bytes) -> None:
        """The following records lie in `data`; those of before must have been taken."""
        self._data = data

    def add(self, link: int, start: int, stop: int, at_ns: int, original: int) -> Frames | None:
        """One record; returns the block before it when it is full. `original`: the bytes its frame once had."""
        full = None
        at_ns = min(max(at_ns, 0), LATEST_NS)
        if len(self._starts) >= MOST_PACKETS or not self._from <= at_ns < self._until:
            full = self.take()
            self._from, self._until = at_ns, at_ns + SLICE_NS
        self._links.append(link)
        self._starts.append(start)
        self._stops.append(stop)
        self._times.append(at_ns)
        self.packets += 1
        self.cut += stop - start < original
        return full

    def take(self) -> Frames | None:
        """What was gathered; None when that is nothing. Frames of unknown link types are counted and left out."""
        if not self._starts:
            return None
        memory = np.frombuffer(self._data, np.uint8)
        start, stop = np.array(self._starts, np.int64), np.array(self._stops, np.int64)
        link, arrival = np.array(self._links, np.int64), np.array(self._times, np.int64)
        for column in (self._links, self._starts, self._stops, self._times):
            column.clear()
        start, kind, known = _unwrap(memory, link, start, stop)
        self.unread += len(known) - int(np.count_nonzero(known))
        if known.all():
            return Frames(memory, start, stop, kind, arrival)
        return Frames(memory, start[known], stop[known], kind[known], arrival[known]) if known.any() else None


def _unwrap(
    memory: npt.NDArray[np.uint8], link: Numbers, start: Numbers, stop: Numbers
) -> tuple[Numbers, Numbers, npt.NDArray[np.bool_]]:
    """Where each frame goes on behind its link header, what comes there, and whether the link type is known."""
    kind, known, last = np.zeros_like(start), np.zeros(len(start), np.bool_), len(memory) - 1
    for one in np.unique(link).tolist():
        mine = link == one
        if one in _FIXED:
            skip, kind[mine] = _FIXED[one]
        elif one in _COOKED:
            skip, place = _COOKED[one]
            at = start[mine] + place
            kind[mine] = memory[np.minimum(at, last)].astype(np.int64) << 8 | memory[np.minimum(at + 1, last)]
        else:
            continue
        known |= mine
        start = np.where(mine, np.minimum(start + skip, stop), start)
    return start, kind, known
