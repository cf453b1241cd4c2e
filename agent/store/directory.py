"""The directory: agents, their extensions, and tokens, of which only SHA-256 digests are kept.

A file of its own beside the catalog, because the catalog is a projection that may be thrown away and built again, and
identity must not go with it. Commands write here, as root or as the agent's user; the desk only reads. It is a plain
rollback-journal database: between two changes there is no second file of which the desk's user would need to be owner.
A power cut in the middle of a change leaves its journal behind, which the next command takes back; until then the desk,
which may not, reads a copy in memory in which it is taken back.
"""

import hashlib
import hmac
import os
import secrets
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from agent.model.identity import EXTENSION, NAME, Agent, Device, Right, Scope, Token
from agent.store.hotjournal import Seen, seen, taken_back
from agent.vault.secretfile import as_owner, make_folder

TOKEN_BYTES = 32
ID_DIGITS = 12
BUSY_S = 20.0
LONGEST_TOKEN = 200
_TABLES = """
CREATE TABLE IF NOT EXISTS agents (name TEXT PRIMARY KEY, supervisor INTEGER NOT NULL, created_ns INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS extensions (
    extension TEXT PRIMARY KEY, agent TEXT NOT NULL REFERENCES agents (name) ON DELETE CASCADE);
CREATE TABLE IF NOT EXISTS tokens (
    token_id TEXT PRIMARY KEY, digest TEXT NOT NULL, scope TEXT NOT NULL, extension TEXT, device TEXT,
    name TEXT NOT NULL, created_ns INTEGER NOT NULL, expires_ns INTEGER, revoked_ns INTEGER);
CREATE TABLE IF NOT EXISTS feeds (token_id TEXT PRIMARY KEY REFERENCES tokens, purpose TEXT NOT NULL);
"""
_COLUMNS = "token_id, scope, extension, device, name, created_ns, expires_ns, revoked_ns"


