"""How long a lane rests after failures, and whose fault they seem to be: the destination's or one artifact's.

Nobody can tell at first. So the lane rests and tries the same artifact again; after a few times in a row another one is
tried in between, and if that arrives, only the first waits on.
"""

import random
from collections.abc import Callable

JITTER = 0.2
SAME_PROBE = 3
"""So many failures in a row with the same artifact first; then others are tried in between."""
SAME_POISON = 3
"""So many artifacts refused in a row, in the same words, are the destination's failure."""
MOST_VICTIMS = 10_000
HIGHEST_POWER = 30


class Patience:
    """Of one lane. `first_s` is the rest after the first failure; each is twice the one before, up to `most_s`."""

    def __init__(self, first_s: float, most_s: float, monotonic: Callable[[], float]) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._monotonic = monotonic
        self._until_s = 0.0
        self._streak: tuple[str, list[str]] = ("", [])
        self.failures = 0
        """In a row."""
        self._victims: set[str] = set()

    def rest_s(self) -> float:
        """For how many seconds nothing is to be tried."""
        return max(0.0, self._until_s - self._monotonic())

    def wake(self) -> None:
        """Somebody wants it tried now."""
        self._until_s = 0.0

    def failed(self, artifact_id: str, attempts: int) -> float:
        """An attempt failed, of an artifact that had failed so often before. Returns after how many seconds it is to be
        tried again itself; uploads that fail while the lane rests already are of the same failure."""
        if (rest_s := self.rest_s()) == 0:
            rest_s = delay_s(self._first_s, self._most_s, self.failures)
            self.failures += 1
            self._until_s = self._monotonic() + rest_s
        if len(self._victims) < MOST_VICTIMS:
            self._victims.add(artifact_id)
        others_turn = 2 if self.failures >= SAME_PROBE else 1
        own_s = self._first_s * 2.0 ** min(attempts, HIGHEST_POWER)
        return min(self._most_s, max(rest_s * others_turn, own_s))

    def refused(self, artifact_id: str, why: str) -> bool:
        """An artifact was refused and set aside. Returns whether so many were that the lane rests too."""
        same, streak = self._streak
        if why != same:
            streak = []
        streak.append(artifact_id)
        self._streak = (why, streak[-SAME_POISON:])
        if len(streak) < SAME_POISON:
            return False
        for one in streak:
            self.failed(one, 0)
        return True

    def succeeded(self) -> list[str]:
        """Something arrived. Returns artifacts that waited for nothing but that: they are due at once."""
        victims = sorted(self._victims) if len(self._victims) > 1 else []
        self._victims.clear()
        self._streak = ("", [])
        self._until_s, self.failures = 0.0, 0
        return victims


def delay_s(first_s: float, most_s: float, failures: int) -> float:
    """How long to wait after so many failures before this one."""
    longest = min(most_s, first_s * 2.0 ** min(failures, HIGHEST_POWER))
    return longest * random.uniform(1 - JITTER, 1)  # noqa: S311 - spreads load, hides nothing
