"""One SQLite database in WAL mode, shared by processes and threads: short statements, explicit transactions."""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlite_utils import Database

BUSY_MS = 20_000
"""How long a writer waits for another process's transaction; those last milliseconds."""


class SharedDatabase:
    """Statements of one thread at a time; those inside `transaction` commit together or not at all."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
        self.db = Database(connection)
        self.db.enable_wal()
        self.db.execute("PRAGMA synchronous = FULL")
        self._lock = threading.RLock()
        self._depth = 0

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All statements of this thread until the end, or none if it raises. Transactions inside join the outer one."""
        with self._lock:
            if self._depth == 0:
                self.db.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
            except BaseException:
                self._depth -= 1
                if self._depth == 0:
                    self.db.execute("ROLLBACK")
                raise
            self._depth -= 1
            if self._depth == 0:
                self.db.execute("COMMIT")

    def run(self, sql: str, values: Sequence[object] = ()) -> int:
        """Execute one statement; returns how many rows it changed."""
        with self._lock:
            return self.db.execute(sql, values).rowcount

    def insert(self, table: str, values: dict[str, object], *, replace: bool = False) -> None:
        """Insert one row. Raises sqlite3.IntegrityError when its key exists, unless `replace`."""
        names = ", ".join(values)
        marks = ", ".join("?" * len(values))
        verb = "INSERT OR REPLACE" if replace else "INSERT"
        self.run(f"{verb} INTO {table} ({names}) VALUES ({marks})", list(values.values()))

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[dict[str, Any]]:
        """All rows of a query as dicts."""
        with self._lock:
            return list(self.db.query(sql, list(values)))

    def table(
        self,
        name: str,
        where: str,
        values: Sequence[object],
        order_by: str,
        limit: int | None = None,
        select: str = "*",
    ) -> list[dict[str, Any]]:
        """Rows of one table, `where` with `?` for `values`."""
        with self._lock:
            found = self.db[name].rows_where(where or None, list(values), order_by, select, limit)
            return list(found)
