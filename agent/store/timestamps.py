"""Timestamps in the catalog: which manifests and which checkpoint wait for one, and what each token says that came.

Filled and emptied by the courier. A token's file is beside its manifest in the outbox, or in `timestamps/` of the
journal; that of a manifest is also an artifact, delivered and deleted like any other.
"""

from collections.abc import Collection
from dataclasses import asdict, dataclass, fields

from sqlite_utils import Database

from agent.model.artifact import Artifact
from agent.store.corrections import OPEN
from agent.store.database import SharedDatabase

FOLDER = "timestamps"
"""Of the journal: tokens of checkpoints."""
_OPEN_TO_IT = (
    "EXISTS (SELECT 1 FROM artifacts WHERE artifacts.artifact_id = timestamps.subject AND withdrawn_ns IS NULL "  # noqa: S608
    f"AND NOT {OPEN})"
)


@dataclass(frozen=True, slots=True)
class StampRow:
    """One thing to be timestamped: a manifest (`subject` is its artifact's id) or a checkpoint of the journal.

    `path` is the token's, from outbox or journal folder; `imprint` the SHA-256 (hex) that it is of, known since
    `since_ns`. `state`: waiting, done, or dropped (what it was of was withdrawn); `detail`: why it still waits. Of a
    token that came: the instant it says, whose it is, its own SHA-256.
    """

    subject: str
    call_id: str | None
    purpose: str | None
    seq: int | None
    path: str
    imprint: str
    since_ns: int
    state: str = "waiting"
    detail: str = ""
    at_ns: int | None = None
    authority: str = ""
    token_sha256: str = ""


_COLUMNS = ", ".join(f.name for f in fields(StampRow))


@dataclass(frozen=True, slots=True)
class Queue:
    """How many wait, since when the first (UTC ns, None where none does), and why."""

    waiting: int
    oldest_ns: int | None
    detail: str


def tables(db: Database) -> None:
    """What waits for a timestamp, and what came."""
    columns: dict[str, type] = {name: str for name in _COLUMNS.split(", ")}
    columns |= dict.fromkeys(("seq", "since_ns", "at_ns"), int)
    db.execute(db.create_table_sql("timestamps", columns=columns, pk="subject"))
    db.execute("CREATE INDEX timestamps_waiting ON timestamps (since_ns) WHERE state = 'waiting'")
    db.execute("CREATE INDEX timestamps_by_call ON timestamps (call_id)")
    db.execute("CREATE INDEX timestamps_of_checkpoints ON timestamps (seq) WHERE seq IS NOT NULL")


class Timestamps:
    """A part of the catalog; see `agent.store.catalog.Catalog.timestamps`."""

    def __init__(self, base: SharedDatabase) -> None:
        self._base = base

    def queue_manifests(self, purposes: Collection[str], after: int) -> int:
        """Manifests of these purposes whose rows came after row `after` wait from now on, those that were withdrawn no
        more. Returns the last row that was looked at."""
        with self._base.transaction():
            last = self._base.rows("SELECT coalesce(max(rowid), 0) AS last FROM artifacts")[0]["last"]
            marks = ", ".join("?" * len(purposes))
            sql = (
                "INSERT OR IGNORE INTO timestamps (subject, call_id, purpose, path, imprint, since_ns, state, detail, "  # noqa: S608
                "authority, token_sha256) SELECT artifact_id, call_id, purpose, "
                "substr(path, 1, length(path) - 4) || '.tsr', plain_sha256, created_ns, 'waiting', '', '', '' "
                "FROM artifacts WHERE rowid > ? AND kind = 'manifest' AND withdrawn_ns IS NULL "
                f"AND local_deleted_ns IS NULL AND purpose IN ({marks})"
            )
            self._base.run(sql, [after, *purposes])
            self._base.run(
                "UPDATE timestamps SET state = 'dropped' WHERE state = 'waiting' AND EXISTS (SELECT 1 FROM artifacts "
                "WHERE artifacts.artifact_id = timestamps.subject AND withdrawn_ns IS NOT NULL)"
            )
        return int(last)

    def queue_checkpoint(self, seq: int, hash_: str, at_ns: int) -> None:
        """This checkpoint waits, and none before it: a token over it vouches for all of them."""
        row = StampRow(f"checkpoint {seq}", None, None, seq, f"{FOLDER}/{seq}.tsr", hash_, at_ns)
        with self._base.transaction():
            self._base.run("DELETE FROM timestamps WHERE seq < ? AND state = 'waiting'", [seq])
            if not self._base.rows("SELECT 1 FROM timestamps WHERE subject = ?", [row.subject]):
                self._base.insert("timestamps", asdict(row))

    def checkpoints(self) -> list[StampRow]:
        """Those that have a token, in order."""
        return self._rows("seq IS NOT NULL AND state = 'done'", "seq")

    def last_checkpoint(self) -> StampRow | None:
        """The newest that has a token."""
        found = self._rows("seq IS NOT NULL AND state = 'done'", "seq DESC LIMIT 1")
        return found[0] if found else None

    def due(self, most: int) -> list[StampRow]:
        """What waits and may be asked for now: the checkpoint, then manifests, oldest first."""
        where = f"state = 'waiting' AND (seq IS NOT NULL OR {_OPEN_TO_IT})"
        return self._rows(where, f"seq IS NULL, since_ns, subject LIMIT {most:d}")

    def of_call(self, call_id: str) -> list[StampRow]:
        """Those of the call's manifests, oldest first."""
        return self._rows("call_id = ?", "since_ns, path", [call_id])

    def queue(self) -> Queue:
        """How it stands."""
        sql = (
            "SELECT count(*) AS n, min(since_ns) AS oldest, max(detail) AS why FROM timestamps WHERE state = 'waiting'"
        )
        row = self._base.rows(sql)[0]
        return Queue(row["n"], row["oldest"], row["why"] or "")

    def still_waits(self, subject: str, detail: str) -> None:
        """It was asked for in vain."""
        sql = "UPDATE timestamps SET detail = ? WHERE subject = ? AND state = 'waiting'"
        self._base.run(sql, [detail, subject])

    def arrived(self, row: StampRow, artifact: Artifact | None) -> bool:
        """A token is there; that of a manifest is an artifact from now on. False where it may not be any more: what it
        is of was withdrawn meanwhile, or is about to be."""
        with self._base.transaction():
            where = "subject = ? AND state = 'waiting'" + ("" if artifact is None else f" AND {_OPEN_TO_IT}")
            sql = (
                "UPDATE timestamps SET state = 'done', detail = '', at_ns = ?, authority = ?, token_sha256 = ? "  # noqa: S608
                f"WHERE {where}"
            )
            if not self._base.run(sql, [row.at_ns, row.authority, row.token_sha256, row.subject]):
                return False
            if artifact is not None:
                values = asdict(artifact) | {"kind": artifact.kind.value, "delivery": artifact.delivery.value}
                self._base.insert("artifacts", {**values, "attempts": 0, "next_attempt_ns": 0, "detail": ""})
        return True

    def _rows(self, where: str, order_by: str, values: Collection[object] = ()) -> list[StampRow]:
        sql = f"SELECT {_COLUMNS} FROM timestamps WHERE {where} ORDER BY {order_by}"  # noqa: S608 - constants
        return [StampRow(**row) for row in self._base.rows(sql, list(values))]
