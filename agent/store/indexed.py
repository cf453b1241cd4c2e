"""Which transcript is in which shard of the search index, and which of them are due to leave it. Not a word of them."""

from collections.abc import Collection, Sequence

from agent.store.corrections import OPEN
from agent.store.database import SharedDatabase
from agent.store.holds import held
from agent.store.rows import IndexedRow

GONE = ""
"""The shard of a text that is out of the index, until that is journalled."""
_COLUMNS = "i.entry, i.call_id, i.purpose, i.shard, i.day, i.size"
_WHY = (
    "CASE WHEN a.artifact_id IS NULL THEN 'its transcript is unknown' "
    "WHEN a.withdrawn_ns IS NOT NULL THEN 'masked or dropped' "
    "WHEN a.local_deleted_ns IS NOT NULL THEN 'its transcript was deleted' "
    f"WHEN a.local_deadline_ns <= ? AND NOT {held('i.call_id', 'i.purpose')} THEN 'its local deadline passed' "
    "END"
)
_JOINED = "FROM indexed i LEFT JOIN artifacts a ON a.artifact_id = i.entry"


class Indexed:
    """A part of the catalog; see `agent.store.catalog.Catalog.indexed`."""

    def __init__(self, base: SharedDatabase) -> None:
        self._base = base

    def of_call(self, call_id: str, purpose: str) -> list[IndexedRow]:
        """Texts of the call that the purpose's index has."""
        return self._rows("i.call_id = ? AND i.purpose = ? AND i.shard != ''", [call_id, purpose])

    def of_shard(self, shard: str) -> list[IndexedRow]:
        """Texts in a shard."""
        return self._rows("i.shard = ?", [shard])

    def shards(self) -> set[str]:
        """All shards that count."""
        return {row["shard"] for row in self._base.rows("SELECT DISTINCT shard FROM indexed WHERE shard != ''")}

    def room(self, purpose: str, day: str, most: int, most_bytes: int) -> str | None:
        """A shard of the purpose's day that has room for one more text; None when there is none."""
        sql = (
            "SELECT shard FROM indexed WHERE purpose = ? AND day = ? AND shard != '' GROUP BY shard "
            "HAVING count(*) < ? AND sum(size) < ? ORDER BY count(*) DESC LIMIT 1"
        )
        found = self._base.rows(sql, [purpose, day, most, most_bytes])
        return str(found[0]["shard"]) if found else None

    def replace(self, old: str | None, new: str, added: IndexedRow | None, removed: Collection[str]) -> None:
        """The shard `new` takes the place of `old`, with `added` and without the entries `removed`; all or nothing."""
        with self._base.transaction():
            for entry in removed:
                self._base.run("UPDATE indexed SET shard = ? WHERE entry = ?", [GONE, entry])
            if old is not None:
                self._base.run("UPDATE indexed SET shard = ? WHERE shard = ?", [new, old])
            if added is not None:
                values = {name: getattr(added, name) for name in ("entry", "call_id", "purpose", "day", "size")}
                self._base.insert("indexed", {**values, "shard": new}, replace=True)

    def forget(self, entry: str) -> None:
        """That it left is journalled."""
        self._base.run("DELETE FROM indexed WHERE entry = ?", [entry])

    def due(self, searchable: Collection[str], now_ns: int) -> list[tuple[IndexedRow, str]]:
        """Texts that are to leave the index, or have left it without a line, and why."""
        others = f"i.purpose NOT IN ({', '.join('?' * len(searchable))})"
        sql = (
            f"SELECT {_COLUMNS}, {_WHY} AS why {_JOINED} WHERE why IS NOT NULL OR i.shard = '' OR {others} "
            "ORDER BY i.shard, i.entry"
        )
        found = []
        for values in self._base.rows(sql, [now_ns, *searchable]):
            row, why = IndexedRow(**{k: v for k, v in values.items() if k != "why"}), values["why"]
            other = (
                "a newer text took its place" if row.purpose in searchable else "the purpose is not searchable any more"
            )
            found.append((row, why or other))
        return found

    def shown(self, purpose: str, now_ns: int, since_ns: int = 0) -> list[IndexedRow]:
        """Texts that may be shown: not due to leave, of no call with an open correction, of calls begun since then."""
        where = (
            f"i.purpose = ? AND i.shard != '' AND {_WHY} IS NULL AND NOT {OPEN.replace('artifacts.', 'a.')} "  # noqa: S608
            "AND i.call_id IN (SELECT call_id FROM calls WHERE started_ns >= ?)"
        )
        return self._rows(where, [purpose, now_ns, since_ns])

    def _rows(self, where: str, values: Sequence[object]) -> list[IndexedRow]:
        sql = f"SELECT {_COLUMNS} {_JOINED} WHERE {where} ORDER BY i.shard, i.entry"
        return [IndexedRow(**row) for row in self._base.rows(sql, values)]
