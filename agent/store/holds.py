"""Legal holds in the catalog. What they cover is a term of each query that looks for something to delete.

`held` and `agent.policy.hold.covers` say the same, the one for a million rows and the other for one; a test holds them
against each other.
"""

from collections.abc import Sequence
from typing import Any

from sqlite_utils import Database

from agent.model.hold import LegalHold
from agent.store.database import SharedDatabase

_FIELDS = ("case_ref", "call_id", "purpose", "from_ns", "to_ns", "until_ns", "actor", "reason", "at_ns")


def tables(db: Database) -> None:
    """Holds by case, number, time or purpose; those of single calls, which there were before, are taken over."""
    columns: dict[str, type] = {"id": int, "case_ref": str, "call_id": str, "by_number": int, "purpose": str}
    columns |= {"from_ns": int, "to_ns": int, "until_ns": int, "actor": str, "reason": str, "at_ns": int}
    columns |= {"asked_ns": int, "asked_by": str, "ended_ns": int}
    db.execute(db.create_table_sql("legal_holds", columns=columns, pk="id"))
    numbers = {"hold": int, "number_hash": str}
    db.execute(db.create_table_sql("held_numbers", columns=numbers, pk=("hold", "number_hash")))
    db.execute(
        "INSERT INTO legal_holds (case_ref, call_id, by_number, actor, reason, at_ns) "
        "SELECT 'call-' || substr(call_id, 1, 12), call_id, 0, actor, reason, at_ns FROM holds ORDER BY at_ns, call_id"
    )
    db.execute("DROP TABLE holds")
    db.execute("CREATE INDEX legal_holds_of_call ON legal_holds (call_id) WHERE ended_ns IS NULL")
    wide = "ended_ns IS NULL AND call_id IS NULL AND by_number = 0"
    db.execute(f"CREATE INDEX legal_holds_wide ON legal_holds (id) WHERE {wide}")
    db.execute("CREATE INDEX held_numbers_by_hash ON held_numbers (number_hash)")
    db.execute("CREATE INDEX parties_by_number ON parties (number_hash)")
    db.execute("CREATE INDEX calls_by_did ON calls (did_hash) WHERE did_hash IS NOT NULL")


def held(call: str, purpose: str | None = None, which: str = "1") -> str:
    """An SQL term: an open hold (of those of which `which` is true) covers the call and purpose in these columns;
    without `purpose`, anything of the call.

    Three ways lead to a hold, each by an index: the call it names, a number of the call, and those that name neither.
    """
    open_ = f"h.ended_ns IS NULL AND {which}"
    fits = (
        ("" if purpose is None else f"(h.purpose IS NULL OR h.purpose = {purpose}) AND ")  # noqa: S608 - columns
        + "((h.from_ns IS NULL AND h.to_ns IS NULL) OR EXISTS (SELECT 1 FROM calls k WHERE "  # noqa: S608 - columns
        f"k.call_id = {call} AND (h.to_ns IS NULL OR k.started_ns < h.to_ns) "
        "AND (h.from_ns IS NULL OR k.ended_ns IS NULL OR k.ended_ns >= h.from_ns)))"
    )
    numbers = (
        f"SELECT p.number_hash FROM parties p WHERE p.call_id = {call} "  # noqa: S608 - columns
        f"UNION SELECT d.did_hash FROM calls d WHERE d.call_id = {call}"
    )
    takes_part = f"h.id IN (SELECT n.hold FROM held_numbers n WHERE n.number_hash IN ({numbers}))"  # noqa: S608 - columns
    return (
        f"(EXISTS (SELECT 1 FROM legal_holds h WHERE {open_} AND h.call_id = {call} "  # noqa: S608 - columns
        f"AND (h.by_number = 0 OR {takes_part}) AND {fits}) "
        f"OR EXISTS (SELECT 1 FROM legal_holds h WHERE {open_} AND {takes_part} AND h.call_id IS NULL AND {fits}) "
        f"OR EXISTS (SELECT 1 FROM legal_holds h WHERE {open_} AND h.call_id IS NULL AND h.by_number = 0 AND {fits}))"
    )


