"""One shard: lines of several calls as an SQLite database with an FTS5 table, in RAM only, and its image as bytes.

https://sqlite.org/fts5.html; the image is what `sqlite3_serialize` gives. It is always built from its lines anew, so
that nothing that was taken out is left in a free page.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import astuple, dataclass

_TABLE = (
    "CREATE VIRTUAL TABLE said USING fts5(entry UNINDEXED, call_id UNINDEXED, party UNINDEXED, start_s UNINDEXED, "
    "text, tokenize = 'unicode61 remove_diacritics 2')"
)
_TEXT = 4
"""The number of the column that is searched."""
BEFORE, AFTER = "\x02", "\x03"
"""Around what was found, in a snippet: characters that no text has."""
SNIPPET_WORDS = 14


@dataclass(frozen=True, slots=True)
class Line:
    """What one party said in one go. `entry` is the id of the transcript it is of, `start_s` seconds into the call."""

    entry: str
    call_id: str
    party: str
    start_s: float
    text: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A line that has what was searched for; `rank` is smaller the better it fits (bm25)."""

    entry: str
    call_id: str
    party: str
    start_s: float
    snippet: str
    rank: float


def image(lines: Iterable[Line]) -> bytes:
    """A shard of these lines."""
    with closing(_memory()) as db:
        db.execute(_TABLE)
        marks = str.maketrans("", "", BEFORE + AFTER + "\0")
        rows = ((*astuple(line)[:_TEXT], line.text.translate(marks)) for line in lines)
        db.executemany("INSERT INTO said (entry, call_id, party, start_s, text) VALUES (?, ?, ?, ?, ?)", rows)
        db.execute("INSERT INTO said (said) VALUES ('optimize')")
        db.commit()
        return db.serialize()


def lines(shard: bytes) -> list[Line]:
    """All lines of a shard, in the order they were put in."""
    with closing(_opened(shard)) as db:
        return [
            Line(*row) for row in db.execute("SELECT entry, call_id, party, start_s, text FROM said ORDER BY rowid")
        ]


def find(shard: bytes, terms: Sequence[str]) -> list[Hit]:
    """Lines with any of `terms` (see `agent.search.words`) of transcripts that have all of them, best first."""
    with closing(_opened(shard)) as db:
        whole = [
            {row[0] for row in db.execute("SELECT DISTINCT entry FROM said WHERE said MATCH ?", [term])}
            for term in terms
        ]
        entries = set.intersection(*whole)
        if not entries:
            return []
        sql = (
            "SELECT entry, call_id, party, start_s, snippet(said, ?, ?, ?, '…', ?), rank FROM said "
            "WHERE said MATCH ? ORDER BY rank"
        )
        found = db.execute(sql, [_TEXT, BEFORE, AFTER, SNIPPET_WORDS, " OR ".join(terms)])
        return [Hit(*row) for row in found if row[0] in entries]


def _memory() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:")
    db.execute("PRAGMA temp_store = MEMORY")
    return db


def _opened(shard: bytes) -> sqlite3.Connection:
    db = _memory()
    db.deserialize(shard)
    return db
