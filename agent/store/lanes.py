"""Lanes in the catalog: what waits at each destination, who paused it, why it fails; and what the outbox holds.

Everything here stays quick with hundreds of thousands of files waiting: the queue is read from its old end through an
index of its own, a few rows at a time.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from agent.store.database import SharedDatabase
from agent.store.holds import HELD

FOREVER_NS = 1 << 62
BUSY_S = 1.0

WAITING = (
    "artifacts INDEXED BY artifacts_waiting WHERE delivery = 'waiting' AND local_deleted_ns IS NULL "
    "AND destination IS NOT NULL"
)
ASIDE = (
    "artifacts INDEXED BY artifacts_aside WHERE delivery = 'poisoned' AND local_deleted_ns IS NULL "
    "AND destination IS NOT NULL"
)
SENT = "artifacts INDEXED BY artifacts_sent WHERE delivery = 'sent'"
HERE = "artifacts INDEXED BY artifacts_here WHERE local_deleted_ns IS NULL"
"""Where the rows are, through the one index that is right for it: left alone, SQLite takes another and sorts."""


@dataclass(frozen=True, slots=True)
class LaneRow:
    """One destination: who paused it, when, until when (FOREVER_NS: until resumed) and why; `failing` says why it fails
    since `failing_ns` and is tried again at `again_ns`; `woken_ns`: when somebody asked to try again now."""

    destination: str
    paused_by: str | None = None
    paused_ns: int = 0
    until_ns: int = 0
    reason: str = ""
    failing: str = ""
    failing_ns: int = 0
    again_ns: int = 0
    woken_ns: int = 0

    def is_paused(self, now_ns: int) -> bool:
        """Whether nothing may be sent there now, because somebody said so."""
        return self.paused_by is not None and now_ns < self.until_ns


@dataclass(frozen=True, slots=True)
class QueueRow:
    """What waits (or, in `delivery`, is set aside) of a purpose for a destination; `oldest_ns` of its files."""

    destination: str
    purpose: str
    delivery: str
    files: int
    bytes: int
    oldest_ns: int


@dataclass(frozen=True, slots=True)
class AsideRow:
    """An artifact that was set aside, and why."""

    path: str
    destination: str
    size_bytes: int
    attempts: int
    detail: str


@dataclass(frozen=True, slots=True)
class SentRow:
    """A local copy of something that arrived."""

    artifact_id: str
    call_id: str
    purpose: str
    path: str
    size_bytes: int
    created_ns: int


def tables(db: Database) -> None:
    """Lanes, and the indexes of the queue and of the outbox."""
    columns: dict[str, type] = {
        "destination": str,
        "paused_by": str,
        "paused_ns": int,
        "until_ns": int,
        "reason": str,
        "failing": str,
        "failing_ns": int,
        "again_ns": int,
        "woken_ns": int,
    }
    defaults = {"paused_ns": 0, "until_ns": 0, "reason": "", "failing": "", "failing_ns": 0, "again_ns": 0}
    defaults |= {"woken_ns": 0}
    db.execute(db.create_table_sql("lanes", columns=columns, pk="destination", not_null=defaults, defaults=defaults))
    db.execute(
        "CREATE INDEX artifacts_waiting ON artifacts (destination, purpose, created_ns, path, size_bytes) "
        "WHERE delivery = 'waiting' AND local_deleted_ns IS NULL"
    )
    db.execute(
        "CREATE INDEX artifacts_aside ON artifacts (destination, next_attempt_ns, purpose, created_ns, size_bytes) "
        "WHERE delivery = 'poisoned' AND local_deleted_ns IS NULL"
    )
    db.execute("CREATE INDEX artifacts_sent ON artifacts (destination, sent_ns, size_bytes) WHERE delivery = 'sent'")
    db.execute("CREATE INDEX artifacts_begun ON artifacts (destination, upload_id) WHERE upload_id IS NOT NULL")
    db.execute(
        "CREATE INDEX artifacts_here ON artifacts (purpose, delivery, created_ns, size_bytes) "
        "WHERE local_deleted_ns IS NULL"
    )


def by_purpose(held: Mapping[tuple[str, str], int]) -> dict[str, int]:
    """`Standing.held_bytes` by purpose alone."""
    found: dict[str, int] = {}
    for (purpose, _), count in held.items():
        found[purpose] = found.get(purpose, 0) + count
    return found


class Standing:
    """How delivery stands: the part of `Lanes` that only reads, for whoever has rows of the catalog to read."""

    def __init__(self, rows: Callable[..., list[dict[str, Any]]]) -> None:
        self._rows = rows

    def purposes(self, destination: str) -> list[str]:
        """Purposes of which something waits there, by name; each costs one look into the index."""
        after = f"SELECT min(purpose) FROM {WAITING} AND destination = ? AND purpose > {{}}"  # noqa: S608 - constants
        first = after.format("''")
        sql = (
            f"WITH RECURSIVE found (purpose) AS ({first} "  # noqa: S608 - constants
            f"UNION ALL SELECT ({after.format('found.purpose')}) FROM found WHERE found.purpose IS NOT NULL) "
            "SELECT purpose FROM found WHERE purpose IS NOT NULL"
        )
        return [row["purpose"] for row in self._rows(sql, [destination, destination])]

    def queue(self) -> list[QueueRow]:
        """What waits and what is set aside, by destination and purpose."""
        found = []
        for state, where in (("waiting", WAITING), ("poisoned", ASIDE)):
            sql = (
                "SELECT destination, purpose, count(*) AS files, sum(size_bytes) AS bytes, "  # noqa: S608 - constants
                f"min(created_ns) AS oldest FROM {where} GROUP BY destination, purpose"
            )
            found += [
                QueueRow(r["destination"], r["purpose"], state, r["files"], r["bytes"], r["oldest"])
                for r in self._rows(sql)
            ]
        return found

    def aside(self, limit: int) -> list[AsideRow]:
        """What is set aside, the oldest first, so many at most."""
        sql = (
            f"SELECT path, destination, size_bytes, attempts, detail FROM {ASIDE} "  # noqa: S608 - constants
            "ORDER BY created_ns, path LIMIT ?"
        )
        return [AsideRow(**row) for row in self._rows(sql, [limit])]

    def last_sent_ns(self, destination: str) -> int | None:
        """When something arrived there last."""
        sql = f"SELECT max(sent_ns) AS at FROM {SENT} AND destination = ?"  # noqa: S608 - constants
        at: int | None = self._rows(sql, [destination])[0]["at"]
        return at

    def sent_since(self, destination: str, since_ns: int) -> tuple[int, int]:
        """How many files, and bytes, arrived there since."""
        sql = (
            f"SELECT count(*) AS files, coalesce(sum(size_bytes), 0) AS bytes FROM {SENT} "  # noqa: S608 - constants
            "AND destination = ? AND sent_ns >= ?"
        )
        (row,) = self._rows(sql, [destination, since_ns])
        return row["files"], row["bytes"]

    def waits(self, path: str) -> bool:
        """Whether an artifact of this path is still to be delivered."""
        sql = (
            "SELECT 1 FROM artifacts WHERE path = ? AND delivery IN ('waiting', 'poisoned') "
            "AND local_deleted_ns IS NULL AND destination IS NOT NULL LIMIT 1"
        )
        return bool(self._rows(sql, [path]))

    def lane(self, destination: str) -> LaneRow:
        """How it stands with a destination."""
        found = self._rows("SELECT * FROM lanes WHERE destination = ?", [destination])
        return LaneRow(**found[0]) if found else LaneRow(destination)

    def held_bytes(self) -> dict[tuple[str, str], int]:
        """Bytes of all files here, by purpose and state of delivery."""
        sql = (
            f"SELECT purpose, delivery, sum(size_bytes) AS bytes FROM {HERE} "  # noqa: S608 - constants
            "GROUP BY purpose, delivery"
        )
        return {(row["purpose"], row["delivery"]): row["bytes"] for row in self._rows(sql)}

    def oldest_sent(self, purpose: str, now_ns: int, limit: int) -> list[SentRow]:
        """Local copies of a purpose that arrived at their destination, whose own time has not come, and that nobody
        holds; the oldest, so many at most."""
        sql = (
            f"SELECT artifact_id, call_id, purpose, path, size_bytes, created_ns FROM {HERE} "  # noqa: S608 - constants
            "AND purpose = ? AND delivery = 'sent' AND local_deadline_ns > ? "
            f"AND NOT {HELD} ORDER BY created_ns LIMIT ?"
        )
        return [SentRow(**row) for row in self._rows(sql, [purpose, now_ns, limit])]


class LookedAt(Standing):
    """Of a catalog that is only read, without the means to change it. Everything raises sqlite3.Error when there is
    none yet."""

    def __init__(self, path: Path) -> None:
        super().__init__(self._look)
        self._uri = f"{path.absolute().as_uri()}?mode=ro"

    def _look(self, sql: str, values: Sequence[object] = ()) -> list[dict[str, Any]]:
        with closing(sqlite3.connect(self._uri, uri=True, timeout=BUSY_S)) as db:
            db.row_factory = sqlite3.Row
            return [dict(row) for row in db.execute(sql, list(values))]


class Lanes(Standing):
    """A part of the catalog; see `agent.store.catalog.Catalog.lanes`."""

    def __init__(self, base: SharedDatabase) -> None:
        super().__init__(base.rows)
        self._base = base

    def due_now(self, artifact_ids: Sequence[str]) -> None:
        """Their next attempt is due."""
        with self._base.transaction():
            for one in artifact_ids:
                self._base.run("UPDATE artifacts SET next_attempt_ns = 0 WHERE artifact_id = ?", [one])

    def due_early(self, artifact_id: str, now_ns: int) -> None:
        """Its local copy is due now, before its time."""
        sql = "UPDATE artifacts SET local_deadline_ns = min(local_deadline_ns, ?) WHERE artifact_id = ?"
        self._base.run(sql, [now_ns, artifact_id])

    def pause(self, destination: str, actor: str, reason: str, at_ns: int, until_ns: int) -> None:
        """Nothing is sent there until then."""
        self._set(destination, paused_by=actor, paused_ns=at_ns, until_ns=until_ns, reason=reason)

    def resume(self, destination: str, at_ns: int) -> None:
        """Whatever pause there was is over."""
        self._set(destination, paused_by=None, paused_ns=0, until_ns=0, reason="", woken_ns=at_ns)

    def retry(self, at_ns: int, path: str | None = None) -> list[str]:
        """What waits for another attempt (all of it, or one path) is due now. Returns the destinations it is for."""
        where = "delivery IN ('waiting', 'poisoned') AND local_deleted_ns IS NULL AND destination IS NOT NULL"
        values: list[object] = [] if path is None else [path]
        where += "" if path is None else " AND path = ?"
        with self._base.transaction():
            sql = f"SELECT DISTINCT destination FROM artifacts WHERE {where}"  # noqa: S608 - constants
            found = [row["destination"] for row in self._rows(sql, values)]
            due = f"UPDATE artifacts SET next_attempt_ns = 0 WHERE {where} AND next_attempt_ns > 0"  # noqa: S608
            self._base.run(due, values)
            for destination in found:
                self._set(destination, woken_ns=at_ns)
        return sorted(found)

    def set_failing(self, destination: str, why: str, since_ns: int, again_ns: int) -> None:
        """Nothing goes there, and why; an empty `why`: it goes again."""
        self._set(destination, failing=why, failing_ns=since_ns, again_ns=again_ns)

    def _set(self, destination: str, **values: object) -> None:
        names = ", ".join(values)
        marks = ", ".join("?" * len(values))
        changed = ", ".join(f"{name} = excluded.{name}" for name in values)
        sql = (
            f"INSERT INTO lanes (destination, {names}) VALUES (?, {marks}) "  # noqa: S608 - names are our own
            f"ON CONFLICT (destination) DO UPDATE SET {changed}"
        )
        self._base.run(sql, [destination, *values.values()])
