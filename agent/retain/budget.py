"""Keeping the outbox within its budgets: alarms, and copies of what was delivered that go before their time.

A copy that must go has a line in the journal that says why; then its deadline is now, and the next sweep deletes it as
it deletes any other (`agent.retain.sweep`): killed in between, the line is written again. What is not delivered, or is
held, is never touched; see docs/delivery.md for what happens when nothing more can go.
"""

import heapq
from collections import defaultdict
from collections.abc import Mapping

import structlog

from agent.model.budget import Budget
from agent.policy.budget import ALARM, CALM, WHOLE, excess, shares
from agent.store.catalog import Catalog
from agent.store.journal import Journal
from agent.store.lanes import SentRow, by_purpose

log = structlog.get_logger()

MOST_AT_ONCE = 1000
"""Copies that are given up in one go; the next comes soon."""


class Relief:
    """Remembers which alarms were given."""

    def __init__(self, budget: Budget, catalog: Catalog, journal: Journal) -> None:
        self._budget = budget
        self._catalog = catalog
        self._journal = journal
        self._alarmed: set[str] = set()

    def step(self, now_ns: int) -> int:
        """Alarm where a budget runs out, make copies due that must go. Returns how many. Raises OSError,
        sqlite3.Error."""
        if self._budget.total is None and not self._budget.purposes:
            return 0
        used = by_purpose(self._catalog.lanes.held_bytes())
        self._alarm(used)
        over = excess(self._budget, used)
        freed: dict[str, int] = defaultdict(int)
        gone = 0
        for scope in sorted(over, reverse=True):  # the purposes' own first: that may be enough for all
            missing = over[scope] - (sum(freed.values()) if scope == WHOLE else freed[scope])
            for row in self._oldest(scope, used, now_ns):
                if missing <= 0:
                    break
                self._give_up(row, scope, now_ns)
                missing -= row.size_bytes
                freed[row.purpose] += row.size_bytes
                gone += 1
        return gone

    def _oldest(self, scope: str, used: Mapping[str, int], now_ns: int) -> list[SentRow]:
        purposes = sorted(used) if scope == WHOLE else [scope]
        rows = [self._catalog.lanes.oldest_sent(purpose, now_ns, MOST_AT_ONCE) for purpose in purposes]
        return heapq.nsmallest(MOST_AT_ONCE, (r for some in rows for r in some), key=lambda r: (r.created_ns, r.path))

    def _give_up(self, row: SentRow, scope: str, now_ns: int) -> None:
        of = "the outbox" if scope == WHOLE else "the purpose"
        reason = f"the disk budget of {of} runs out; it was delivered"
        self._journal.append("local.early", call_id=row.call_id, purpose=row.purpose, path=row.path, reason=reason)
        self._catalog.lanes.due_early(row.artifact_id, now_ns)
        log.info("local.early", call=row.call_id, path=row.path)

    def _alarm(self, used: Mapping[str, int]) -> None:
        for scope, share in shares(self._budget, used).items():
            if share >= ALARM and scope not in self._alarmed:
                self._alarmed.add(scope)
                purpose = scope or None
                self._journal.append("budget.alarm", purpose=purpose, used_percent=round(100 * share))
                log.error(
                    "budget.alarm", purpose=purpose, used_percent=round(100 * share), advice="greffier sync status"
                )
            elif share < CALM and scope in self._alarmed:
                self._alarmed.discard(scope)
                log.info("budget.calm", purpose=scope or None, used_percent=round(100 * share))
