"""Requests of persons in the catalog: what was asked, by keyed hashes only, what is restricted, whose name is to go.

A restriction is a legal hold (`agent.store.holds`) with a row here: the hold stops deletion, `RESTRICTED` stops use and
delivery. So both end together. Hashes of an erasure are kept until nothing of its calls is left; then they go too.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlite_utils import Database

from agent.model.artifact import Artifact
from agent.model.person import PersonRequest, Right
from agent.store.database import SharedDatabase
from agent.store.holds import held
from agent.store.rows import ARTIFACT_COLUMNS, artifact_of


def tables(db: Database) -> None:
    """Requests; numbers and calls of erasures that go on; which legal holds are restrictions."""
    columns: dict[str, type] = {"id": int, "right": str, "actor": str, "reason": str, "reference": str, "shown": str}
    columns |= {"at_ns": int, "record_sha256": str}
    db.execute(db.create_table_sql("person_requests", columns=columns, pk="id"))
    numbers = {"request": int, "number_hash": str}
    db.execute(db.create_table_sql("person_numbers", columns=numbers, pk=("request", "number_hash")))
    calls = {"request": int, "call_id": str}
    db.execute(db.create_table_sql("person_calls", columns=calls, pk=("request", "call_id")))
    db.execute(db.create_table_sql("restrictions", columns={"hold": int, "request": int}, pk="hold"))


def restricted(call: str) -> str:
    """An SQL term: somebody who took part in the call in this column has its use restricted."""
    return (
        "EXISTS (SELECT 1 FROM restrictions r JOIN legal_holds rh ON rh.id = r.hold AND rh.ended_ns IS NULL "  # noqa: S608
        "JOIN held_numbers rn ON rn.hold = r.hold JOIN parties rp ON rp.number_hash = rn.number_hash "
        f"WHERE rp.call_id = {call})"
    )


RESTRICTED = restricted("artifacts.call_id")
"""An SQL term: the artifact may not be used, sent or deleted."""
_GONE = (
    "(a.kind = 'tombstone' OR (a.local_deleted_ns IS NOT NULL AND (a.central_ended_ns IS NOT NULL "
    "OR CASE WHEN a.destination IN ({ours}) THEN a.sent_ns IS NULL AND (a.attempted_ns IS NULL "
    "OR a.delivery = 'poisoned' OR (a.withdrawn_ns IS NULL AND a.central_deadline_ns = 0)) "
    "ELSE a.sent_ns IS NULL OR a.withdrawn_ns IS NOT NULL "
    "OR (a.central_deadline_ns > 0 AND a.central_deadline_ns <= ?) END)))"
)
"""An SQL term: nothing of the artifact is left as far as we can know. At `ours`, where we delete ourselves, that is so
once it was deleted; elsewhere, once whoever has it was told to, or its time is over."""


@dataclass(frozen=True, slots=True)
class Place:
    """An artifact and where it is: `sent_ns` when it reached its destination, `ended_ns` when it was deleted there,
    `withdrawn` whether it was called back, `left` whether its sending was ever begun."""

    artifact: Artifact
    here: bool
    sent_ns: int | None
    ended_ns: int | None
    withdrawn: bool
    left: bool

    @property
    def at_centre(self) -> bool:
        """As far as we know."""
        return self.sent_ns is not None and self.ended_ns is None


class Persons:
    """A part of the catalog; see `agent.store.catalog.Catalog.persons`."""

    def __init__(self, base: SharedDatabase) -> None:
        self._base = base

    def calls_of(self, hashes: Collection[str]) -> list[str]:
        """Ids of the calls in which one of these numbers took part, oldest first. What was only dialled is a number of
        the site, and says nothing of a person."""
        marks = ", ".join("?" * len(hashes))
        sql = (
            "SELECT call_id FROM calls WHERE call_id IN "  # noqa: S608 - question marks
            f"(SELECT call_id FROM parties WHERE number_hash IN ({marks})) ORDER BY started_ns, call_id"
        )
        return [row["call_id"] for row in self._base.rows(sql, sorted(hashes))]

    def places(self, call_id: str) -> list[Place]:
        """All artifacts that the call ever had, and where each is."""
        sql = (
            f"SELECT {', '.join(ARTIFACT_COLUMNS)}, local_deleted_ns, sent_ns AS at_ns, central_ended_ns, "  # noqa: S608
            "withdrawn_ns, (attempted_ns IS NOT NULL OR sent_ns IS NOT NULL OR attempts > 0) AS begun "
            "FROM artifacts WHERE call_id = ? ORDER BY created_ns, path"
        )
        return [
            Place(
                artifact_of({name: row[name] for name in ARTIFACT_COLUMNS}),
                row["local_deleted_ns"] is None,
                row["at_ns"],
                row["central_ended_ns"],
                row["withdrawn_ns"] is not None,
                bool(row["begun"]),
            )
            for row in self._base.rows(sql, [call_id])
        ]

    def is_restricted(self, call_id: str) -> bool:
        """Whether nothing of the call may be used."""
        return bool(self._base.rows(f"SELECT 1 WHERE {restricted('?1')}", [call_id]))

    # ---- requests

    def ask(self, request: PersonRequest) -> PersonRequest:
        """File a request. Returns it with its number."""
        with self._base.transaction():
            values = {"right": request.right.value, "actor": request.actor, "reason": request.reason}
            values |= {"reference": request.reference, "shown": request.shown}
            self._base.insert("person_requests", {**values, "at_ns": request.at_ns, "record_sha256": ""})
            number = int(self._base.rows("SELECT last_insert_rowid() AS id")[0]["id"])
        return self.numbered(number)

    def recorded(self, number: int, sha256: str) -> None:
        """The signed record of a request was written, or written anew."""
        self._base.run("UPDATE person_requests SET record_sha256 = ? WHERE id = ?", [sha256, number])

    def numbered(self, number: int) -> PersonRequest:
        """Raises LookupError."""
        found = self._requests("id = ?", [number])
        if not found:
            raise LookupError(f"no request number {number}")
        return found[0]

    def requests(self, shown: str | None = None) -> list[PersonRequest]:
        """All there were (of one number), oldest first."""
        return self._requests("(? IS NULL OR shown = ?)", [shown, shown])

    def _requests(self, where: str, values: Sequence[object]) -> list[PersonRequest]:
        sql = f"SELECT * FROM person_requests WHERE {where} ORDER BY id"  # noqa: S608 - constants
        return [_request(row) for row in self._base.rows(sql, values)]

    # ---- restrictions

    def restrict(self, request: int, hold: int) -> None:
        """This legal hold is a restriction."""
        self._base.insert("restrictions", {"hold": hold, "request": request})

    def restrictions(self, hashes: Collection[str]) -> list[int]:
        """Numbers of the open holds that restrict one of these numbers."""
        marks = ", ".join("?" * len(hashes))
        sql = (
            "SELECT DISTINCT r.hold FROM restrictions r JOIN legal_holds h ON h.id = r.hold AND h.ended_ns IS NULL "  # noqa: S608
            f"JOIN held_numbers n ON n.hold = r.hold WHERE n.number_hash IN ({marks}) ORDER BY 1"
        )
        return [row["hold"] for row in self._base.rows(sql, sorted(hashes))]

    # ---- erasures: whose name is to go once nothing is left

    def follow(self, request: int, hashes: Collection[str], calls: Sequence[str]) -> None:
        """The number is to be taken off each of these calls as soon as nothing of it is left."""
        if not calls:
            return  # its hashes would be kept for nothing
        with self._base.transaction():
            for number_hash in sorted(hashes):
                self._base.insert("person_numbers", {"request": request, "number_hash": number_hash}, replace=True)
            for call_id in calls:
                self._base.insert("person_calls", {"request": request, "call_id": call_id}, replace=True)

    def empty(self, now_ns: int, ours: Collection[str]) -> list[tuple[int, str]]:
        """Request and call, of calls of which nothing is left, here or at the centre, and nothing is to come; none that
        a hold covers. `ours`: destinations where we delete ourselves."""
        gone = _GONE.format(ours=", ".join("?" * len(ours)))
        sql = (
            "SELECT e.request, e.call_id FROM person_calls e JOIN calls c ON c.call_id = e.call_id "  # noqa: S608
            f"AND c.state IN ('finalised', 'forgotten') AND NOT {held('c.call_id')} "
            "WHERE NOT EXISTS (SELECT 1 FROM artifacts a WHERE "
            f"a.call_id = e.call_id AND NOT {gone}) AND NOT EXISTS (SELECT 1 FROM kept k WHERE k.call_id = e.call_id) "
            "AND NOT EXISTS (SELECT 1 FROM corrections o WHERE o.call_id = e.call_id AND o.state IN ('asked', "
            "'working')) AND NOT EXISTS (SELECT 1 FROM deferred d WHERE d.call_id = e.call_id)"
        )
        return [(row["request"], row["call_id"]) for row in self._base.rows(sql, [*ours, now_ns])]

    def unlink(self, request: int, call_id: str) -> None:
        """The call is nobody's: its rows do not say any more that this number took part in it."""
        mine = "number_hash IN (SELECT number_hash FROM person_numbers WHERE request = ?)"
        with self._base.transaction():
            self._base.run(f"UPDATE parties SET number_hash = '' WHERE call_id = ? AND {mine}", [call_id, request])  # noqa: S608
            dialled = mine.replace("number_hash IN", "did_hash IN")
            self._base.run(f"UPDATE calls SET did_hash = NULL WHERE call_id = ? AND {dialled}", [call_id, request])  # noqa: S608
            self._base.run("DELETE FROM person_calls WHERE request = ? AND call_id = ?", [request, call_id])
            self._base.run(
                "DELETE FROM person_numbers WHERE request = ?1 AND NOT EXISTS (SELECT 1 FROM person_calls "
                "WHERE request = ?1)",
                [request],
            )


def _request(row: dict[str, Any]) -> PersonRequest:
    values = {name: row[name] for name in ("actor", "reason", "reference", "shown", "at_ns", "record_sha256")}
    return PersonRequest(right=Right(row["right"]), number=row["id"], **values)
