"""Masks and drops in the catalog: asked for by whoever may, worked off by the scribe; and keys kept for that.

While one is open, nothing of its purpose and call is handed to a destination but tombstones.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace

from agent.store.database import SharedDatabase
from agent.store.holds import held
from agent.store.rows import CorrectionRow

OPEN = (
    "EXISTS (SELECT 1 FROM corrections c WHERE c.call_id = artifacts.call_id AND c.purpose = artifacts.purpose "
    "AND c.state IN ('asked', 'working'))"
)
"""An SQL term: a correction of the artifact's purpose and call is open."""
_COLUMNS = (
    "id AS number, call_id, purpose, verb, from_samples, to_samples, actor, reason, at_ns, state, revision, detail, "
    "done_ns"
)


class Corrections:
    """A part of the catalog; see `agent.store.catalog.Catalog.corrections`."""

    def __init__(self, base: SharedDatabase) -> None:
        self._base = base

    def ask(self, rows: Sequence[CorrectionRow]) -> None:
        """Ask for them, all or none."""
        with self._base.transaction():
            for row in rows:
                values = asdict(row)
                del values["number"]
                self._base.insert("corrections", values)

    def of_call(self, call_id: str) -> list[CorrectionRow]:
        """All there ever were, in the order they were asked for."""
        sql = f"SELECT {_COLUMNS} FROM corrections WHERE call_id = ? ORDER BY id"  # noqa: S608 - a constant
        return [CorrectionRow(**row) for row in self._base.rows(sql, [call_id])]

    def calls(self) -> set[str]:
        """Calls of which anything was ever asked."""
        return {row["call_id"] for row in self._base.rows("SELECT DISTINCT call_id FROM corrections")}

    def open_rows(self) -> list[CorrectionRow]:
        """What is to be done in calls that are over."""
        sql = (
            f"SELECT {_COLUMNS} FROM corrections WHERE state IN ('asked', 'working') "  # noqa: S608 - a constant
            "AND call_id NOT IN (SELECT call_id FROM calls WHERE state = 'live')"
        )
        return [CorrectionRow(**row) for row in self._base.rows(sql)]

    def turn(
        self, row: CorrectionRow, state: str, at_ns: int, *, revision: int | None = None, detail: str = ""
    ) -> None:
        """A new state; `at_ns` is remembered when it is the last one."""
        revision = row.revision if revision is None else revision
        done = replace(row, state=state, revision=revision, detail=detail)
        sql = "UPDATE corrections SET state = ?, revision = ?, detail = ?, done_ns = ? WHERE id = ?"
        self._base.run(sql, [state, revision, detail, None if done.is_open else at_ns, row.number])

    # ---- artifacts

    def claim(self, artifact_id: str, at_ns: int) -> bool:
        """About to be handed to its destination: False when it may not be any more. It counts as having left."""
        sql = (
            "UPDATE artifacts SET attempted_ns = ? WHERE artifact_id = ? AND withdrawn_ns IS NULL "  # noqa: S608
            f"AND local_deleted_ns IS NULL AND (kind = 'tombstone' OR NOT {OPEN})"
        )
        return self._base.run(sql, [at_ns, artifact_id]) > 0

    def withdraw(self, artifact_id: str, at_ns: int) -> None:
        """Never to be sent from now on; its local copy is due."""
        sql = (
            "UPDATE artifacts SET withdrawn_ns = ?, local_deadline_ns = min(local_deadline_ns, ?), delivery = CASE "
            "WHEN delivery IN ('waiting', 'poisoned') THEN 'withdrawn' ELSE delivery END "
            "WHERE artifact_id = ? AND withdrawn_ns IS NULL"
        )
        self._base.run(sql, [at_ns, at_ns, artifact_id])

    def withdrawn(self, call_id: str) -> set[str]:
        """Ids of the call's artifacts that were withdrawn."""
        sql = "SELECT artifact_id FROM artifacts WHERE call_id = ? AND withdrawn_ns IS NOT NULL"
        return {row["artifact_id"] for row in self._base.rows(sql, [call_id])}

    def may_have_left(self, artifact_id: str) -> bool:
        """Whether it was sent, or its sending was begun."""
        sql = (
            "SELECT 1 FROM artifacts WHERE artifact_id = ? AND (attempted_ns IS NOT NULL OR sent_ns IS NOT NULL "
            "OR attempts > 0)"
        )
        return bool(self._base.rows(sql, [artifact_id]))

    # ---- keys kept for corrections

    def keep(self, call_id: str, until_ns: int) -> None:
        """The call's key and records stay until then (UTC ns)."""
        self._base.insert("kept", {"call_id": call_id, "until_ns": until_ns}, replace=True)

    def kept(self) -> dict[str, int]:
        """Calls whose key and records are kept, and until when."""
        return {row["call_id"]: row["until_ns"] for row in self._base.rows("SELECT call_id, until_ns FROM kept")}

    def kept_until(self, call_id: str) -> int | None:
        """Until when; None when they are not kept."""
        found = self._base.rows("SELECT until_ns FROM kept WHERE call_id = ?", [call_id])
        return found[0]["until_ns"] if found else None

    def kept_past(self, now_ns: int) -> list[str]:
        """Calls whose time is over, and of which nothing is held."""
        sql = f"SELECT call_id FROM kept WHERE until_ns <= ? AND NOT {held('kept.call_id')} ORDER BY until_ns"  # noqa: S608
        return [row["call_id"] for row in self._base.rows(sql, [now_ns])]

    def let_go(self, call_id: str) -> None:
        """Key and records are gone."""
        self._base.run("DELETE FROM kept WHERE call_id = ?", [call_id])
