"""The search index as the scribe keeps it: texts put in when they are made, taken out when they are due.

Each change writes a new shard, moves the catalog over to it, and destroys the old one; see docs/search.md. One
instance, one thread, one process: nobody else writes here.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from itertools import groupby

import structlog

from agent.search.cabinet import Cabinet
from agent.search.shard import Line, image, lines
from agent.store.catalog import Catalog
from agent.store.indexed import GONE
from agent.store.journal import Journal
from agent.store.rows import IndexedRow

log = structlog.get_logger()

MOST_CALLS = 64
MOST_BYTES = 4 << 20
"""A shard with so many calls, or so much text, takes no more: each change writes it anew."""


class Index:
    """Writes the index. Everything raises OSError where the disk fails, and sqlite3.Error where the catalog does."""

    def __init__(self, cabinet: Cabinet, catalog: Catalog, journal: Journal, clock_ns: Callable[[], int]) -> None:
        self._cabinet = cabinet
        self._catalog = catalog
        self._journal = journal
        self._clock_ns = clock_ns

    def remove_strays(self) -> int:
        """Destroy shards that the catalog does not know: a kill came between two steps. Returns how many files."""
        return self._cabinet.destroy_all_but(self._catalog.indexed.shards())

    def put(self, entry: str, call_id: str, purpose: str, said: Sequence[Line]) -> None:
        """Put in the text of transcript `entry`, instead of any other of this call and purpose; once, however often."""
        before = self._catalog.indexed.of_call(call_id, purpose)
        if [row.entry for row in before] == [entry]:
            return
        for row in before:
            self._take_out(row.shard, [(row, "a newer text took its place")])
        day = datetime.fromtimestamp(self._clock_ns() / 1e9, UTC).strftime("%Y-%m-%d")
        old = self._catalog.indexed.room(purpose, day, MOST_CALLS, MOST_BYTES)
        kept = self._lines(old) if old is not None else []
        if kept is None:
            self._lost(str(old))
            old, kept = None, []
        new = self._cabinet.put(purpose, image([*kept, *said]))
        size = sum(len(line.text.encode()) for line in said)
        self._catalog.indexed.replace(old, new, IndexedRow(entry, call_id, purpose, new, day, size), ())
        if old is not None:
            self._cabinet.destroy(old)

    def sweep(self, searchable: Collection[str]) -> int:
        """Forget shards that lost their key, and take out what is due: deadlines, masks, drops, and all of purposes
        that are not `searchable`. Returns how many."""
        self.remove_strays()
        for shard in self._catalog.indexed.shards():
            if not self._cabinet.has(shard):
                self._lost(shard)
        due = self._catalog.indexed.due(searchable, self._clock_ns())
        for shard, rows in groupby(due, key=lambda one: one[0].shard):
            self._take_out(shard, list(rows))
        return len(due)

    def _take_out(self, shard: str, rows: Sequence[tuple[IndexedRow, str]]) -> None:
        if shard != GONE:
            out = {row.entry for row, _ in rows}
            kept = self._lines(shard)
            if kept is None:
                self._lost(shard)
                return
            left = [line for line in kept if line.entry not in out]
            stays = {row.entry for row in self._catalog.indexed.of_shard(shard)} - out
            new = self._cabinet.put(shard.partition("/")[0], image(left)) if stays else GONE
            self._catalog.indexed.replace(shard, new, None, out)
            self._cabinet.destroy(shard)
        for row, why in rows:
            self._journal.append(
                "search.removed", call_id=row.call_id, purpose=row.purpose, entry=row.entry, reason=why
            )
            self._catalog.indexed.forget(row.entry)

    def _lost(self, shard: str) -> None:
        """The key of a shard is gone (it lay in RAM, or somebody took it): its texts are forgotten."""
        rows = self._catalog.indexed.of_shard(shard)
        log.error("search.lost", shard=shard, texts=len(rows))
        self._cabinet.destroy(shard)
        self._catalog.indexed.replace(shard, GONE, None, ())
        self._take_out(GONE, [(row, "its key was gone") for row in rows])

    def _lines(self, shard: str) -> list[Line] | None:
        try:
            return lines(self._cabinet.get(shard))
        except LookupError:
            return None
