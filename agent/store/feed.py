"""The pull feed in the catalog: per purpose, what was filed, in order, numbered without gaps from 1.

Triggers number each artifact as it is filed; what was held back, by a mask or drop that came to nothing or by a
restriction that was lifted, is numbered anew, so that who has passed it meets it again. Numbers are per purpose: how
much others have shows in none. The epoch is drawn when the tables are made: a catalog that was built again is known by
another one. The desk reads without the means to change anything.
"""

import hashlib
import sqlite3
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from agent.model.artifact import Artifact, Delivery
from agent.model.purpose import ArtifactKind
from agent.store.corrections import STOPPED

BUSY_S = 1.0
_COLUMNS = tuple(field.name for field in fields(Artifact))
_ARTIFACT = ", ".join(f"artifacts.{name}" for name in _COLUMNS)
_NEXT = "SELECT coalesce(max(number), 0) FROM feed WHERE purpose = NEW.purpose"


def tables(db: Database) -> None:
    """What is filed already is numbered in the order it was made."""
    db.execute("CREATE TABLE feed_epoch (epoch BLOB NOT NULL)")
    db.execute("INSERT INTO feed_epoch VALUES (randomblob(8))")
    db.execute(
        "CREATE TABLE feed (purpose TEXT, number INTEGER, artifact_id TEXT, PRIMARY KEY (purpose, number)) "
        "WITHOUT ROWID"
    )
    db.execute(
        "INSERT INTO feed SELECT purpose, row_number() OVER (PARTITION BY purpose ORDER BY created_ns, path), "
        "artifact_id FROM artifacts"
    )
    db.execute(
        f"CREATE TRIGGER feed_filed AFTER INSERT ON artifacts BEGIN "  # noqa: S608 - constants, as below
        f"INSERT INTO feed VALUES (NEW.purpose, ({_NEXT}) + 1, NEW.artifact_id); END"
    )
    db.execute(
        "CREATE TRIGGER feed_let_go AFTER UPDATE OF state ON corrections "  # noqa: S608
        "WHEN OLD.state IN ('asked', 'working') AND NEW.state NOT IN ('asked', 'working') BEGIN "
        f"INSERT INTO feed SELECT purpose, ({_NEXT}) + row_number() OVER (ORDER BY created_ns, path), artifact_id "
        "FROM artifacts WHERE call_id = NEW.call_id AND purpose = NEW.purpose AND kind <> 'tombstone' "
        "AND delivery IN ('waiting', 'poisoned') AND withdrawn_ns IS NULL AND local_deleted_ns IS NULL; END"
    )


def unrestricted(db: Database) -> None:
    """What a restriction had held back is numbered anew when it is lifted."""
    db.execute(
        "CREATE TRIGGER feed_unrestricted AFTER UPDATE OF ended_ns ON legal_holds "
        "WHEN OLD.ended_ns IS NULL AND NEW.ended_ns IS NOT NULL "
        "AND EXISTS (SELECT 1 FROM restrictions WHERE hold = NEW.id) BEGIN "
        "INSERT INTO feed SELECT purpose, (SELECT coalesce(max(number), 0) FROM feed f WHERE f.purpose = "
        "artifacts.purpose) + row_number() OVER (PARTITION BY purpose ORDER BY created_ns, path), artifact_id "
        "FROM artifacts WHERE kind <> 'tombstone' AND delivery IN ('waiting', 'poisoned') "
        "AND withdrawn_ns IS NULL AND local_deleted_ns IS NULL AND call_id IN (SELECT p.call_id FROM parties p "
        "JOIN held_numbers n ON n.number_hash = p.number_hash WHERE n.hold = NEW.id); END"
    )


