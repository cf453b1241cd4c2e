"""What is kept, until when, and what of it is due: the questions of the sweeper and of `greffier retention`.

Each is answered by an index, so that a sweep of a catalog of a million artifacts costs what is due and no more.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlite_utils import Database

from agent.model.artifact import Artifact, Delivery
from agent.store.database import SharedDatabase
from agent.store.holds import HELD, Holds, held
from agent.store.orders import AT_CENTRE
from agent.store.rows import ARTIFACT_COLUMNS, artifact_of

MOST = 500
"""So many at once are handed out to be deleted."""
DAY_NS = 86_400 * 1_000_000_000
_UNSENT = f"('{Delivery.WAITING.value}', '{Delivery.POISONED.value}')"
_HERE = "local_deleted_ns IS NULL AND withdrawn_ns IS NULL"
_USELESS = "central_deadline_ns BETWEEN 1 AND ?"
"""What is not sent by the end of its life at the centre is not sent any more."""


def tables(db: Database) -> None:
    """Two more indexes: what can go, and what cannot because it was not sent yet."""
    for name, verb in (("artifacts_to_forget", "NOT IN"), ("artifacts_overdue", "IN")):
        db.execute(
            f"CREATE INDEX {name} ON artifacts (local_deadline_ns, path) WHERE {_HERE} AND delivery {verb} {_UNSENT}"
        )
    db.execute("DROP INDEX artifacts_to_delete")


@dataclass(frozen=True, slots=True)
class Going:
    """So many artifacts of a purpose go on a day (UTC, `day_ns` its begin), from `place`: here or the centre."""

    place: str
    day_ns: int
    purpose: str
    held: bool
    artifacts: int
    calls: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Standing:
    """What there is of a purpose with one destination: here, at the centre, not sent yet, and found by search; until
    when the last of it stays (UTC ns, 0: nothing)."""

    purpose: str
    destination: str | None
    here: int
    here_until_ns: int
    centre: int
    centre_until_ns: int
    unsent: int
    searchable: int


class Retained:
    """A part of the catalog; see `agent.store.catalog.Catalog.retained`."""

    def __init__(self, base: SharedDatabase, holds: Holds) -> None:
        self._base = base
        self._holds = holds

    def due(self, now_ns: int, most: int = MOST) -> list[Artifact]:
        """Local copies past their deadline that may go, oldest first: not held, not withdrawn (the scribe deletes
        those), and at their destination, unless they have no business there any more."""
        sent = f"{_HERE} AND delivery NOT IN {_UNSENT} AND local_deadline_ns <= ? AND NOT {HELD}"
        unsent = f"{_HERE} AND delivery IN {_UNSENT} AND local_deadline_ns <= ? AND {_USELESS} AND NOT {HELD}"
        order = f"ORDER BY local_deadline_ns, path LIMIT {most}"
        return [
            *self._artifacts(f"{sent} {order}", [now_ns], "artifacts_to_forget"),
            *self._artifacts(f"{unsent} {order}", [now_ns, now_ns], "artifacts_overdue"),
        ]

    def overdue(self, now_ns: int, most: int = MOST) -> list[Artifact]:
        """Local copies past their deadline that are not at their destination yet, oldest first."""
        where = f"{_HERE} AND delivery IN {_UNSENT} AND local_deadline_ns <= ? AND NOT {_USELESS} AND NOT {HELD}"
        order = f"ORDER BY local_deadline_ns, path LIMIT {most}"
        return self._artifacts(f"{where} {order}", [now_ns, now_ns], "artifacts_overdue")

    def deleted(self, artifact_ids: Sequence[str], calls: Sequence[str], at_ns: int) -> list[str]:
        """These local copies are gone. Returns those of `calls`, finalised, of which nothing is left here: they are
        forgotten from now on."""
        forgotten = []
        with self._base.transaction():
            for artifact_id in artifact_ids:
                sql = "UPDATE artifacts SET local_deleted_ns = ? WHERE artifact_id = ?"
                self._base.run(sql, [at_ns, artifact_id])
            for call_id in calls:
                sql = (
                    "UPDATE calls SET state = 'forgotten' WHERE call_id = ? AND state = 'finalised' AND NOT EXISTS "
                    "(SELECT 1 FROM artifacts a WHERE a.call_id = calls.call_id AND a.local_deleted_ns IS NULL)"
                )
                if self._base.run(sql, [call_id]):
                    forgotten.append(call_id)
        return forgotten

    def deleted_paths(self, column: str) -> list[str]:
        """Paths of what has a time in this column: `local_deleted_ns` or `central_ended_ns`."""
        sql = f"SELECT path FROM artifacts WHERE {column} IS NOT NULL"  # noqa: S608 - a column's name
        return [row["path"] for row in self._base.rows(sql)]

    # ---- what will go

    def going(self, ours: Sequence[str], purpose: str | None = None) -> list[Going]:
        """What will go when: local copies, and what is at destinations where we delete it (`ours`)."""
        marks = ", ".join("?" * len(ours))
        here = self._going("here", "local_deadline_ns", _HERE, purpose, [])
        there = f"{AT_CENTRE} AND central_deadline_ns > 0 AND destination IN ({marks})"
        return here + self._going("centre", "central_deadline_ns", there, purpose, list(ours))

    def next_here(self, purpose: str | None = None, most: int = 10) -> list[Artifact]:
        """Local copies that go next."""
        where = f"{_HERE} AND (? IS NULL OR purpose = ?) AND NOT {HELD} ORDER BY local_deadline_ns, path LIMIT {most}"
        return self._artifacts(where, [purpose, purpose])

    def standing(self) -> list[Standing]:
        """What there is, by purpose and destination."""
        here = f"count(*) FILTER (WHERE {_HERE})"
        sql = (
            f"SELECT purpose, destination, {here} AS here, "  # noqa: S608 - constants
            f"coalesce(max(local_deadline_ns) FILTER (WHERE {_HERE}), 0) AS here_until_ns, "
            f"count(*) FILTER (WHERE {AT_CENTRE}) AS centre, "
            f"coalesce(max(central_deadline_ns) FILTER (WHERE {AT_CENTRE}), 0) AS centre_until_ns, "
            f"count(*) FILTER (WHERE {_HERE} AND delivery IN {_UNSENT}) AS unsent, "
            "(SELECT count(*) FROM indexed i JOIN artifacts a ON a.artifact_id = i.entry WHERE i.shard != '' "
            "AND i.purpose = artifacts.purpose AND a.destination IS artifacts.destination) AS searchable "
            "FROM artifacts GROUP BY purpose, destination ORDER BY purpose, destination"
        )
        return [Standing(**row) for row in self._base.rows(sql)]

    def keys_kept(self) -> list[tuple[int, bool, int]]:
        """Call keys that are kept for corrections or by a hold: day (UTC ns), whether held, how many."""
        sql = (
            f"SELECT until_ns / {DAY_NS} AS day, {held('kept.call_id')} AS held, count(*) AS n FROM kept "  # noqa: S608
            "GROUP BY 1, 2 ORDER BY 1, 2"
        )
        return [(row["day"] * DAY_NS, bool(row["held"]), row["n"]) for row in self._base.rows(sql)]

    def made_since(self, since_ns: int) -> dict[str, tuple[int, int]]:
        """How many artifacts of each purpose were made since then, and their bytes."""
        sql = "SELECT purpose, count(*) AS n, sum(size_bytes) AS size FROM artifacts WHERE created_ns >= ? GROUP BY 1"
        return {row["purpose"]: (row["n"], row["size"]) for row in self._base.rows(sql, [since_ns])}

    def _going(self, place: str, deadline: str, where: str, purpose: str | None, values: list[object]) -> list[Going]:
        held_ids, held_values = self._holds.held_artifacts()
        sql = (
            f"SELECT {deadline} / {DAY_NS} AS day, purpose, artifact_id IN ({held_ids}) AS held, "  # noqa: S608
            f"count(*) AS n, count(DISTINCT call_id) AS calls, sum(size_bytes) AS size FROM artifacts WHERE {where} "
            "AND (? IS NULL OR purpose = ?) GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
        )
        return [
            Going(place, r["day"] * DAY_NS, r["purpose"], bool(r["held"]), r["n"], r["calls"], r["size"])
            for r in self._base.rows(sql, [*held_values, *values, purpose, purpose])
        ]

    def _artifacts(self, where: str, values: list[object], index: str | None = None) -> list[Artifact]:
        by = f"INDEXED BY {index} " if index else ""
        sql = f"SELECT {', '.join(ARTIFACT_COLUMNS)} FROM artifacts {by}WHERE {where}"  # noqa: S608 - constants
        return [artifact_of(row) for row in self._base.rows(sql, values)]
