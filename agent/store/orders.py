"""Orders to the centre: legal holds told and lifted at destinations, and what must be deleted there.

An order to hold or release is a row, one an artifact, planned from the legal holds as they stand. What is to be deleted
is looked up (`due_deletions`); a row is made when it did not work, so that it is tried again and can be shown.
"""

from collections.abc import Collection
from dataclasses import dataclass

from sqlite_utils import Database

from agent.model.artifact import Artifact
from agent.store.database import SharedDatabase
from agent.store.holds import HELD, Holds, held, matching
from agent.store.rows import ARTIFACT_COLUMNS, artifact_of

MOST = 500
"""So many at once are handed out."""
AT_CENTRE = "sent_ns IS NOT NULL AND central_ended_ns IS NULL"
"""An SQL term on `artifacts`: it was sent, and as far as we know it is there."""
UNSURE = (
    "central_ended_ns IS NULL AND sent_ns IS NULL AND attempted_ns IS NOT NULL AND local_deleted_ns IS NOT NULL "
    "AND delivery != 'poisoned'"
)
"""An SQL term on `artifacts`: its sending was begun, and nobody knows whether it arrived: killed, or cut off, before it
was read back."""


def tables(db: Database) -> None:
    """Orders, and when an artifact's life at the centre ended."""
    columns: dict[str, type] = {"artifact_id": str, "matter": str, "verb": str, "state": str, "detail": str}
    columns |= {"attempts": int, "next_ns": int, "at_ns": int, "done_ns": int}
    db.execute(db.create_table_sql("orders", columns=columns, pk=("artifact_id", "matter")))
    db.execute("CREATE INDEX orders_open ON orders (matter, next_ns) WHERE state = 'asked'")
    db.execute("ALTER TABLE artifacts ADD COLUMN central_ended_ns INTEGER")
    db.execute(
        "CREATE INDEX artifacts_at_centre ON artifacts (destination, central_deadline_ns) "
        f"WHERE {AT_CENTRE} AND central_deadline_ns > 0"
    )
    db.execute(f"CREATE INDEX artifacts_unsure ON artifacts (destination) WHERE {UNSURE}")
    db.execute(
        f"CREATE INDEX artifacts_called_back ON artifacts (destination) WHERE {AT_CENTRE} AND withdrawn_ns IS NOT NULL"
    )


@dataclass(frozen=True, slots=True)
class Order:
    """`verb` is hold, release or destroy; `state` is one of asked, done, unsupported. `detail` says what the last of
    `attempts` came to."""

    artifact: Artifact
    verb: str
    state: str
    detail: str
    attempts: int

    @property
    def matter(self) -> str:
        """Holding and releasing are one matter: the later replaces the earlier."""
        return "destroy" if self.verb == "destroy" else "hold"


_OF_ARTIFACT = f"{', '.join(f'artifacts.{name}' for name in ARTIFACT_COLUMNS)}"
_ORDER = "coalesce(o.detail, '') AS order_detail, coalesce(o.attempts, 0) AS attempts"


