"""How evenly packets come, by column: interarrival jitter (RFC 3550 §6.4.1 and appendix A.8) and the drift of clocks.

Transit is the time of arrival less the position of a packet. Jitter is how much it varies; its least value in a window
of ten seconds hardly does, so that how this moves from the first window to the last tells the sender's clock from ours.
"""

import numpy as np

from agent.media.columns import Numbers
from agent.model.call import CLOCK_RATE

NS_PER_SAMPLE = 1_000_000_000 // CLOCK_RATE
WINDOW_NS = 10_000_000_000
LEAST_NS = 30_000_000_000
"""Over less time than this, a drift cannot be told from jitter."""
NOT_KNOWN = np.int64(-1 << 62)
"""A transit time, or a minimum of them, that there is none of."""
LAG_SAMPLES, LAG_NS = CLOCK_RATE, 250_000_000
"""A stream of which every packet of so long a time is later than that has lost its place."""
_NONE_YET = np.int64(1 << 62)
MOST_IN_A_ROW = 64
"""Packets of one stream in one block that count for its jitter: more are a burst after a stall."""


class Timing:
    """Jitter and drift of `rows` streams, in samples and monotonic ns."""

    def __init__(self, rows: int) -> None:
        self.transit = np.full(rows, NOT_KNOWN)  # of the last packet
        self.lowest = np.full(rows, NOT_KNOWN)  # the least since the window began
        self.window_ns = np.zeros(rows, np.int64)  # when it ends
        self.first = np.full(rows, NOT_KNOWN)  # the least in the first window
        self.first_ns = np.zeros(rows, np.int64)  # when that ended
        self.last = np.full(rows, NOT_KNOWN)  # the least in the last window that is over
        self.last_ns = np.zeros(rows, np.int64)
        self.least = np.full(rows, _NONE_YET)  # the least transit in the last moments,
        self.least_ns = np.zeros(rows, np.int64)  # until then
        self.lagging = np.zeros(rows, np.bool_)
        """Rows whose packets all come long after their place: the sender's clock stood still (a hold), and the next
        packet is where its arrival says. A burst after a stall is none: its last packets come in time."""
        self.jitter = np.zeros(rows)
        self.jitter_max = np.zeros(rows)

    def clear(self, row: int) -> None:
        """Make a row as new."""
        self.jitter[row] = self.jitter_max[row] = 0.0
        self.forget(row)

    def note(self, row: Numbers, starts: Numbers, transit: Numbers, arrival_ns: Numbers) -> None:
        """Packets grouped by row, in order of arrival; `starts` are where the groups begin, `transit` is in samples."""
        rows, counts = row[starts], np.diff(starts, append=len(row))
        last = starts + counts - 1
        step = np.empty_like(transit)
        np.subtract(transit[1:], transit[:-1], out=step[1:])
        before = self.transit[rows]
        step[starts] = np.where(before == NOT_KNOWN, 0, transit[starts] - before)
        np.abs(step, out=step)
        jitter = self.jitter[rows]
        jitter += (step[starts] - jitter) / 16
        for rank in range(1, min(int(counts.max()), MOST_IN_A_ROW)):
            going_on = np.flatnonzero(counts > rank)
            jitter[going_on] += (step[starts[going_on] + rank] - jitter[going_on]) / 16
        self.jitter[rows] = jitter
        self.jitter_max[rows] = np.maximum(self.jitter_max[rows], jitter)
        self.transit[rows] = transit[last]
        low = np.minimum.reduceat(transit, starts)
        self._lag(rows, low, arrival_ns[last])
        self._drift(rows, low, arrival_ns[last])

    def _lag(self, rows: Numbers, low: Numbers, now_ns: Numbers) -> None:
        over = now_ns >= self.least_ns[rows]
        least = self.least[rows]
        if over.any():
            late = over & (least > LAG_SAMPLES) & (least < _NONE_YET)
            self.lagging[rows[late]] = True
            self.least_ns[rows[over]] = now_ns[over] + LAG_NS
            least = np.where(over, _NONE_YET, least)
        self.least[rows] = np.minimum(least, low)

    def _drift(self, rows: Numbers, low: Numbers, now_ns: Numbers) -> None:
        ends, lowest = self.window_ns[rows], self.lowest[rows]
        over = now_ns >= ends
        self.lowest[rows] = np.where(over | (lowest == NOT_KNOWN), low, np.minimum(lowest, low))
        if not over.any():
            return
        done = rows[over & (lowest != NOT_KNOWN)]
        first = self.first[done] == NOT_KNOWN
        for chosen, low_of, at_of in (
            (first, self.first, self.first_ns),
            (~first, self.last, self.last_ns),
        ):
            low_of[done[chosen]] = lowest[over & (lowest != NOT_KNOWN)][chosen]
            at_of[done[chosen]] = self.window_ns[done[chosen]]
        self.window_ns[rows[over]] = now_ns[over] + WINDOW_NS

    def forget(self, row: int) -> None:
        """The stream begins anew: its transit is another from now on."""
        self.transit[row] = self.lowest[row] = self.first[row] = self.last[row] = NOT_KNOWN
        self.window_ns[row] = self.least_ns[row] = 0
        self.least[row], self.lagging[row] = _NONE_YET, False

    def drift_ppm(self, row: int) -> float:
        """How much faster the sender's clock runs than ours, in millionths; 0 while that is not known."""
        lasted_ns = int(self.last_ns[row] - self.first_ns[row])
        if self.last[row] == NOT_KNOWN or lasted_ns < LEAST_NS:
            return 0.0
        return float(self.first[row] - self.last[row]) * NS_PER_SAMPLE / lasted_ns * 1e6
