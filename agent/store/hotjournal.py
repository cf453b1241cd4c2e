"""Reading a SQLite database of which a change was cut off, without the right to take that back in the file itself.

The journal that lies beside it is *hot* (https://sqlite.org/lockingv3.html#hot_journals): a reader that may not write
is refused until somebody else has rolled it back.
"""

import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

MOST_COPIES = 3
Seen = tuple[tuple[int, int, int, int] | None, ...]


def taken_back(path: Path) -> tuple[sqlite3.Connection, Seen]:
    """A copy in memory of a database that has a hot journal, as it was before the change that was cut off, and what it
    is a copy of. Raises OSError, sqlite3.Error."""
    for _ in range(MOST_COPIES):
        before = seen(path)
        with TemporaryDirectory() as folder:
            copy = Path(folder) / path.name
            shutil.copyfile(path, copy)
            with suppress(FileNotFoundError):
                shutil.copyfile(_journal(path), _journal(copy))
            if seen(path) != before:
                continue  # a command is at it
            memory = sqlite3.connect(":memory:", check_same_thread=False)
            with closing(sqlite3.connect(copy)) as db:
                db.backup(memory)
        return memory, before
    raise sqlite3.OperationalError("it changes all the time")


def _journal(path: Path) -> Path:
    return path.with_name(f"{path.name}-journal")


def seen(path: Path) -> Seen:
    """What tells whether a database or its journal has changed."""
    found: list[tuple[int, int, int, int] | None] = []
    for one in (path, _journal(path)):
        try:
            said = one.stat()
            found.append((said.st_dev, said.st_ino, said.st_size, said.st_mtime_ns))
        except FileNotFoundError:
            found.append(None)
    return tuple(found)
