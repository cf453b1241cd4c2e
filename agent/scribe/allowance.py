"""What the scribe may still put into the outbox: a purpose without room waits, and so do the calls it is for.

The courier frees what it can (`agent.retain.budget`); what was captured stays in the capture log meanwhile, and is
derived when there is room. Nothing is lost, and nothing of other purposes waits.
"""

from collections.abc import Collection

import structlog

from agent.model.budget import Budget
from agent.policy.budget import room
from agent.store.journal import Journal
from agent.store.lanes import Standing, by_purpose

log = structlog.get_logger()


class NoRoom(Exception):
    """The purpose has used up what it may take of the disk; it waits."""

    def __init__(self, purpose: str) -> None:
        super().__init__(purpose)
        self.purpose = purpose


class Allowance:
    """Counts from the catalog at each `refresh`, and what is filed in between."""

    def __init__(self, budget: Budget, standing: Standing, journal: Journal) -> None:
        self._budget = budget
        self._standing = standing
        self._journal = journal
        self._used: dict[str, int] = {}
        self._wanted: dict[str, int] = {}
        """Purposes that wait → bytes of the file there was no room for."""
        self.refresh()

    def refresh(self) -> None:
        """See what is here now. Raises sqlite3.Error."""
        if self._budget.total is None and not self._budget.purposes:
            return
        self._used = by_purpose(self._standing.held_bytes())
        for purpose in [p for p, wanted in self._wanted.items() if self._left(p) >= wanted]:
            del self._wanted[purpose]
            self._say("derivation.resumed", purpose)

    def closed(self, purposes: Collection[str]) -> set[str]:
        """Those that have to wait now."""
        for purpose in purposes:
            if purpose not in self._wanted and self._left(purpose) <= 0:
                self._close(purpose, 1)
        return set(self._wanted) & set(purposes)

    def take(self, purpose: str, size: int) -> None:
        """A file of so many bytes is about to be filed. Raises NoRoom."""
        if purpose in self._wanted or size > self._left(purpose):
            self._close(purpose, size)
            raise NoRoom(purpose)
        self._used[purpose] = self._used.get(purpose, 0) + size

    def _left(self, purpose: str) -> float:
        left = room(self._budget, self._used, purpose)
        return float("inf") if left is None else left

    def _close(self, purpose: str, wanted: int) -> None:
        if purpose not in self._wanted:
            self._say("derivation.waits", purpose)
        self._wanted[purpose] = max(wanted, self._wanted.get(purpose, 0))

    def _say(self, kind: str, purpose: str) -> None:
        used, whole = self._used.get(purpose, 0), sum(self._used.values())
        log.warning(kind, purpose=purpose, purpose_bytes=used, outbox_bytes=whole)
        self._journal.append(kind, purpose=purpose, purpose_bytes=used, outbox_bytes=whole)
