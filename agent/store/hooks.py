"""How far each webhook was told what is new: the feed is the queue, this is its place in it."""

from dataclasses import asdict, dataclass

from sqlite_utils import Database

from agent.store.database import SharedDatabase


def tables(db: Database) -> None:
    """One row a webhook and purpose."""
    columns = {"hook": str, "purpose": str, "number": int, "attempts": int, "next_ns": int}
    db.execute(db.create_table_sql("hooks", columns=columns, pk=("hook", "purpose")))


@dataclass(frozen=True, slots=True)
class HookRow:
    """A webhook was told of entries up to `number` of the purpose's feed; of the next one it was told in vain
    `attempts` times, and is to be told again not before `next_ns` (UTC)."""

    hook: str
    purpose: str
    number: int
    attempts: int = 0
    next_ns: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a feed. `is_gone`: it was taken back, or is no longer here; nobody need be told."""

    number: int
    artifact_id: str
    kind: str
    created_ns: int
    is_gone: bool


class Hooks:
    """A part of the catalog; see `agent.store.catalog.Catalog.hooks`."""

    def __init__(self, base: SharedDatabase) -> None:
        self._base = base

    def place(self, hook: str, purpose: str) -> HookRow:
        """Where a webhook is; one that is new begins with what is filed from now on."""
        found = self._base.rows("SELECT * FROM hooks WHERE hook = ? AND purpose = ?", [hook, purpose])
        if found:
            return HookRow(**found[0])
        sql = "SELECT coalesce(max(number), 0) AS last FROM feed WHERE purpose = ?"
        row = HookRow(hook, purpose, self._base.rows(sql, [purpose])[0]["last"])
        self.move(row)
        return row

    def move(self, row: HookRow) -> None:
        """Durable when this returns."""
        self._base.insert("hooks", asdict(row), replace=True)

    def behind(self, row: HookRow) -> Entry | None:
        """The entry that it is to be told next."""
        sql = (
            "SELECT number, artifact_id, kind, created_ns, withdrawn_ns IS NOT NULL OR local_deleted_ns IS NOT NULL "
            "AS is_gone FROM feed JOIN artifacts USING (artifact_id) WHERE feed.purpose = ? AND number > ? "
            "ORDER BY number LIMIT 1"
        )
        found = self._base.rows(sql, [row.purpose, row.number])
        return Entry(**{**found[0], "is_gone": bool(found[0]["is_gone"])}) if found else None