_OPEN = "legal_holds h WHERE h.ended_ns IS NULL"
_NUMBERS = (
    "SELECT n.number_hash FROM legal_holds h JOIN held_numbers n ON n.hold = h.id "
    "WHERE h.ended_ns IS NULL AND h.call_id IS NULL"
)
_MAYBE = (
    f"SELECT h.call_id FROM {_OPEN} AND h.call_id IS NOT NULL "  # noqa: S608 - constants
    f"UNION ALL SELECT call_id FROM parties WHERE number_hash IN ({_NUMBERS}) "
    f"UNION ALL SELECT call_id FROM calls WHERE did_hash IN ({_NUMBERS}) "
    f"UNION ALL SELECT call_id FROM kept WHERE EXISTS (SELECT 1 FROM {_OPEN} AND h.call_id IS NULL AND by_number = 0)"
)
"""An SQL query for the calls that an open hold may cover, found from the holds, which are few, and not from the calls.
Those of holds that name neither call nor number are all calls whose key is kept."""

HELD = held("artifacts.call_id", "artifacts.purpose")
"""An SQL term: the artifact may not be deleted."""


def of_number(hashes: Sequence[str]) -> tuple[str, list[object]]:
    """An SQL query for the ids of all calls in which one of these numbers took part or was dialled, and its values."""
    marks = ", ".join("?" * len(hashes))
    sql = (
        f"SELECT call_id FROM parties WHERE number_hash IN ({marks}) "  # noqa: S608 - question marks
        f"UNION SELECT call_id FROM calls WHERE did_hash IN ({marks})"
    )
    return sql, [*hashes, *hashes]


def matching(hold: LegalHold) -> tuple[str, list[object]]:
    """An SQL term on `artifacts` that is true of what `hold` covers, written so that indexes are used; its values."""
    terms, values = ["1"], list[object]()
    for name, value in (("call_id", hold.call_id), ("purpose", hold.purpose)):
        if value is not None:
            terms.append(f"artifacts.{name} = ?")
            values.append(value)
    if hold.numbers:
        sql, more = of_number(sorted(hold.numbers))
        terms.append(f"artifacts.call_id IN ({sql})")
        values += more
    bounds = {"started_ns < ?": hold.to_ns, "(ended_ns IS NULL OR ended_ns >= ?)": hold.from_ns}
    if took := {term: ns for term, ns in bounds.items() if ns is not None}:
        terms.append(f"artifacts.call_id IN (SELECT call_id FROM calls WHERE {' AND '.join(took)})")  # noqa: S608
        values += took.values()
    return " AND ".join(terms), values


