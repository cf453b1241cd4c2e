"""Transcriptions of finalised calls that were asked for again, with another model; and what wrote each transcript."""

from collections.abc import Sequence
from dataclasses import asdict

from agent.store.database import SharedDatabase
from agent.store.persons import restricted
from agent.store.rows import RewriteRow, WrittenRow

_COLUMNS = "id AS number, call_id, model, actor, at_ns, state, revision, share, detail, done_ns"


class Rewrites:
    """A part of the catalog; see `agent.store.catalog.Catalog.rewrites`."""

    def __init__(self, base: SharedDatabase) -> None:
        self._base = base

    def ask(self, row: RewriteRow) -> int:
        """Ask for one. Returns the number it is known by."""
        values = asdict(row)
        del values["number"]
        with self._base.transaction():
            self._base.insert("rewrites", values)
            return int(self._base.rows("SELECT last_insert_rowid() AS id")[0]["id"])

    def of_call(self, call_id: str) -> list[RewriteRow]:
        """All there ever were, in the order they were asked for."""
        return self._rows("call_id = ? ORDER BY id", [call_id])

    def numbered(self, number: int) -> RewriteRow:
        """Raises LookupError."""
        found = self._rows("id = ?", [number])
        if not found:
            raise LookupError(f"no transcription number {number}")
        return found[0]

    def open_rows(self) -> list[RewriteRow]:
        """Those that are to be done, oldest first, whose call is neither live, nor being finalised, nor restricted."""
        over = "call_id IN (SELECT call_id FROM calls WHERE state IN ('finalised', 'forgotten'))"
        free = f"{over} AND NOT {restricted('rewrites.call_id')}"
        return self._rows(f"state IN ('asked', 'working') AND {free} ORDER BY id")

    def turn(
        self, row: RewriteRow, state: str, at_ns: int, *, revision: int | None = None, detail: str = ""
    ) -> RewriteRow:
        """A new state, and the row as it is now; `at_ns` is remembered when it is the last one."""
        revision = row.revision if revision is None else revision
        done_ns = None if state in ("asked", "working") else at_ns
        sql = "UPDATE rewrites SET state = ?, revision = ?, detail = ?, done_ns = ? WHERE id = ?"
        self._base.run(sql, [state, revision, detail, done_ns, row.number])
        return self.numbered(row.number)

    def progress(self, number: int, share: float) -> None:
        """So much (0..1) is done."""
        self._base.run("UPDATE rewrites SET share = ? WHERE id = ?", [share, number])

    # ---- what wrote what

    def note_written(self, row: WrittenRow) -> None:
        """What writes an artifact that is about to be filed under this path; whoever writes it last counts."""
        self._base.insert("written", asdict(row), replace=True)

    def written(self, call_id: str) -> dict[str, WrittenRow]:
        """What wrote the call's texts, by path."""
        rows = self._base.rows("SELECT * FROM written WHERE call_id = ? ORDER BY path", [call_id])
        return {row["path"]: WrittenRow(**{**row, "test_only": bool(row["test_only"])}) for row in rows}

    def _rows(self, where: str, values: Sequence[object] = ()) -> list[RewriteRow]:
        sql = f"SELECT {_COLUMNS} FROM rewrites WHERE {where}"  # noqa: S608 - constants
        return [RewriteRow(**row) for row in self._base.rows(sql, values)]
