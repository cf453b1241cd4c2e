"""Refusals in the journal: each kind at once, then at most a line a minute with how many there were meanwhile."""

from collections.abc import Callable

import structlog

from agent.store.journal import Journal

log = structlog.get_logger()

REFUSALS_S = 60.0


class Refusals:
    """Journals and logs. Call it with what was refused, and to whom: a name of our own, so there are as many as there
    are tokens."""

    def __init__(self, journal: Journal, monotonic: Callable[[], float]) -> None:
        self._journal = journal
        self._monotonic = monotonic
        self._next: dict[tuple[str, str], float] = {}
        self._unsaid: dict[tuple[str, str], int] = {}

    def __call__(self, what: str, actor: str) -> None:
        """One refusal."""
        key = (what, actor)
        times = self._unsaid.get(key, 0) + 1
        if self._monotonic() < self._next.get(key, 0.0):
            self._unsaid[key] = times
            return
        self._next[key], self._unsaid[key] = self._monotonic() + REFUSALS_S, 0
        log.warning("desk.refused", what=what, actor=actor, times=times)
        self._journal.append("refused", what=what, actor=actor, times=times)