class Holds:
    """A part of the catalog; see `agent.store.catalog.Catalog.legal_holds`."""

    def __init__(self, base: SharedDatabase) -> None:
        self._base = base

    def place(self, hold: LegalHold) -> LegalHold:
        """A new hold; it holds when this returns. Returns it with its number."""
        values = [hold.case, *(getattr(hold, name) for name in _FIELDS[1:])]
        with self._base.transaction():
            names = ", ".join((*_FIELDS, "by_number"))
            marks = ", ".join("?" * (len(_FIELDS) + 1))
            sql = f"INSERT INTO legal_holds ({names}) VALUES ({marks})"  # noqa: S608 - constants
            self._base.run(sql, [*values, bool(hold.numbers)])
            number = int(self._base.rows("SELECT last_insert_rowid() AS id")[0]["id"])
            for number_hash in sorted(hold.numbers):
                self._base.insert("held_numbers", {"hold": number, "number_hash": number_hash})
        return self.numbered(number)

    def numbered(self, number: int) -> LegalHold:
        """Raises LookupError."""
        found = self._rows("id = ?", [number])
        if not found:
            raise LookupError(f"no hold number {number}")
        return found[0]

    def open(self, case: str | None = None) -> list[LegalHold]:
        """Those that hold (of one case), oldest first."""
        return self._rows("ended_ns IS NULL AND (? IS NULL OR case_ref = ?)", [case, case])

    def all(self) -> list[LegalHold]:
        """Those that ended as well."""
        return self._rows("1", [])

    def of_call(self, call_id: str) -> list[LegalHold]:
        """Those that hold anything of a call."""
        return self._rows(held("?1", which="h.id = legal_holds.id"), [call_id])

    def ask_release(self, number: int, actor: str, at_ns: int) -> None:
        """A first person wants it to end."""
        self._base.run("UPDATE legal_holds SET asked_ns = ?, asked_by = ? WHERE id = ?", [at_ns, actor, number])

    def end(self, number: int, at_ns: int) -> bool:
        """It holds no more. Returns whether it did."""
        sql = "UPDATE legal_holds SET ended_ns = ? WHERE id = ? AND ended_ns IS NULL"
        return self._base.run(sql, [at_ns, number]) > 0

    def past(self, now_ns: int) -> list[LegalHold]:
        """Those whose own end has come."""
        return self._rows("ended_ns IS NULL AND until_ns <= ?", [now_ns])

    def is_held(self, call_id: str, purpose: str | None = None) -> bool:
        """Whether a hold covers this purpose of the call, or without one anything of it."""
        if purpose is None:
            return bool(self._base.rows(f"SELECT 1 WHERE {held('?1')}", [call_id]))
        return bool(self._base.rows(f"SELECT 1 WHERE {held('?1', '?2')}", [call_id, purpose]))

    def kept_calls(self) -> set[str]:
        """Ids of the calls whose keys are kept and of which a hold covers anything."""
        sql = f"SELECT call_id FROM kept WHERE call_id IN ({_MAYBE}) AND {held('kept.call_id')}"  # noqa: S608 - constants
        return {row["call_id"] for row in self._base.rows(sql, [])}

    def extent(self, hold: LegalHold) -> tuple[int, int]:
        """How many calls with artifacts, and how many artifacts that are still here, a hold covers now."""
        where, values = matching(hold)
        sql = (
            "SELECT count(DISTINCT call_id) AS calls, count(*) FILTER (WHERE local_deleted_ns IS NULL) AS here "  # noqa: S608
            f"FROM artifacts WHERE {where}"
        )
        row = self._base.rows(sql, values)[0]
        return row["calls"], row["here"]

    def held_artifacts(self) -> tuple[str, list[object]]:
        """An SQL query for the ids of all artifacts that are held, and its values: quicker than `HELD` for all rows."""
        queries, values = ["SELECT NULL WHERE 0"], list[object]()
        for hold in self.open():
            where, more = matching(hold)
            queries.append(f"SELECT artifact_id FROM artifacts WHERE {where}")  # noqa: S608 - constants
            values += more
        return " UNION ".join(queries), values

    def calls_of(self, hashes: Sequence[str]) -> list[str]:
        """Ids of all calls in which one of these numbers (keyed hashes) took part or was dialled, oldest first."""
        sql, values = of_number(hashes)
        found = self._base.rows(f"SELECT call_id FROM calls WHERE call_id IN ({sql}) ORDER BY started_ns", values)  # noqa: S608
        return [row["call_id"] for row in found]

    def _rows(self, where: str, values: Sequence[object]) -> list[LegalHold]:
        columns = "id, case_ref, call_id, purpose, from_ns, to_ns, until_ns, actor, reason, at_ns, asked_ns, asked_by"
        sql = f"SELECT {columns}, ended_ns FROM legal_holds WHERE {where} ORDER BY at_ns, id"  # noqa: S608 - constants
        return [self._hold(row) for row in self._base.rows(sql, values)]

    def _hold(self, row: dict[str, Any]) -> LegalHold:
        sql = "SELECT number_hash FROM held_numbers WHERE hold = ?"
        numbers = frozenset(one["number_hash"] for one in self._base.rows(sql, [row["id"]]))
        rest = {name: value for name, value in row.items() if name not in ("id", "case_ref")}
        return LegalHold(case=row["case_ref"], number=row["id"], numbers=numbers, **rest)