class CursorGone(ValueError):
    """The cursor is of another catalog than this one: the feed must be read from its beginning."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a feed was read: the number of the last entry, and by what its place is known again."""

    epoch: bytes
    number: int
    mark: bytes

    def __str__(self) -> str:
        raw = self.epoch + self.number.to_bytes(8, "big") + self.mark
        return urlsafe_b64encode(raw).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Raises CursorGone for what is no cursor of ours."""
        try:
            raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except ValueError:
            raise CursorGone from None
        if len(raw) != 24:
            raise CursorGone
        return cls(raw[:8], int.from_bytes(raw[8:16], "big"), raw[16:])


def mark_of(artifact_id: str) -> bytes:
    """By what an entry is known again."""
    return hashlib.sha256(artifact_id.encode()).digest()[:8]


@dataclass(frozen=True, slots=True)
class Offered:
    """An artifact of a feed. `destroys`: what a tombstone calls back."""

    artifact: Artifact
    destroys: tuple[Artifact, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """Entries behind a cursor, the cursor behind them, the number of the last entry that was looked at, and whether
    there are more."""

    items: tuple[Offered, ...]
    cursor: str | None
    last: int
    more: bool


@dataclass(frozen=True, slots=True)
class Held:
    """How it stands with one artifact: `is_held` while a mask or drop is under way, or its use restricted; `is_claimed`
    once it may have left."""

    artifact: Artifact
    is_local: bool
    is_withdrawn: bool
    is_held: bool
    is_claimed: bool


class FeedReader:
    """Reads the catalog at `path` for who fetches from `destinations`. Everything raises sqlite3.Error when there is
    none yet, or it cannot be read."""

    def __init__(self, path: Path, destinations: Collection[str]) -> None:
        self._uri = f"{path.absolute().as_uri()}?mode=ro"
        self._destinations = list(destinations)
        self._here = f"artifacts.destination IN ({', '.join('?' * len(self._destinations))})"

    def newest(self, purposes: Collection[str]) -> dict[str, int]:
        """The number of the last entry of each of these."""
        sql = "SELECT coalesce(max(number), 0) FROM feed WHERE purpose = ?"
        with closing(self._open()) as db:
            return {purpose: db.execute(sql, [purpose]).fetchone()[0] for purpose in purposes}

    def page(self, purpose: str, after: str | None, most: int) -> Page:
        """Up to `most` entries of a purpose behind a cursor (None: from the beginning). Raises CursorGone.

        What was taken back, what a mask or restriction holds back and what is no longer here is passed over.
        """
        with closing(self._open()) as db:
            db.execute("BEGIN")  # one state of things for all that is asked
            epoch = db.execute("SELECT epoch FROM feed_epoch").fetchone()[0]
            start = 0 if after is None else self._place(db, purpose, Cursor.parse(after), epoch)
            entries = db.execute(
                "SELECT number, artifact_id FROM feed WHERE purpose = ? AND number > ? ORDER BY number LIMIT ?",
                [purpose, start, most + 1],
            ).fetchall()
            page, more = entries[:most], len(entries) > most
            if not page:
                return Page((), after, start, False)
            last, last_id = page[-1]
            rows = db.execute(
                f"SELECT {_ARTIFACT} FROM feed JOIN artifacts USING (artifact_id) "  # noqa: S608 - constants
                f"WHERE feed.purpose = ? AND number > ? AND number <= ? AND artifacts.purpose = ? AND {self._here} "
                f"AND withdrawn_ns IS NULL AND local_deleted_ns IS NULL AND (kind = 'tombstone' OR NOT {STOPPED}) "
                "ORDER BY number",
                [purpose, start, last, purpose, *self._destinations],
            )
            artifacts = {a.artifact_id: a for a in map(_artifact, rows)}  # numbered twice: told once a page
            items = tuple(Offered(a, self._called_back(db, a)) for a in artifacts.values())
            return Page(items, str(Cursor(epoch, last, mark_of(last_id))), last, more)

    def find(self, artifact_id: str, purpose: str) -> Held | None:
        """How it stands with an artifact of this purpose; None when there is none, or it is another's."""
        sql = (
            f"SELECT {_ARTIFACT}, local_deleted_ns IS NULL, withdrawn_ns IS NOT NULL, "  # noqa: S608 - constants
            f"kind <> 'tombstone' AND {STOPPED}, attempted_ns IS NOT NULL FROM artifacts "
            f"WHERE artifact_id = ? AND purpose = ? AND {self._here}"
        )
        with closing(self._open()) as db:
            row = db.execute(sql, [artifact_id, purpose, *self._destinations]).fetchone()
        return None if row is None else Held(_artifact(row[: len(_COLUMNS)]), *map(bool, row[len(_COLUMNS) :]))

    def _place(self, db: sqlite3.Connection, purpose: str, cursor: Cursor, epoch: bytes) -> int:
        sql = "SELECT artifact_id FROM feed WHERE purpose = ? AND number = ?"
        there = db.execute(sql, [purpose, min(cursor.number, (1 << 63) - 1)]).fetchone()
        if cursor.epoch != epoch or there is None or mark_of(there[0]) != cursor.mark:
            raise CursorGone
        return cursor.number

    def _called_back(self, db: sqlite3.Connection, grave: Artifact) -> tuple[Artifact, ...]:
        if grave.kind is not ArtifactKind.TOMBSTONE:
            return ()
        sql = (
            f"SELECT {_ARTIFACT} FROM artifacts WHERE call_id = ? AND purpose = ? AND withdrawn_ns IS NOT NULL "  # noqa: S608
            f"AND created_ns <= ? AND {self._here} ORDER BY created_ns, path"
        )
        values = [grave.call_id, grave.purpose, grave.created_ns, *self._destinations]
        return tuple(map(_artifact, db.execute(sql, values)))

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self._uri, uri=True, timeout=BUSY_S, isolation_level=None)


def _artifact(row: Any) -> Artifact:
    values = dict(zip(_COLUMNS, row, strict=True))
    return Artifact(**{**values, "kind": ArtifactKind(values["kind"]), "delivery": Delivery(values["delivery"])})
