"""The catalog of calls and of what was derived from them: a projection of the capture log, plus delivery and deletion.

Safe with several processes: the scribe writes calls and artifacts, the courier their delivery and deletion.
"""

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path

from agent.model.artifact import Artifact, Delivery
from agent.model.call import Consent, MediaStream
from agent.model.events import CallContext
from agent.model.gate import GateMark, GateState
from agent.model.media import StreamCounts
from agent.model.purpose import Decision, Trigger
from agent.model.quality import ChannelQuality
from agent.model.wire import dump, load
from agent.store.clock import Clock
from agent.store.corrections import OPEN, Corrections
from agent.store.custody import Custody
from agent.store.database import SharedDatabase
from agent.store.heard import CHANNELS
from agent.store.holds import Holds
from agent.store.hooks import Hooks
from agent.store.indexed import Indexed
from agent.store.lanes import ASIDE, WAITING, Lanes
from agent.store.orders import Orders
from agent.store.retained import Retained
from agent.store.rewrites import Rewrites
from agent.store.rows import ARTIFACT_COLUMNS, CallRow, DeferredRow, DeliveryRow, PartyRow, artifact_of
from agent.store.schema import prepare
from agent.store.timestamps import Timestamps

NEVER_NS = 1 << 62
_ARTIFACT = ", ".join(ARTIFACT_COLUMNS)