def digest_of(token: str) -> str:
    """SHA-256 of a token, in hexadecimal: a token has 256 bits of chance, so nothing slower is needed."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


class Directory:
    """For commands: every change is all or nothing, durable when it returns. Refusals raise ValueError in words."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add_agents(self, agents: Iterable[Agent], now_ns: int) -> int:
        """All of them or none; returns how many. Names and extensions must be new."""
        added = 0
        with self._changing() as db:
            for agent in agents:
                _check_agent(agent)
                if db.execute("SELECT 1 FROM agents WHERE name = ?", [agent.name]).fetchone():
                    raise ValueError(f"there is an agent {agent.name!r} already")
                db.execute("INSERT INTO agents VALUES (?, ?, ?)", [agent.name, agent.supervisor, now_ns])
                for extension in agent.extensions:
                    holder = db.execute("SELECT agent FROM extensions WHERE extension = ?", [extension]).fetchone()
                    if holder:
                        raise ValueError(f"extension {extension} is already that of {holder[0]!r}")
                    db.execute("INSERT INTO extensions VALUES (?, ?)", [extension, agent.name])
                added += 1
        return added

    def remove_agent(self, name: str, now_ns: int) -> int:
        """Remove an agent; the tokens of its extensions are revoked, and their number returned."""
        with self._changing() as db:
            own = "SELECT extension FROM extensions WHERE agent = ?"
            sql = f"UPDATE tokens SET revoked_ns = ? WHERE revoked_ns IS NULL AND extension IN ({own})"  # noqa: S608
            revoked = db.execute(sql, [now_ns, name]).rowcount
            if not db.execute("DELETE FROM agents WHERE name = ?", [name]).rowcount:
                raise ValueError(f"there is no agent {name!r}")
        return revoked

    def agents(self) -> list[Agent]:
        """All agents by name."""
        with self._reading() as db:
            found: dict[str, list[str]] = {}
            for extension, agent in db.execute("SELECT extension, agent FROM extensions ORDER BY extension"):
                found.setdefault(agent, []).append(extension)
            rows = db.execute("SELECT name, supervisor FROM agents ORDER BY name").fetchall()
        return [Agent(name, tuple(found.get(name, ())), bool(supervisor)) for name, supervisor in rows]

    def add_token(
        self,
        right: Right,
        now_ns: int,
        *,
        extension: str | None = None,
        device: Device | None = None,
        name: str = "desk",
        expires_ns: int | None = None,
        purpose: str | None = None,
    ) -> str:
        """Make a token and return it: it is shown this once, and kept nowhere. `purpose` is that of a feed."""
        made = secrets.token_urlsafe(TOKEN_BYTES)
        self.add_digests([(digest_of(made), right, extension, device, name, expires_ns)], now_ns, purpose)
        return made

    def add_digests(
        self,
        tokens: Iterable[tuple[str, Right, str | None, Device | None, str, int | None]],
        now_ns: int,
        purpose: str | None = None,
    ) -> int:
        """Tokens of which only (digest, right, extension, device, name, expires_ns) is known; those known are skipped.
        `purpose` is that of all of them, if they are of a feed.

        Returns how many are new.
        """
        with self._changing() as db:
            new = 0
            for digest, right, extension, device, name, expires_ns in tokens:
                if (right is Right.AGENT) != (extension is not None) or (device and right is not Right.AGENT):
                    raise ValueError("an extension, and a device, belong to the scope `agent:EXTENSION` alone")
                if (right is Right.FEED) != (purpose is not None):
                    raise ValueError("a purpose belongs to the scope `feed:PURPOSE` alone")
                if not NAME.fullmatch(name):
                    raise ValueError("a token is called by up to 32 letters, digits, dots, dashes and underscores")
                row = [digest[:ID_DIGITS], digest, right, extension, device, name, now_ns, expires_ns]
                sql = "INSERT OR IGNORE INTO tokens VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)"
                new += db.execute(sql, row).rowcount
                if purpose is not None:
                    db.execute("INSERT OR IGNORE INTO feeds VALUES (?, ?)", [digest[:ID_DIGITS], purpose])
            return new

    def revoke(self, prefix: str, now_ns: int) -> Token:
        """Take back the one token whose id begins so."""
        with self._changing() as db:
            sql = f"SELECT {_COLUMNS} FROM tokens WHERE token_id LIKE ? || '%' ESCAPE '!'"  # noqa: S608
            found = db.execute(sql, [prefix.replace("%", "!%").replace("_", "!_")]).fetchall()
            if not prefix or len(found) != 1:
                raise ValueError(
                    "several tokens have an id that begins so" if prefix and found else "no token has this id"
                )
            token = _token(db, found[0])
            if token.revoked_ns is None:
                db.execute("UPDATE tokens SET revoked_ns = ? WHERE token_id = ?", [now_ns, token.token_id])
        return token

    def tokens(self) -> list[Token]:
        """All tokens, the newest last."""
        with self._reading() as db:
            sql = f"SELECT {_COLUMNS} FROM tokens ORDER BY created_ns, token_id"  # noqa: S608
            return [_token(db, row) for row in db.execute(sql).fetchall()]

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        make_folder(self._path.parent)
        with as_owner(self._path.parent), self._created() as db:
            db.execute("PRAGMA foreign_keys = ON")
            db.execute("PRAGMA synchronous = EXTRA")
            db.executescript(_TABLES)
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")

    def _created(self) -> "closing[sqlite3.Connection]":
        create_private(self._path)
        return closing(sqlite3.connect(self._path, timeout=BUSY_S, isolation_level=None))

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        if not self._path.exists():
            with closing(sqlite3.connect(":memory:")) as db:
                db.executescript(_TABLES)
                yield db
            return
        with as_owner(self._path.parent), closing(sqlite3.connect(self._path, timeout=BUSY_S)) as db:
            yield db


