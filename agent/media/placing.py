"""Putting packets where they belong: by column for all streams at once, and a run at a time where a stream is odd.

Sequence numbers are extended as in RFC 3550 appendix A.1; positions follow RTP timestamps, so silence suppression and
holds become gaps of the right length. A stream keeps to its SSRC: another one, a leap of the sequence, or a timestamp
that disagrees with the clock of arrival is a restart, unless the stream goes on as before after it: then it is foreign.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agent.media.arena import Arena
from agent.media.columns import LEAP, SIZE_BITS, WINDOW, Columns, Numbers, signed32
from agent.media.tape import Tape
from agent.media.timing import NS_PER_SAMPLE, Timing
from agent.model.call import CLOCK_RATE

AHEAD_SAMPLES = 2 * CLOCK_RATE
"""Media cannot be from the future; so much allows for clocks that drift over a long call."""
BEHIND_SAMPLES = 10 * CLOCK_RATE
"""A burst after a stall of the network may be so old."""
OVERLAP_SAMPLES = 8
"""So much may packets that are not cut into samples overlap, by rounding."""
MOST_SSRCS = 64
MOST_RESTARTS = 8
"""Restarts and changes of format of one stream in one block; more are no gateway, and counted as foreign."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Packets of known streams, in order of arrival. `mute` ones have a place in the sequence but nothing to hear.

    `at` is the offset of the media in the memory of the block, `length` its bytes, `size` how long it is in samples (0
    when mute); `kind` is the number of its format in its row.
    """

    row: Numbers
    ssrc: Numbers
    sequence: Numbers
    timestamp: Numbers
    at: Numbers
    length: Numbers
    size: Numbers
    kind: Numbers
    mute: npt.NDArray[np.bool_]
    arrival_ns: Numbers

    def __len__(self) -> int:
        return len(self.row)

    def take(self, chosen: npt.NDArray[np.int64] | npt.NDArray[np.bool_] | slice) -> "Arrivals":
        """Those chosen, in the same order."""
        return Arrivals(
            self.row[chosen],
            self.ssrc[chosen],
            self.sequence[chosen],
            self.timestamp[chosen],
            self.at[chosen],
            self.length[chosen],
            self.size[chosen],
            self.kind[chosen],
            self.mute[chosen],
            self.arrival_ns[chosen],
        )


class Placer:
    """Places arrivals in `columns`. `hand_on(row)` must hand on all media of a row and empty its buffer;
    `hand_on_ordered(row)` what need not wait for missing packets any longer; `use(row, kind)` make a format the one in
    use, with an empty buffer."""

    def __init__(
        self,
        columns: Columns,
        reorder_samples: int,
        hand_on: Callable[[int], None],
        hand_on_ordered: Callable[[int], None],
        use: Callable[[int, int], None],
    ) -> None:
        self._columns = columns
        self._tape, self._arena = Tape(columns), Arena(columns)
        self.timing = Timing(columns.rows)
        self._reorder_samples = reorder_samples
        self._hand_on = hand_on
        self._hand_on_ordered = hand_on_ordered
        self._use = use
        self._order = np.zeros(columns.rows * WINDOW, np.int32)
        self.ssrcs: dict[int, list[int]] = {}
        """Every SSRC a row was locked to, in order, up to MOST_SSRCS."""

    def place(self, arrivals: Arrivals, flat: npt.NDArray[np.uint8]) -> None:
        """Place everything; `flat` is the memory that `at` points into."""
        if not len(arrivals):
            return
        columns = self._columns
        if (arrivals.row[1:] < arrivals.row[:-1]).any():
            arrivals = arrivals.take(np.argsort(arrivals.row.astype(np.uint16), kind="stable"))
        if not columns.locked[arrivals.row].all():
            self._anchor_new(arrivals)
        in_order, ext, position, transit = self._continues(arrivals)
        if not in_order.all():
            odd_rows = np.zeros(columns.rows, np.bool_)
            odd_rows[arrivals.row[~in_order]] = True
            odd = odd_rows[arrivals.row]
            self._place_some(arrivals.take(odd), flat)
            arrivals, ext, position, transit = arrivals.take(~odd), ext[~odd], position[~odd], transit[~odd]
        self._place_in_order(arrivals, ext, position, transit, flat)

    def _anchor_new(self, a: Arrivals) -> None:
        """Lock every row that has heard nothing yet and whose first packet here is to be heard, all of them at once."""
        c = self._columns
        first = np.flatnonzero(_first_of_each(a.row) & ~c.locked[a.row] & ~a.mute)
        rows, size = a.row[first], a.size[first]
        for one in np.flatnonzero(a.kind[first] != c.current[rows]).tolist():
            self._use(int(rows[one]), int(a.kind[first[one]]))
        arrived = (a.arrival_ns[first] - c.origin_ns[rows]) // NS_PER_SAMPLE
        position = np.maximum(arrived - size, 0)
        ext = (1 << 16) + a.sequence[first]
        c.locked[rows], c.ssrc[rows] = True, a.ssrc[first]
        c.high[rows], c.first[rows], c.base[rows] = ext - 1, ext, ext
        c.ref_ts[rows], c.ref_position[rows], c.low[rows] = a.timestamp[first], position, position
        c.start[rows] = c.end[rows] = np.maximum(position - self._reorder_samples, 0)
        for row, ssrc in zip(rows.tolist(), a.ssrc[first].tolist(), strict=True):
            self.ssrcs[row] = [ssrc]

    def _continues(self, a: Arrivals) -> tuple[npt.NDArray[np.bool_], Numbers, Numbers, Numbers]:
        """Which packets are just the next of their streams, all of them heard; extended sequence numbers, positions,
        and how many samples after its position each came.

        Nothing but counting on is to be done for a row of such packets: none can be late, a copy or out of order.
        """
        c, row = self._columns, a.row
        new = _first_of_each(row)
        starts = np.flatnonzero(new)
        rank = np.arange(len(row)) - np.repeat(starts, np.diff(starts, append=len(row)))
        ext = c.high[row] + 1 + rank
        position = self.position(a.row, a.timestamp)
        end = position + a.size
        before = np.where(new, c.end[row], 0)
        before[1:] = np.where(new[1:], before[1:], end[:-1])
        transit = (a.arrival_ns - c.origin_ns[row]) // NS_PER_SAMPLE - position
        ok = c.locked[row] & ~a.mute & (a.ssrc == c.ssrc[row]) & ((ext ^ a.sequence) & 0xFFFF == 0)
        if self.timing.lagging.any():
            ok &= ~self.timing.lagging[row]
        framed = c.framed[row]
        ok &= (
            (position >= before - OVERLAP_SAMPLES * framed) & (transit >= -AHEAD_SAMPLES) & (transit <= BEHIND_SAMPLES)
        )
        ok &= (end <= c.start[row] + c.room) & (a.kind == c.current[row])
        if framed.any():
            ok &= ~framed | self._arena.fits(row, a.length)
        return ok, ext, position, transit

    def position(self, row: Numbers, timestamp: Numbers) -> Numbers:
        """Where in the call packets belong, by their timestamps."""
        c = self._columns
        ticks, rate = signed32(timestamp - c.ref_ts[row]), c.rate[row]
        if (rate != CLOCK_RATE).any():
            ticks = ticks * CLOCK_RATE // rate
        position: Numbers = c.ref_position[row] + ticks
        return position

    def _refer(self, row: Numbers, timestamp: Numbers, position: Numbers) -> None:
        """Reckon from these packets on; not from one whose position had to be rounded."""
        c = self._columns
        rate = c.rate[row]
        if (rate != CLOCK_RATE).any():
            exact = signed32(timestamp - c.ref_ts[row]) * CLOCK_RATE % rate == 0
            row, timestamp, position = row[exact], timestamp[exact], position[exact]
        c.ref_ts[row], c.ref_position[row] = timestamp, position

    def _place_in_order(
        self, a: Arrivals, ext: Numbers, position: Numbers, transit: Numbers, flat: npt.NDArray[np.uint8]
    ) -> None:
        """Rows of packets that `_continues` found in order."""
        if not len(a):
            return
        c, row = self._columns, a.row
        starts = np.flatnonzero(_first_of_each(row))
        counts = np.diff(starts, append=len(row))
        last = starts + counts - 1
        rows = row[starts]
        end = position + a.size
        key = row * WINDOW + (ext & (WINDOW - 1))
        c.seen.reshape(-1)[key] = True
        c.where.reshape(-1)[key] = end << SIZE_BITS | a.size
        self._keep(a, ext, position, flat)
        self.timing.note(row, starts, transit, a.arrival_ns)
        for counted in (c.received, c.placed, c.accounted):
            counted[rows] += counts
        c.covered[rows] += np.add.reduceat(a.size, starts)
        c.low[rows] = np.minimum(c.low[rows], position[starts])
        c.end[rows], c.high[rows], c.last_ns[rows] = end[last], ext[last], a.arrival_ns[last]
        c.packet[rows] = a.size[last]
        self._refer(rows, a.timestamp[last], position[last])

    def _place_some(self, arrivals: Arrivals, flat: npt.NDArray[np.uint8]) -> None:
        """Rows, in order of their numbers, in which there is something that is not just the next packet."""
        columns = self._columns
        going_on, fits, ext, position = self._reckon(arrivals)
        regular = going_on & fits
        if not regular.all():
            odd_rows = np.zeros(columns.rows, np.bool_)
            odd_rows[arrivals.row[~regular]] = True
            odd = odd_rows[arrivals.row]
            for row in np.unique(arrivals.row[odd]).tolist():
                self._place_odd(row, arrivals.take(arrivals.row == row), flat)
            arrivals, ext, position = arrivals.take(~odd), ext[~odd], position[~odd]
        self._place_regular(arrivals, ext, position, flat)

    def _reckon(self, a: Arrivals) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], Numbers, Numbers]:
        """Which packets go on with their streams as these stand; which are of the format in use and have room in the
        buffer; their extended sequence numbers and positions."""
        c = self._columns
        row = a.row
        step = (a.sequence - c.high[row] + 0x8000 & 0xFFFF) - 0x8000
        position = self.position(a.row, a.timestamp)
        now = (a.arrival_ns - c.origin_ns[row]) // NS_PER_SAMPLE
        plausible = (position <= now + AHEAD_SAMPLES) & (position >= now - BEHIND_SAMPLES)
        plausible &= (step <= 0) | (position >= c.end[row] - self._reorder_samples)
        going_on = c.locked[row] & (a.ssrc == c.ssrc[row]) & (step <= LEAP) & (step > LEAP - WINDOW)
        going_on &= (a.mute | plausible) & ~self.timing.lagging[row]
        fits = (position + a.size - c.start[row] <= c.room) & (a.kind == c.current[row])
        if (framed := c.framed[row]).any():
            fits &= ~framed | self._arena.fits(row, np.where(a.mute, 0, a.length))
        fits |= a.mute
        return going_on, fits, c.high[row] + step, position

    def _place_odd(self, row: int, a: Arrivals, flat: npt.NDArray[np.uint8]) -> None:
        """One row's packets, run by run: what is regular is placed, the first that is not decides what happens."""
        restarts = 0
        if not self._columns.locked[row]:
            heard = np.flatnonzero(~a.mute)
            a = a.take(slice(int(heard[0]) if len(heard) else len(a), None))
        while len(a):
            going_on, fits, ext, position = self._reckon(a)
            regular = going_on & fits
            run = len(a) if regular.all() else int(np.argmin(regular))
            if run:
                self._place_regular(a.take(slice(0, run)), ext[:run], position[:run], flat)
                a = a.take(slice(run, None))
            elif going_on[0] and a.kind[0] == self._columns.current[row]:
                self._make_room(a, int(position[0]), int(ext[0]))
            elif going_on[0] and restarts < MOST_RESTARTS:
                self._change_format(row, a)
                restarts += 1
            elif a.mute[0]:
                a = a.take(slice(1, None))
            elif going_on[1:].any() or restarts == MOST_RESTARTS:
                self._columns.foreign[row] += 1
                a = a.take(slice(1, None))
            else:
                self._anchor(row, a)
                restarts += 1

    def _make_room(self, a: Arrivals, position: int, ext: int) -> None:
        """Hand on what is in order, or else all there is and begin the buffer anew just before the first packet."""
        c, row, size = self._columns, int(a.row[0]), int(a.size[0])
        self._hand_on_ordered(row)
        room = not c.framed[row] or c.fill[row] + a.length[0] <= c.room
        if room and position + size - c.start[row] <= c.room:
            return
        self._hand_on(row)
        self._begin(row, position)
        c.base[row], c.accounted[row] = ext, 0

    def _change_format(self, row: int, a: Arrivals) -> None:
        """The stream goes on in the format of the first of these packets."""
        c = self._columns
        rate = int(c.rate[row])
        self._hand_on(row)
        self._use(row, int(a.kind[0]))
        if c.rate[row] != rate:
            self._anchor(row, a)

    def _anchor(self, row: int, a: Arrivals) -> None:
        """Lock a stream to the first of these packets: its position is its time of arrival."""
        c = self._columns
        if c.locked[row]:
            self._hand_on(row)
            self.timing.forget(row)
            c.expected[row] += c.high[row] - c.first[row] + 1
            c.jumps[row] += 1
        if a.kind[0] != c.current[row]:
            self._use(row, int(a.kind[0]))
        ssrc = int(a.ssrc[0])
        known = self.ssrcs.setdefault(row, [])
        if (not known or known[-1] != ssrc) and len(known) < MOST_SSRCS:
            known.append(ssrc)
        arrived = (int(a.arrival_ns[0]) - int(c.origin_ns[row])) // NS_PER_SAMPLE
        position = max(arrived - int(a.size[0]), int(c.end[row]), 0)
        ext = (1 << 16) + int(a.sequence[0])
        c.locked[row], c.ssrc[row], c.seen[row] = True, ssrc, False
        c.high[row], c.first[row], c.base[row], c.accounted[row] = ext - 1, ext, ext, 0
        c.ref_ts[row], c.ref_position[row] = a.timestamp[0], position
        self._begin(row, position)

    def _begin(self, row: int, position: int) -> None:
        """An empty buffer with room for packets that come before the one at `position`."""
        c = self._columns
        c.start[row] = c.end[row] = max(int(c.end[row]), position - self._reorder_samples)
        c.low[row], c.begun[row], c.covered[row] = position, False, 0
        c.buffer[row], c.fill[row] = c.silence[row], 0
        c.where[row] = 0  # what stood there has been handed on

    def _place_regular(self, a: Arrivals, ext: Numbers, position: Numbers, flat: npt.NDArray[np.uint8]) -> None:
        """Packets grouped by row, each of which continues its stream."""
        if not len(a):
            return
        c = self._columns
        row = a.row
        starts = np.flatnonzero(_first_of_each(row))
        rows = row[starts]
        high_before = c.high[rows]
        high = np.maximum(np.maximum.reduceat(ext, starts), high_before)
        self._forget(rows, high_before, high)
        key = row * WINDOW + (ext & (WINDOW - 1))
        index = np.arange(len(key), dtype=np.int32)
        self._order[key[::-1]] = index[::-1]
        fresh = (self._order[key] == index) & ~c.seen.reshape(-1)[key]
        c.seen.reshape(-1)[key] = True
        heard = ~a.mute
        late = fresh & heard & (position + np.where(c.framed[row], a.size - 1, 0) < c.start[row])
        placed = fresh & heard & ~late
        reordered = placed & (ext < self._running_high(ext, starts, high_before))
        c.where.reshape(-1)[key[fresh]] = np.where(placed, (position + a.size << SIZE_BITS) | a.size, 0)[fresh]
        if placed.any():
            chosen = a.take(placed)
            self._keep(chosen, ext[placed], position[placed], flat)
            groups = np.flatnonzero(_first_of_each(chosen.row))
            transit = (chosen.arrival_ns - c.origin_ns[chosen.row]) // NS_PER_SAMPLE - position[placed]
            self.timing.note(chosen.row, groups, transit, chosen.arrival_ns)
            last = np.append(groups[1:], len(chosen)) - 1
            c.packet[chosen.row[last]] = chosen.size[last]

        c.received[rows] += np.add.reduceat(heard, starts, dtype=np.int64)
        c.placed[rows] += np.add.reduceat(placed, starts, dtype=np.int64)
        c.mute[rows] += np.add.reduceat(fresh & ~heard, starts, dtype=np.int64)
        c.late[rows] += np.add.reduceat(late, starts, dtype=np.int64)
        c.duplicates[rows] += np.add.reduceat(heard & ~fresh, starts, dtype=np.int64)
        c.reordered[rows] += np.add.reduceat(reordered, starts, dtype=np.int64)
        c.covered[rows] += np.add.reduceat(np.where(placed, a.size, 0), starts)
        oldest = np.minimum.reduceat(np.where(fresh, ext, high[0] + (1 << 40)), starts)
        c.first[rows] = np.minimum(c.first[rows], oldest)
        oldest = np.minimum.reduceat(np.where(fresh & ~late, ext, high[0] + (1 << 40)), starts)
        opening = ~c.begun[rows]
        lowered = np.where(opening, np.minimum(c.base[rows], oldest), c.base[rows])
        c.base[rows] = lowered
        c.accounted[rows] += np.add.reduceat(fresh & (ext >= c.base[row]), starts, dtype=np.int64)
        c.low[rows] = np.minimum(c.low[rows], np.minimum.reduceat(np.where(placed, position, 1 << 60), starts))
        c.end[rows] = np.maximum(c.end[rows], np.maximum.reduceat(np.where(placed, position + a.size, -1), starts))
        c.high[rows] = high
        c.last_ns[rows] = np.maximum.reduceat(a.arrival_ns, starts)
        self._refer(row[placed], a.timestamp[placed], position[placed])

    def _forget(self, rows: Numbers, before: Numbers, after: Numbers) -> None:
        """Clear the places of sequence numbers that come into the window."""
        advance = after - before
        total = int(advance.sum())
        if total:
            ends = np.cumsum(advance)
            ramp = np.arange(1, total + 1) - np.repeat(ends - advance, advance)
            ext = np.repeat(before, advance) + ramp
            self._columns.seen.reshape(-1)[np.repeat(rows * WINDOW, advance) + (ext & (WINDOW - 1))] = False

    @staticmethod
    def _running_high(ext: Numbers, starts: Numbers, high_before: Numbers) -> Numbers:
        """For each packet the newest sequence number up to and including it."""
        lifted = ext.copy()
        lifted[starts] = np.maximum(lifted[starts], high_before)
        tier = np.zeros(len(ext), np.int64)
        tier[starts[1:]] = 1
        tier = np.cumsum(tier) << 40
        running: Numbers = np.maximum.accumulate(lifted + tier) - tier
        return running

    def _keep(self, a: Arrivals, ext: Numbers, position: Numbers, flat: npt.NDArray[np.uint8]) -> None:
        """Copy media into the buffers: each byte to its place in time, or whole packets one after the other."""
        c = self._columns
        framed = c.framed[a.row]
        if framed.any():
            self._arena.store(a.row[framed], ext[framed], a.at[framed], a.length[framed], flat)
            a, position = a.take(~framed), position[~framed]
        self._tape.put(a.row, position, a.size, flat, a.at)


def _first_of_each(row: Numbers) -> npt.NDArray[np.bool_]:
    """Where a group of equal numbers begins."""
    new = np.ones(len(row), np.bool_)
    np.not_equal(row[1:], row[:-1], out=new[1:])
    return new