class Catalog:
    """Opens (and makes, and brings up to date) the catalog at `path`. Raises sqlite3.Error when it cannot."""

    def __init__(self, path: Path) -> None:
        self._base = SharedDatabase(path)
        prepare(self._base.db)
        self.corrections = Corrections(self._base)
        self.rewrites = Rewrites(self._base)
        self.indexed = Indexed(self._base)
        self.timestamps = Timestamps(self._base)
        self.lanes = Lanes(self._base)
        self.legal_holds = Holds(self._base)
        self.orders = Orders(self._base, self.legal_holds)
        self.clock = Clock(self._base)
        self.retained = Retained(self._base, self.legal_holds)
        self.custody = Custody(self._base)
        self.hooks = Hooks(self._base)

    def transaction(self) -> AbstractContextManager[None]:
        """Everything until the end of the `with` is committed together, or rolled back when it raises."""
        return self._base.transaction()

    # ---- calls

    def start_call(self, row: CallRow) -> None:
        """A new call. Raises sqlite3.IntegrityError if it is known."""
        self._base.insert("calls", asdict(row))

    def set_parties(self, call_id: str, parties: Sequence[PartyRow]) -> None:
        """The parties as they now stand."""
        with self.transaction():
            self._base.run("DELETE FROM parties WHERE call_id = ?", [call_id])
            for party in parties:
                self._base.insert("parties", asdict(party), replace=True)

    def add_decisions(self, call_id: str, decisions: Sequence[Decision]) -> None:
        """Which purposes apply, and why."""
        with self.transaction():
            for d in decisions:
                values = asdict(d) | {"call_id": call_id, "trigger": d.trigger.value}
                del values["draw"]
                self._base.insert("decisions", values)

    def add_context(self, said: CallContext) -> None:
        """What others than the tap said of a call."""
        values = asdict(said) | {"tags": json.dumps(said.tags), "consent": said.consent.value}
        del values["kind"]
        self._base.insert("contexts", values)

    def contexts(self, call_id: str) -> list[CallContext]:
        """In the order it was said."""
        sql = "SELECT call_id, at_ns, queue, tags, consent, actor, source FROM contexts WHERE call_id = ? ORDER BY id"
        rows = self._base.rows(sql, [call_id])
        return [
            CallContext(**{**row, "tags": tuple(json.loads(row["tags"])), "consent": Consent(row["consent"])})
            for row in rows
        ]

    def add_mark(self, mark: GateMark) -> None:
        """A change of a gate."""
        values = asdict(mark) | {"state": mark.state.value}
        del values["kind"]
        self._base.insert("marks", values)

    def set_counts(self, call_id: str, stream: MediaStream, counts: StreamCounts) -> None:
        """What was counted for one stream."""
        values = {"stream": dump(stream).decode(), "counts": dump(counts).decode()}
        self._base.insert("counts", {"call_id": call_id, "number": stream.stream, **values}, replace=True)

    def set_quality(self, call_id: str, channels: tuple[ChannelQuality, ...], *, again: bool = False) -> None:
        """How the channels of a finalised call were heard; what is known already stays, unless it is told `again`."""
        sql = "INSERT OR IGNORE INTO quality (call_id, channels) VALUES (?, ?)"
        known = "UPDATE quality SET channels = ? WHERE call_id = ?"
        with self.transaction():
            self._base.run(sql, [call_id, dump(channels).decode()])
            if again:
                self._base.run(known, [dump(channels).decode(), call_id])

    def quality(self, call_id: str) -> tuple[ChannelQuality, ...]:
        """In the order of the channels; nothing before the call is finalised."""
        rows = self._base.rows("SELECT channels FROM quality WHERE call_id = ?", [call_id])
        return load(CHANNELS, rows[0]["channels"]) if rows else ()

    def end_call(self, call_id: str, ended_ns: int, cause: str, duration_samples: int) -> None:
        """The call is over; it waits to be finalised."""
        sql = "UPDATE calls SET ended_ns = ?, cause = ?, duration_samples = ?, state = 'ended' WHERE call_id = ?"
        self._base.run(sql, [ended_ns, cause, duration_samples, call_id])

    def set_state(self, call_id: str, state: str) -> None:
        """See CallRow.state."""
        self._base.run("UPDATE calls SET state = ? WHERE call_id = ?", [state, call_id])

    def calls(self, limit: int = 50, *, forgotten: bool = False) -> list[CallRow]:
        """Newest first; only those with a pause that nobody ended, if `forgotten`."""
        where = "call_id IN (SELECT call_id FROM marks WHERE verb = 'limit')" if forgotten else ""
        return self._calls(where, order_by="started_ns DESC, call_id DESC", limit=limit)

    def calls_since(self, since_ns: int) -> list[CallRow]:
        """Those that began at or after this instant, oldest first."""
        return self._calls("started_ns >= ?", [since_ns], order_by="started_ns, call_id")

    def find_call(self, prefix: str) -> CallRow:
        """The call whose id begins with `prefix`. Raises LookupError when there is none, or several."""
        # a range, so that the index serves; no id has a character after the tilde
        found = self._calls("call_id >= ? AND call_id < ? || '~'", [prefix, prefix], limit=2)
        if len(found) != 1:
            raise LookupError(f"no call {prefix}" if not found else f"several calls begin with {prefix!r}")
        return found[0]

    def unfinished_calls(self) -> list[CallRow]:
        """Calls that are live or wait to be finalised, oldest first."""
        return self._calls("state NOT IN ('finalised', 'forgotten')", order_by="started_ns")

    def parties(self, call_id: str) -> list[PartyRow]:
        """In the order of their coming."""
        sql = "SELECT * FROM parties WHERE call_id = ? ORDER BY joined_ns, rowid"
        return [PartyRow(**row) for row in self._base.rows(sql, [call_id])]

    def decisions(self, call_id: str) -> list[Decision]:
        """In the order they were made; those of one moment in the order of the configuration."""
        sql = "SELECT purpose, applies, trigger, rule, waits, at_ns FROM decisions WHERE call_id = ? ORDER BY id"
        rows = self._base.rows(sql, [call_id])
        return [
            Decision(
                r["purpose"], bool(r["applies"]), Trigger(r["trigger"]), r["rule"], bool(r["waits"]), r["at_ns"] or 0
            )
            for r in rows
        ]

    def marks(self, call_id: str) -> list[GateMark]:
        """In the order they were made."""
        sql = (
            "SELECT call_id, at_ns, purpose, verb, state, since_samples, actor, reason, cause FROM marks "
            "WHERE call_id = ? ORDER BY id"
        )
        rows = self._base.rows(sql, [call_id])
        return [GateMark(**{**row, "state": GateState(row["state"])}) for row in rows]

    def counts(self, call_id: str) -> list[tuple[MediaStream, StreamCounts]]:
        """In the order of the streams."""
        sql = "SELECT stream, counts FROM counts WHERE call_id = ? ORDER BY number"
        rows = self._base.rows(sql, [call_id])
        return [(load(MediaStream, row["stream"]), load(StreamCounts, row["counts"])) for row in rows]

    def _calls(
        self, where: str = "", values: Sequence[object] = (), order_by: str = "call_id", limit: int | None = None
    ) -> list[CallRow]:
        return [CallRow(**row) for row in self._base.table("calls", where, values, order_by, limit)]

    # ---- artifacts

    def add_artifact(self, artifact: Artifact) -> None:
        """A file that is in the outbox. Raises sqlite3.IntegrityError if it is known."""
        values = asdict(artifact) | {"kind": artifact.kind.value, "delivery": artifact.delivery.value}
        self._base.insert("artifacts", {**values, "attempts": 0, "next_attempt_ns": 0, "detail": ""})

    def artifact(self, artifact_id: str) -> Artifact:
        """Raises LookupError."""
        found = self._artifacts("artifact_id = ?", [artifact_id])
        if not found:
            raise LookupError(f"no artifact {artifact_id}")
        return found[0]

    def artifacts(
        self,
        *,
        call_id: str | None = None,
        purpose: str | None = None,
        delivery: Delivery | None = None,
        local: bool | None = None,
    ) -> list[Artifact]:
        """Those that fit, oldest first."""
        wanted: dict[str, object] = {"call_id": call_id, "purpose": purpose, "delivery": delivery and delivery.value}
        terms = [f"{name} = ?" for name, value in wanted.items() if value is not None]
        if local is not None:
            terms.append("local_deleted_ns IS NULL" if local else "local_deleted_ns IS NOT NULL")
        return self._artifacts(" AND ".join(terms), [v for v in wanted.values() if v is not None])

    def _artifacts(self, where: str, values: Sequence[object], order_by: str = "created_ns, path") -> list[Artifact]:
        return [artifact_of(row) for row in self._base.table("artifacts", where, values, order_by, select=_ARTIFACT)]

    # ---- delivery

    def due_deliveries(self, now_ns: int) -> list[Artifact]:
        """What has a destination, is not there yet and may be tried now, oldest first."""
        return self._artifacts(
            "delivery IN (?, ?) AND destination IS NOT NULL AND local_deleted_ns IS NULL AND next_attempt_ns <= ? "
            f"AND (kind = 'tombstone' OR NOT {OPEN})",
            [Delivery.WAITING.value, Delivery.POISONED.value, now_ns],
        )

    def next_waiting(self, destination: str, purpose: str, now_ns: int, limit: int) -> list[Artifact]:
        """What of a purpose waits for this destination and may be tried now: the oldest of it, so many at most."""
        sql = (
            f"SELECT {_ARTIFACT} FROM {WAITING} AND destination = ? AND purpose = ? AND next_attempt_ns <= ? "  # noqa: S608
            f"AND (kind = 'tombstone' OR NOT {OPEN}) ORDER BY created_ns, path LIMIT ?"
        )
        return [artifact_of(row) for row in self._base.rows(sql, [destination, purpose, now_ns, limit])]

    def due_poisoned(self, destination: str, now_ns: int, limit: int) -> list[Artifact]:
        """What was set aside at this destination and is to be tried again, so many at most."""
        sql = (
            f"SELECT {_ARTIFACT} FROM {ASIDE} AND destination = ? AND next_attempt_ns <= ? "  # noqa: S608 - constants
            f"AND (kind = 'tombstone' OR NOT {OPEN}) ORDER BY next_attempt_ns LIMIT ?"
        )
        return [artifact_of(row) for row in self._base.rows(sql, [destination, now_ns, limit])]

    def begun_and_withdrawn(self, now_ns: int) -> list[Artifact]:
        """What was withdrawn while it was being sent: what was begun at its destination may be let go of now."""
        return self._artifacts(
            "delivery = ? AND attempted_ns IS NOT NULL AND destination IS NOT NULL AND next_attempt_ns <= ?",
            [Delivery.WITHDRAWN.value, now_ns],
        )

    def abandoned(self, artifact_id: str) -> None:
        """Nothing that was begun is left at its destination: there is no next attempt."""
        self._base.run("UPDATE artifacts SET next_attempt_ns = ? WHERE artifact_id = ?", [NEVER_NS, artifact_id])

    def set_delivery(self, artifact_id: str, delivery: Delivery, at_ns: int, detail: str = "") -> None:
        """A new state of delivery; `at_ns` is remembered when it is SENT. What was withdrawn stays so until then."""
        sent_ns = at_ns if delivery is Delivery.SENT else None
        sql = (
            "UPDATE artifacts SET delivery = ?, detail = ?, sent_ns = ? "
            "WHERE artifact_id = ? AND (withdrawn_ns IS NULL OR ?)"
        )
        self._base.run(sql, [delivery.value, detail, sent_ns, artifact_id, delivery is Delivery.SENT])

    def retry_later(self, artifact_id: str, next_attempt_ns: int, detail: str) -> None:
        """An attempt failed: count it, and try again not before `next_attempt_ns`."""
        sql = "UPDATE artifacts SET attempts = attempts + 1, next_attempt_ns = ?, detail = ? WHERE artifact_id = ?"
        self._base.run(sql, [next_attempt_ns, detail, artifact_id])

    def set_upload_id(self, artifact_id: str, upload_id: str | None) -> None:
        """Remember an unfinished multipart upload, so that a restart takes it up."""
        self._base.run("UPDATE artifacts SET upload_id = ? WHERE artifact_id = ?", [upload_id, artifact_id])

    def remembered_uploads(self) -> set[str]:
        """Ids of multipart uploads that were begun and will be finished or let go of."""
        rows = self._base.rows("SELECT upload_id FROM artifacts WHERE upload_id IS NOT NULL", [])
        return {str(row["upload_id"]) for row in rows}

    def delivery_state(self, artifact_id: str) -> DeliveryRow:
        """Raises LookupError."""
        sql = "SELECT attempts, next_attempt_ns, upload_id, detail, sent_ns FROM artifacts WHERE artifact_id = ?"
        found = self._base.rows(sql, [artifact_id])
        if not found:
            raise LookupError(f"no artifact {artifact_id}")
        return DeliveryRow(**found[0])

    # ---- local copies (see `retained` for what is due)

    def mark_local_deleted(self, artifact_id: str, at_ns: int) -> None:
        """The file is gone from the outbox."""
        self._base.run("UPDATE artifacts SET local_deleted_ns = ? WHERE artifact_id = ?", [at_ns, artifact_id])

    def is_local(self, artifact_id: str) -> bool:
        """Whether the file is still in the outbox."""
        sql = "SELECT 1 FROM artifacts WHERE artifact_id = ? AND local_deleted_ns IS NULL"
        return bool(self._base.rows(sql, [artifact_id]))

    # ---- what waits, and how far the log is projected

    def defer(self, row: DeferredRow) -> None:
        """The purpose's transcript waits."""
        self._base.insert("deferred", asdict(row), replace=True)

    def deferred(self) -> list[DeferredRow]:
        """All that waits, oldest first."""
        return [DeferredRow(**row) for row in self._base.rows("SELECT * FROM deferred ORDER BY at_ns, call_id, rowid")]

    def clear_deferred(self, call_id: str, purpose: str) -> None:
        """It waits no more."""
        self._base.run("DELETE FROM deferred WHERE call_id = ? AND purpose = ?", [call_id, purpose])

    def set_nothing(self, call_id: str, purpose: str, reason: str) -> None:
        """Why a purpose that might have recorded has not one sample of the call."""
        self._base.insert("empty_handed", {"call_id": call_id, "purpose": purpose, "reason": reason}, replace=True)

    def nothing(self, call_id: str) -> dict[str, str]:
        """See `set_nothing`: reasons by purpose."""
        rows = self._base.rows("SELECT purpose, reason FROM empty_handed WHERE call_id = ? ORDER BY rowid", [call_id])
        return {row["purpose"]: row["reason"] for row in rows}

    def cursor(self) -> tuple[int, int]:
        """Segment and offset up to which the capture log is projected."""
        found = self._base.rows("SELECT segment, position FROM cursors WHERE name = 'capture'")
        return (found[0]["segment"], found[0]["position"]) if found else (0, 0)

    def set_cursor(self, segment: int, offset: int) -> None:
        """See `cursor`."""
        self._base.insert("cursors", {"name": "capture", "segment": segment, "position": offset}, replace=True)
