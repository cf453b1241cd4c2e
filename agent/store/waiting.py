"""How many calls wait for their text, and since when: read from the catalog without the means to change it."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

BUSY_S = 1.0


@dataclass(frozen=True, slots=True)
class Waiting:
    """Calls that are over and not finalised; the end (UTC ns) of the one that waits longest, None where none does;
    calls to be transcribed again; and why, where calls wait for more than their turn."""

    calls: int
    oldest_ns: int | None
    again: int
    reasons: tuple[str, ...]


class WaitingCalls:
    """Reads the catalog at `path`. Raises sqlite3.Error when there is none yet, or it cannot be read."""

    def __init__(self, path: Path) -> None:
        self._uri = f"{path.absolute().as_uri()}?mode=ro"

    def look(self) -> Waiting:
        """As it is now."""
        with closing(sqlite3.connect(self._uri, uri=True, timeout=BUSY_S)) as db:
            over = "state IN ('ended', 'interrupted')"
            sql = f"SELECT count(*), min(coalesce(ended_ns, started_ns)) FROM calls WHERE {over}"  # noqa: S608
            calls, oldest_ns = db.execute(sql).fetchone()
            again = db.execute("SELECT count(*) FROM rewrites WHERE state IN ('asked', 'working')").fetchone()[0]
            reasons = db.execute("SELECT DISTINCT reason FROM deferred ORDER BY reason").fetchall()
        return Waiting(calls, oldest_ns, again, tuple(reason for (reason,) in reasons))
