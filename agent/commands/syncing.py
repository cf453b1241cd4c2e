"""What `greffier sync status` knows: destinations with what waits for them, and budgets, put together from catalog and
configuration."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from agent.config import Settings
from agent.config.budget import budget_of
from agent.config.destinations import PullSection
from agent.model.budget import Budget
from agent.policy.bandwidth import BYTES_PER_MBIT, rate_at
from agent.policy.budget import ALARM, WHOLE, room, shares
from agent.policy.calendar import Calendar
from agent.store.lanes import FOREVER_NS, LaneRow, Standing, by_purpose

NS = 1_000_000_000
RATE_OVER_S = 300


@dataclass(frozen=True, slots=True)
class Waiting:
    """What of a purpose waits for a destination (files, bytes, UTC ns of the oldest), and how many are set aside."""

    purpose: str
    waiting: int = 0
    bytes: int = 0
    oldest_ns: int = 0
    aside: int = 0


@dataclass(frozen=True, slots=True)
class Lane:
    """One destination. `kind` is None where it is no longer configured; `limit_mbit` None where there is no limit."""

    row: LaneRow
    kind: str | None
    limit_mbit: float | None
    rate_mbit: float
    last_ns: int | None
    purposes: tuple[Waiting, ...]

    def told(self) -> dict[str, Any]:
        """For scripts."""
        row = self.row
        paused = row.paused_by and {
            "by": row.paused_by,
            "since": iso(row.paused_ns),
            "until": iso(row.until_ns if row.until_ns < FOREVER_NS else 0),
            "reason": row.reason,
        }
        failing = row.failing and {"why": row.failing, "since": iso(row.failing_ns), "again": iso(row.again_ns)}
        return {
            "name": row.destination,
            "kind": self.kind,
            "paused": paused or None,
            "failing": failing or None,
            "limit_mbit": self.limit_mbit,
            "rate_mbit": round(self.rate_mbit, 4),
            "last_success": iso(self.last_ns or 0),
            "purposes": [
                {"purpose": p.purpose, "waiting": p.waiting, "bytes": p.bytes, "oldest": iso(p.oldest_ns),
                 "aside": p.aside} for p in self.purposes
            ],
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Share:
    """One budget: of a purpose, or (`purpose` None) of all; bytes. `waits`: purposes that are not derived for it."""

    purpose: str | None
    used: int
    limit: int
    waits: tuple[str, ...]

    @property
    def alarm(self) -> bool:
        """Whether it runs out."""
        return self.used >= ALARM * self.limit

    def told(self) -> dict[str, Any]:
        """For scripts."""
        return {"purpose": self.purpose, "used": self.used, "limit": self.limit, "alarm": self.alarm,
                "waits": list(self.waits)}  # fmt: skip


def look(settings: Settings, standing: Standing, now_ns: int) -> tuple[list[Lane], list[Share]]:
    """Everything as it is now. Raises sqlite3.Error."""
    queue = standing.queue()
    names = dict.fromkeys([*settings.destination, *sorted({row.destination for row in queue})])
    calendar = Calendar(settings.site.timezone, settings.site.holidays)
    lanes = []
    for name in names:
        section = settings.destination.get(name)
        row = standing.lane(name)
        paused = row.is_paused(now_ns)
        rate = (
            None
            if section is None or isinstance(section, PullSection)
            else rate_at(section.bandwidth(), calendar, now_ns)
        )
        found: dict[str, Waiting] = {}
        for one in (r for r in queue if r.destination == name):
            before = found.get(one.purpose, Waiting(one.purpose))
            if one.delivery == "waiting":
                found[one.purpose] = Waiting(one.purpose, one.files, one.bytes, one.oldest_ns, before.aside)
            else:
                found[one.purpose] = Waiting(
                    one.purpose, before.waiting, before.bytes, before.oldest_ns, aside=one.files
                )
        _, sent = standing.sent_since(name, now_ns - RATE_OVER_S * NS)
        lanes.append(
            Lane(
                row if paused else LaneRow(name, failing=row.failing, failing_ns=row.failing_ns, again_ns=row.again_ns),
                section.kind if section else None,
                None if rate is None else rate / BYTES_PER_MBIT,
                sent / RATE_OVER_S / BYTES_PER_MBIT,
                standing.last_sent_ns(name),
                tuple(found[p] for p in sorted(found)),
            )
        )
    return lanes, _budgets(settings, standing)


def _budgets(settings: Settings, standing: Standing) -> list[Share]:
    budget = budget_of(settings.purpose, settings.courier)
    used = by_purpose(standing.held_bytes())
    found = []
    for name in shares(budget, used):
        alone = Budget(
            budget.order,
            budget.total if name == WHOLE else None,
            {n: b for n, b in budget.purposes.items() if n == name},
        )
        waits = tuple(p for p in budget.order if (left := room(alone, used, p)) is not None and left <= 0)
        if name == WHOLE:
            found.append(Share(None, sum(used.values()), budget.total or 0, waits))
        else:
            found.append(Share(name, used.get(name, 0), budget.purposes[name], waits))
    return found


def iso(at_ns: int) -> str | None:
    """An instant in UTC; None for 0."""
    return datetime.fromtimestamp(at_ns / NS, UTC).isoformat(timespec="seconds") if at_ns else None