class Orders:
    """A part of the catalog; see `agent.store.catalog.Catalog.orders`."""

    def __init__(self, base: SharedDatabase, holds: Holds) -> None:
        self._base = base
        self._holds = holds

    def plan(self, at_ns: int, told: Collection[str]) -> int:
        """Ask for the holding of what is held and at one of these destinations, and the release of what is not held any
        more. Returns how many orders are new."""
        planned = 0
        there = f"destination IN ({', '.join('?' * len(told))})"
        for hold in self._holds.open():
            where, values = matching(hold)
            sql = (
                "INSERT INTO orders (artifact_id, matter, verb, state, detail, attempts, next_ns, at_ns) "  # noqa: S608
                f"SELECT artifact_id, 'hold', 'hold', 'asked', '', 0, 0, ? FROM artifacts WHERE {where} "
                f"AND {there} AND {AT_CENTRE} AND NOT EXISTS (SELECT 1 FROM orders o WHERE "
                "o.artifact_id = artifacts.artifact_id AND o.matter = 'hold' AND o.verb = 'hold') "
                "ON CONFLICT (artifact_id, matter) DO UPDATE SET verb = 'hold', state = 'asked', detail = '', "
                "attempts = 0, next_ns = 0, at_ns = excluded.at_ns, done_ns = NULL"
            )
            planned += self._base.run(sql, [at_ns, *values, *told])
        free = (
            "SELECT o.artifact_id FROM orders o JOIN artifacts a ON a.artifact_id = o.artifact_id "  # noqa: S608
            f"WHERE o.matter = 'hold' AND o.verb = 'hold' AND NOT {held('a.call_id', 'a.purpose')}"
        )
        found = [row["artifact_id"] for row in self._base.rows(free, [])]  # may take long: nobody waits for it
        for begin in range(0, len(found), MOST):
            planned += self._release(found[begin : begin + MOST], free, at_ns)
        return planned

    def _release(self, artifact_ids: list[str], free: str, at_ns: int) -> int:
        """Ask for the release of those of these that are still `free`; what never was held there needs none."""
        done = 0
        mine = f"artifact_id IN ({free} AND o.artifact_id = ?)"
        with self._base.transaction():
            for one in artifact_ids:
                self._base.run(f"DELETE FROM orders WHERE matter = 'hold' AND state = 'unsupported' AND {mine}", [one])  # noqa: S608
                sql = (
                    "UPDATE orders SET verb = 'release', state = 'asked', detail = '', attempts = 0, next_ns = 0, "  # noqa: S608
                    f"at_ns = ?, done_ns = NULL WHERE matter = 'hold' AND {mine}"
                )
                done += self._base.run(sql, [at_ns, one])
        return done

    def ask_hold(self, artifact_id: str, at_ns: int) -> None:
        """Ask for the holding of one that was just sent, sooner than `plan` does."""
        sql = (
            "INSERT OR IGNORE INTO orders (artifact_id, matter, verb, state, detail, attempts, next_ns, at_ns) "
            "VALUES (?, 'hold', 'hold', 'asked', '', 0, 0, ?)"
        )
        self._base.run(sql, [artifact_id, at_ns])

    def due_holds(self, destination: str, now_ns: int) -> list[Order]:
        """What is to be held or released at a destination now."""
        sql = (
            f"SELECT {_OF_ARTIFACT}, o.verb, o.state, {_ORDER} FROM orders o "  # noqa: S608
            "JOIN artifacts ON artifacts.artifact_id = o.artifact_id "
            f"WHERE o.matter = 'hold' AND o.state = 'asked' AND o.next_ns <= ? AND destination = ? LIMIT {MOST}"
        )
        return self._rows(sql, [now_ns, destination])

    def due_deletions(self, destination: str, believed_ns: int, now_ns: int) -> list[Order]:
        """What must be deleted at a destination: its central deadline passed (UTC as it is believed), or it was called
        back, also where nobody knows whether it arrived. Nothing that is held, or that the destination still has to
        release."""
        free = (
            f"NOT {HELD} AND (o.next_ns IS NULL OR o.next_ns <= ?) AND NOT EXISTS (SELECT 1 FROM orders h WHERE "  # noqa: S608
            "h.artifact_id = artifacts.artifact_id AND h.matter = 'hold' AND (h.state = 'asked' "
            "OR (h.verb = 'hold' AND h.state = 'done')))"
        )
        select = (
            f"SELECT {_OF_ARTIFACT}, 'destroy' AS verb, coalesce(o.state, 'asked') AS state, {_ORDER} "  # noqa: S608
            "FROM artifacts "
            "LEFT JOIN orders o ON o.artifact_id = artifacts.artifact_id AND o.matter = 'destroy' "
            "WHERE destination = ? AND central_ended_ns IS NULL"
        )
        over = "central_deadline_ns > 0 AND central_deadline_ns <= ?"
        passed = f"{select} AND {AT_CENTRE} AND {over} AND {free}"
        back = f"{select} AND {AT_CENTRE} AND withdrawn_ns IS NOT NULL AND {free}"
        unsure = f"{select} AND {UNSURE} AND (withdrawn_ns IS NOT NULL OR ({over})) AND {free}"
        sql = f"{passed} UNION {back} UNION {unsure} LIMIT {MOST}"
        timed = [destination, believed_ns, now_ns]
        return self._rows(sql, [*timed, destination, now_ns, *timed])

    def settled(self, order: Order, state: str, at_ns: int, detail: str = "") -> None:
        """It was done, or never can be; unless the opposite was asked for meanwhile."""
        sql = "UPDATE orders SET state = ?, detail = ?, done_ns = ? WHERE artifact_id = ? AND matter = ? AND verb = ?"
        self._base.run(sql, [state, detail, at_ns, order.artifact.artifact_id, order.matter, order.verb])

    def failed(self, order: Order, at_ns: int, next_ns: int, detail: str) -> None:
        """It did not work, and is tried again from `next_ns` on."""
        sql = (
            "INSERT INTO orders (artifact_id, matter, verb, state, detail, attempts, next_ns, at_ns) "
            "VALUES (?, ?, ?, 'asked', ?, 1, ?, ?) ON CONFLICT (artifact_id, matter) DO UPDATE SET "
            "detail = excluded.detail, attempts = attempts + 1, next_ns = excluded.next_ns WHERE verb = excluded.verb"
        )
        self._base.run(sql, [order.artifact.artifact_id, order.matter, order.verb, detail, next_ns, at_ns])

    def ended(self, artifact_id: str, at_ns: int) -> None:
        """It is not at the centre any more."""
        with self._base.transaction():
            self._base.run("UPDATE artifacts SET central_ended_ns = ? WHERE artifact_id = ?", [at_ns, artifact_id])
            self._base.run("DELETE FROM orders WHERE artifact_id = ?", [artifact_id])

    def of_hold(self, number: int) -> list[tuple[str, str, int]]:
        """How the orders for what a hold covers stand: state, words, how many."""
        where, values = matching(self._holds.numbered(number))
        sql = (
            "SELECT o.state, o.detail, count(*) AS many FROM artifacts JOIN orders o ON o.artifact_id = "  # noqa: S608
            f"artifacts.artifact_id AND o.matter = 'hold' WHERE {where} GROUP BY o.state, o.detail ORDER BY 1, 2"
        )
        return [(row["state"], row["detail"], row["many"]) for row in self._base.rows(sql, values)]

    def failing(self) -> list[Order]:
        """Orders that did not work so far, oldest first."""
        sql = (
            f"SELECT {_OF_ARTIFACT}, o.verb, o.state, {_ORDER} FROM orders o "  # noqa: S608
            "JOIN artifacts ON artifacts.artifact_id = o.artifact_id "
            "WHERE o.state = 'asked' AND o.attempts > 0 ORDER BY o.at_ns, o.artifact_id"
        )
        return self._rows(sql, [])

    def _rows(self, sql: str, values: list[object]) -> list[Order]:
        return [
            Order(
                artifact_of({name: row[name] for name in ARTIFACT_COLUMNS}),
                row["verb"],
                row["state"],
                row["order_detail"],
                row["attempts"],
            )
            for row in self._base.rows(sql, values)
        ]