class DirectoryReader:
    """For the desk: finds the holder of a token, as things stand at that moment. One thread at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._copy_of: Seen | None = None
        """Of what `_db` is a copy in memory; None: it is the file itself."""

    def find(self, token: str, now_ns: int) -> Scope | None:
        """The scope of a good token; None for any other. Raises OSError, sqlite3.Error when it cannot be read.

        The row is found by the id, which is no secret; all of the digest is then compared in constant time.
        """
        if not token or len(token) > LONGEST_TOKEN or (db := self._opened()) is None:
            return None
        digest = digest_of(token)
        sql = f"SELECT {_COLUMNS}, digest FROM tokens WHERE token_id = ?"  # noqa: S608
        row = db.execute(sql, [digest[:ID_DIGITS]]).fetchone()
        if row is None or not hmac.compare_digest(row[-1], digest):
            return None
        kept = _token(db, row[:-1])
        return self._scope(db, kept) if kept.is_good(now_ns) else None

    def knows(self, token: str) -> bool:
        """Whether there is such a token, be it revoked or expired. Raises as `find` does."""
        db = self._opened()
        found = db and db.execute("SELECT 1 FROM tokens WHERE token_id = ?", [digest_of(token)[:ID_DIGITS]]).fetchone()
        return bool(found)

    def _scope(self, db: sqlite3.Connection, kept: Token) -> Scope:
        if kept.extension is None:
            return Scope(kept.right, name=kept.name, token_id=kept.token_id, purpose=kept.purpose)
        siblings = "SELECT extension FROM extensions WHERE agent = (SELECT agent FROM extensions WHERE extension = ?)"
        own = frozenset([kept.extension, *(row[0] for row in db.execute(siblings, [kept.extension]))])
        boss = "SELECT supervisor FROM agents JOIN extensions ON agent = name WHERE extension = ?"
        leads = kept.device is None and db.execute(boss, [kept.extension]).fetchone() == (1,)
        right = Right.SUPERVISOR if leads else kept.right
        name = kept.extension if leads else kept.name
        return Scope(right, kept.extension, own, kept.device, name, kept.token_id)

    def _opened(self) -> sqlite3.Connection | None:
        """The database; opened anew when another file has taken its place; None as long as there is none."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return None
        if self._copy_of is not None and self._copy_of != seen(self._path):
            self.close()
        if self._db is None or self._file != (status.st_dev, status.st_ino):
            self.close()
            uri = f"{self._path.absolute().as_uri()}?mode=ro"
            self._db = sqlite3.connect(uri, uri=True, timeout=1.0, check_same_thread=False)
            self._file = (status.st_dev, status.st_ino)
        if self._copy_of is None:
            try:
                self._db.execute("SELECT 1 FROM sqlite_master").fetchone()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_READONLY_ROLLBACK:
                    raise
                self.close()
                self._db, self._copy_of = taken_back(self._path)
                self._file = (status.st_dev, status.st_ino)
        return self._db

    def close(self) -> None:
        """Let go of the file."""
        if self._db is not None:
            self._db.close()
            self._db = self._copy_of = None


class LastUse:
    """The day on which each token was last used: the one thing the desk writes, into a file of the desk's own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._said: dict[str, str] = {}

    def note(self, token_id: str, day: str) -> None:
        """That a token was used on this day (YYYY-MM-DD); written once a day. Raises OSError, sqlite3.Error."""
        if self._said.get(token_id) == day:
            return
        self._said[token_id] = day
        create_private(self._path)
        with closing(sqlite3.connect(self._path, timeout=1.0)) as db, db:
            db.execute("CREATE TABLE IF NOT EXISTS uses (token_id TEXT PRIMARY KEY, day TEXT NOT NULL)")
            db.execute("INSERT OR REPLACE INTO uses VALUES (?, ?)", [token_id, day])

    def days(self) -> dict[str, str]:
        """Token id → day."""
        if not self._path.exists():
            return {}
        with closing(sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            return dict(db.execute("SELECT token_id, day FROM uses").fetchall())


def create_private(path: Path) -> None:
    """Make an empty file of mode 0600, unless it is there."""
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))


def _check_agent(agent: Agent) -> None:
    if not agent.name.strip() or len(agent.name) > 64 or not agent.name.isprintable():
        raise ValueError("an agent has a name of up to 64 printable characters")
    if not agent.extensions:
        raise ValueError(f"agent {agent.name!r} has no extension")
    for extension in agent.extensions:
        if not EXTENSION.fullmatch(extension):
            raise ValueError(f"{extension!r} is no extension")


def _token(db: sqlite3.Connection, row: Any) -> Token:
    token_id, right, extension, device, *rest = row
    token = Token(token_id, Right(right), extension, Device(device) if device else None, *rest)
    if token.right is not Right.FEED:  # a directory of before there were feeds has no such table
        return token
    (purpose,) = db.execute("SELECT purpose FROM feeds WHERE token_id = ?", [token_id]).fetchone()
    return replace(token, purpose=purpose)
