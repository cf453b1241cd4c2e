"""What is given up, in which order, when there are more live calls than the box can transcribe, and given back.

1. Guesses come less often: every 0.5, 1, then 2 seconds of speech.
2. The customer's channel first.
3. No guesses any more: what was said comes when its turn is over.
4. No live text for the newest calls, which is said of each.

Down after two seconds of trouble, up again after eight of calm that would hold with the additional work. Final texts
are no step of it: they wait while anything is given up (`Ladder.strained`), recordings never do.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rung:
    """One step. Below `late_limit_s` (95 % of windows are done so soon after they were due) it holds.

    `more_work`: what the work may grow to, as a factor, when the rung above is taken again.
    """

    name: str
    step_s: float
    customers_first: bool
    guesses: bool
    late_limit_s: float
    more_work: float


RUNGS = (
    Rung("full", 0.5, False, True, 0.5, 1.0),
    Rung("step_1s", 1.0, False, True, 1.0, 2.0),
    Rung("step_2s", 2.0, False, True, 2.0, 2.0),
    Rung("customers_first", 2.0, True, True, 2.0, 1.0),
    Rung("turns_only", 2.0, True, False, 2.0, 3.0),
)
TROUBLE_S, CALM_S = 2.0, 8.0
MOST_USE = 0.75
"""Of the workers' time; no rung is climbed that would need more."""


class Ladder:
    """Where on the ladder live transcription is."""

    def __init__(self) -> None:
        self.level = 0
        self.off = 0
        """So many of the newest calls have no live text."""
        self._since = 0.0
        self._calm_since: float | None = None

    @property
    def rung(self) -> Rung:
        """The step that holds."""
        return RUNGS[self.level]

    @property
    def strained(self) -> bool:
        """Whether anything is given up."""
        return self.level > 0 or self.off > 0

    def observe(self, late_s: float, use: float, calls: int, now: float) -> None:
        """Take what was measured lately: lateness (95th percentile), use of the workers' time, calls there are."""
        self.off = min(self.off, max(calls - 1, 0))
        if late_s > self.rung.late_limit_s:
            self._calm_since = None
            if now - self._since >= TROUBLE_S:
                self._down(calls, now)
            return
        if not self.strained or late_s > self.rung.late_limit_s / 2 or use * self._growth(calls) > MOST_USE:
            self._calm_since = None
            return
        if self._calm_since is None:
            self._calm_since = now
        if now - max(self._calm_since, self._since) >= CALM_S:
            self._up(calls, now)

    def joins(self) -> bool:
        """A call begins. Whether it has live text: not while others have lost theirs."""
        self.off += bool(self.off)
        return not self.off

    def leaves(self) -> None:
        """A call without live text has ended."""
        self.off = max(self.off - 1, 0)

    def _growth(self, calls: int) -> float:
        if not self.off:
            return self.rung.more_work
        live = max(calls - self.off, 1)
        return (live + _some(live)) / live

    def _down(self, calls: int, now: float) -> None:
        if self.level < len(RUNGS) - 1:
            self.level += 1
        elif calls - self.off > 1:
            self.off = min(calls - 1, self.off + _some(calls - self.off))
        self._since = now

    def _up(self, calls: int, now: float) -> None:
        if self.off:
            self.off -= min(self.off, _some(calls - self.off))
        else:
            self.level -= 1
        self._since, self._calm_since = now, None


def _some(calls: int) -> int:
    """So many of that many live calls lose their live text, or as many get theirs back, at once."""
    return max(1, calls // 8)
