"""The state of all streams as columns: a row a stream, media in a buffer, recent sequence numbers in a window.

The buffer of a row is a ring in time for codecs of a byte a sample (`agent.media.tape`); for others (`framed`) packets
lie in it in order of arrival, and `frame` says where.

Positions are samples from the call's media origin. Extended sequence numbers count on over the wrap and start anew with
each restart of a stream.
"""

import numpy as np
import numpy.typing as npt

WINDOW = 512
"""Sequence numbers remembered for each stream: 10 s at 20 ms. So far back a copy is known to be a copy."""
LEAP = 256
"""A step of the sequence wider than this is a restart."""
SIZE_BITS = 11
LOW_BITS = (1 << SIZE_BITS) - 1
"""In `where` the low bits hold a packet's samples, the others the position of its end; in `frame` bytes and offset."""
PAYLOAD_TYPES = 128
NOISE, KEYS = 253, 254
"""In the low byte of `kinds`: comfort noise and telephone-events, which have a place in the sequence but no sound."""
Numbers = npt.NDArray[np.int64]


class Columns:
    """`rows` streams with room for `room` samples each."""

    def __init__(self, rows: int, room: int) -> None:
        self.rows, self.room = rows, room
        self._all: list[Numbers] = []
        self._flags: list[npt.NDArray[np.bool_]] = []

        self.start = self._numbers()  # position of the first sample in the buffer; nothing before it can be placed
        self.end = self._numbers()  # position after the last sample placed; `start` when there is none
        self.low = self._numbers()  # position of the first sample placed, until something is handed on
        self.covered = self._numbers()  # samples placed in the buffer; the rest of it up to `end` is silence
        self.want = self._numbers()  # samples that make the next chunk due

        self.high = self._numbers()  # newest sequence number
        self.first = self._numbers()  # oldest one since the last restart
        self.base = self._numbers()  # first one whose place is not handed on
        self.accounted = self._numbers()  # packets seen from `base` on: all of them if it is `high` - `base` + 1
        self.expected = self._numbers()  # packets expected by sequence number before the last restart

        self.source = self._numbers()  # key of the address it comes from; 0 before the first packet
        self.announced = self._numbers()  # key of the address it was said to come from; 0 when none was
        self.since_ns = self._numbers()  # what arrived earlier was meant for somebody else
        # Of the last stream at the same address, where `barred`: SSRC, timestamp of its last packet, when that arrived
        self.dead_ssrc, self.dead_ts, self.dead_ns = self._numbers(), self._numbers(), self._numbers()

        self.current = self._numbers()  # the audio format in use: its number in the low byte of `kinds`
        self.rate = self._numbers()  # clock rate of its timestamps
        self.fill = self._numbers()  # bytes used of the buffer of a framed row
        self.packet = self._numbers()  # samples of the last packet

        self.noise = self._numbers()

        self.ssrc = self._numbers()
        self.ref_ts = self._numbers()  # RTP timestamp of a packet …
        self.ref_position = self._numbers()  # … and its position, which others are reckoned from
        self.origin_ns = self._numbers()
        self.last_ns = self._numbers()  # arrival of the last packet

        self.received = self._numbers()
        self.placed = self._numbers()
        self.mute = self._numbers()  # no audio, in the stream's own sequence (telephone-events …)
        self.late = self._numbers()
        self.duplicates = self._numbers()
        self.reordered = self._numbers()
        self.foreign = self._numbers()
        self.stale = self._numbers()
        self.jumps = self._numbers()

        self.active = self._flag()
        self.locked = self._flag()
        self.barred = self._flag()
        self.begun = self._flag()  # something was handed on since the buffer was begun
        self.framed = self._flag()  # of packets in `frame`, not of a byte a sample
        self.waits = self._flag()  # what is in order stays in the buffer until it is released
        self.told = self._flag()  # media of the format in use has been handed on
        self.kinds = np.zeros((rows, PAYLOAD_TYPES), np.uint16)
        """For each payload type the number of its format (0: not announced), and above that byte the number of its
        measure (0: a byte a sample)."""
        self.silence = np.zeros(rows, np.uint8)
        self.buffer = np.empty((rows, room), np.uint8)
        self.seen = np.zeros((rows, WINDOW), np.bool_)
        self.where = np.zeros((rows, WINDOW), np.int64)
        self.frame = np.zeros((rows, WINDOW), np.int64)  # of framed rows only: the memory of others is never touched

    def _numbers(self) -> Numbers:
        column: Numbers = np.zeros(self.rows, np.int64)
        self._all.append(column)
        return column

    def _flag(self) -> npt.NDArray[np.bool_]:
        column = np.zeros(self.rows, np.bool_)
        self._flags.append(column)
        return column

    def clear(self, row: int) -> None:
        """Make a row as new."""
        for column in (*self._all, *self._flags):
            column[row] = 0
        self.kinds[row] = 0
        self.seen[row] = False

    def lost(self, row: int) -> int:
        """Packets expected by sequence number that were never placed."""
        expected = self.expected[row] + (self.high[row] - self.first[row] + 1 if self.locked[row] else 0)
        return int(expected - self.placed[row] - self.mute[row])


def signed32(difference: Numbers) -> Numbers:
    """A difference of 32-bit timestamps, the nearer way round."""
    near: Numbers = (difference + 0x8000_0000 & 0xFFFF_FFFF) - 0x8000_0000
    return near
