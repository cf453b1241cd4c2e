"""Keys pressed on a phone, told in the stream itself (RFC 4733): each once, however many packets tell of it."""

import numpy as np

from agent.media.block import PacketBlock, gather
from agent.media.columns import Columns, Numbers, signed32
from agent.media.timing import NS_PER_SAMPLE
from agent.model.call import CLOCK_RATE

EVENT_BYTES = 4
LAST_KEY = 15
"""Events above are no keys: flash, tones of modems."""
MOST_UNDER_WAY = CLOCK_RATE // 4
"""So long may the first packet of a key that comes at all have been under way."""
MOST_A_BLOCK = 256
"""Who presses more keys within milliseconds has no fingers."""


class Keys:
    """Tells new keys from more packets of the last one, for every row of `columns`."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self.count = np.zeros(columns.rows, np.int64)
        self._timestamp = np.zeros(columns.rows, np.int64)  # of the last key,
        self._ssrc = np.zeros(columns.rows, np.int64)  # and of whose clock that is

    def clear(self, row: int) -> None:
        """Make a row as new."""
        self.count[row] = 0

    def note(
        self, block: PacketBlock, at: Numbers, row: Numbers, ssrc: Numbers, timestamp: Numbers, arrival_ns: Numbers
    ) -> list[tuple[int, int, int]]:
        """Row, event and position of each key that begins with these telephone-events, whose data lie at `at`.

        A key is where its timestamp says, but never later than it arrived, nor much earlier: what is pressed during a
        pause must not seem to be of before it (I1). Before the first sound of a row it is where it arrived.
        """
        c = self._columns
        event = gather(block.memory, at, EVENT_BYTES)[:, 0].astype(np.int64)
        first = np.unique(row << 32 | timestamp, return_index=True)[1]
        pressed = []
        for one in np.sort(first[:MOST_A_BLOCK]).tolist():
            r, ts, key = int(row[one]), timestamp[one : one + 1], int(event[one])
            newer = self.count[r] == 0 or self._ssrc[r] != ssrc[one] or signed32(ts - self._timestamp[r])[0] > 0
            if key > LAST_KEY or not newer:
                continue
            self.count[r] += 1
            self._timestamp[r], self._ssrc[r] = ts[0], ssrc[one]
            position = arrived = (int(arrival_ns[one]) - int(c.origin_ns[r])) // NS_PER_SAMPLE
            if c.locked[r]:
                ticks = int(signed32(ts - c.ref_ts[r])[0])
                position = int(c.ref_position[r]) + ticks * CLOCK_RATE // int(c.rate[r])
            pressed.append((r, key, max(0, arrived - MOST_UNDER_WAY, min(position, arrived))))
        return pressed
