"""The tables of the catalog. They only ever grow: a change adds a step at the end of `STEPS`, never alters one."""

from collections.abc import Callable

from sqlite_utils import Database

from agent.store import clock, custody, feed, holds, hooks, lanes, orders, persons, retained, timestamps
from agent.store.rows import ARTIFACT_COLUMNS


def prepare(db: Database) -> None:
    """Bring a new or older catalog to the present schema, all or nothing."""
    if _version(db) == len(STEPS):
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        for step in STEPS[_version(db) :]:
            step(db)
        db.execute(f"PRAGMA user_version = {len(STEPS)}")
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _version(db: Database) -> int:
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    return version


def _first(db: Database) -> None:
    tables: dict[str, tuple[dict[str, type], str | tuple[str, ...]]] = {
        "calls": (
            {
                "call_id": str,
                "reference_hash": str,
                "tap": str,
                "gateway": str,
                "direction": str,
                "queue": str,
                "did_hash": str,
                "started_ns": int,
                "ended_ns": int,
                "cause": str,
                "state": str,
                "duration_samples": int,
            },
            "call_id",
        ),
        "parties": (
            {
                "call_id": str,
                "participant_id": str,
                "role": str,
                "number_hash": str,
                "joined_ns": int,
                "left_ns": int,
                "channel": int,
            },
            ("call_id", "participant_id"),
        ),
        "decisions": (
            {"id": int, "call_id": str, "purpose": str, "applies": int, "trigger": str, "rule": str},
            "id",
        ),
        "marks": (
            {
                "id": int,
                "call_id": str,
                "at_ns": int,
                "purpose": str,
                "verb": str,
                "state": str,
                "since_samples": int,
                "actor": str,
                "reason": str,
            },
            "id",
        ),
        "counts": (
            {"call_id": str, "number": int, "stream": str, "counts": str},
            ("call_id", "number"),
        ),
        "artifacts": (
            ARTIFACT_COLUMNS
            | {
                "attempts": int,
                "next_attempt_ns": int,
                "upload_id": str,
                "detail": str,
                "sent_ns": int,
                "local_deleted_ns": int,
            },
            "artifact_id",
        ),
        "deferred": (
            {"call_id": str, "purpose": str, "reason": str, "at_ns": int},
            ("call_id", "purpose"),
        ),
        "holds": ({"call_id": str, "actor": str, "reason": str, "at_ns": int}, "call_id"),
        "cursors": ({"name": str, "segment": int, "position": int}, "name"),
    }
    for name, (columns, key) in tables.items():
        db.execute(db.create_table_sql(name, columns=columns, pk=key))
    for name, table, columns_text in (
        ("calls_by_state", "calls", "state"),
        ("calls_by_start", "calls", "started_ns"),
        ("decisions_by_call", "decisions", "call_id"),
        ("marks_by_call", "marks", "call_id"),
        ("artifacts_by_call", "artifacts", "call_id"),
        ("artifacts_to_send", "artifacts", "delivery, next_attempt_ns"),
        ("artifacts_to_delete", "artifacts", "local_deleted_ns, local_deadline_ns"),
    ):
        db.execute(f"CREATE INDEX {name} ON {table} ({columns_text})")


def _quality(db: Database) -> None:
    """How each call was heard; `id` grows, so that a reader can go on where it was."""
    db.execute(db.create_table_sql("quality", columns={"id": int, "call_id": str, "channels": str}, pk="id"))
    db.execute("CREATE UNIQUE INDEX quality_by_call ON quality (call_id)")


def _hand(db: Database) -> None:
    """What holds a pause; when a call was decided on, and what waits for consent; what others said of it."""
    db.execute("ALTER TABLE marks ADD COLUMN cause TEXT NOT NULL DEFAULT ''")
    db.execute("ALTER TABLE decisions ADD COLUMN waits INTEGER NOT NULL DEFAULT 0")
    db.execute("ALTER TABLE decisions ADD COLUMN at_ns INTEGER NOT NULL DEFAULT 0")
    columns = {
        "id": int,
        "call_id": str,
        "at_ns": int,
        "queue": str,
        "tags": str,
        "consent": str,
        "actor": str,
        "source": str,
    }
    db.execute(db.create_table_sql("contexts", columns=columns, pk="id"))
    db.execute("CREATE INDEX contexts_by_call ON contexts (call_id)")


def _corrections(db: Database) -> None:
    """Masks and drops that were asked for; keys kept for them; what was withdrawn; why a purpose has nothing."""
    columns = {
        "id": int,
        "call_id": str,
        "purpose": str,
        "verb": str,
        "from_samples": int,
        "to_samples": int,
        "actor": str,
        "reason": str,
        "at_ns": int,
        "state": str,
        "revision": int,
        "detail": str,
        "done_ns": int,
    }
    db.execute(db.create_table_sql("corrections", columns=columns, pk="id"))
    db.execute("CREATE INDEX corrections_by_call ON corrections (call_id)")
    db.execute("CREATE INDEX corrections_open ON corrections (call_id, purpose) WHERE state IN ('asked', 'working')")
    db.execute(db.create_table_sql("kept", columns={"call_id": str, "until_ns": int}, pk="call_id"))
    nothing = {"call_id": str, "purpose": str, "reason": str}
    db.execute(db.create_table_sql("empty_handed", columns=nothing, pk=("call_id", "purpose")))
    db.execute("ALTER TABLE artifacts ADD COLUMN attempted_ns INTEGER")
    db.execute("ALTER TABLE artifacts ADD COLUMN withdrawn_ns INTEGER")
    db.execute("ALTER TABLE deferred ADD COLUMN version INTEGER NOT NULL DEFAULT 2")
    db.execute("CREATE INDEX marks_at_limit ON marks (call_id) WHERE verb = 'limit'")


def _texts(db: Database) -> None:
    """Transcriptions asked for again, and what wrote each text."""
    columns = {
        "id": int,
        "call_id": str,
        "model": str,
        "actor": str,
        "at_ns": int,
        "state": str,
        "revision": int,
        "share": float,
        "detail": str,
        "done_ns": int,
    }
    db.execute(db.create_table_sql("rewrites", columns=columns, pk="id"))
    db.execute("CREATE INDEX rewrites_by_call ON rewrites (call_id)")
    db.execute("CREATE INDEX rewrites_open ON rewrites (id) WHERE state IN ('asked', 'working')")
    written = {"path": str, "call_id": str, "engine": str, "model": str, "model_sha256": str, "language": str}
    db.execute(db.create_table_sql("written", columns={**written, "test_only": int}, pk="path"))
    db.execute("CREATE INDEX written_by_call ON written (call_id)")


def _index(db: Database) -> None:
    """Which transcript is in which shard of the search index."""
    columns = {"entry": str, "call_id": str, "purpose": str, "shard": str, "day": str, "size": int}
    db.execute(db.create_table_sql("indexed", columns=columns, pk="entry"))
    db.execute("CREATE INDEX indexed_by_shard ON indexed (shard)")
    db.execute("CREATE INDEX indexed_by_call ON indexed (call_id, purpose)")


STEPS: tuple[Callable[[Database], None], ...] = (
    _first,
    _quality,
    _hand,
    _corrections,
    _texts,
    _index,
    timestamps.tables,
    lanes.tables,
    holds.tables,
    orders.tables,
    retained.tables,
    clock.tables,
    feed.tables,
    custody.tables,
    hooks.tables,
    persons.tables,
    feed.unrestricted,
)
