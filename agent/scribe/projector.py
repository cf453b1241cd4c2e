"""From the capture log to catalog and journal: each record is projected exactly once, whatever dies when.

A batch is read, its journal lines are appended, then its rows and the new cursor are committed in one transaction. If
the process dies between the two, the batch is read again: rows cannot double because none was committed, and journal
lines carry the position of their record, so lines already in the chain are recognised and not written again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

from agent.capture.format import RecordKind
from agent.capture.reader import Cursor, Record, Tampered, open_record, scan
from agent.model.call import CLOCK_RATE, Call, MediaStream
from agent.model.events import CallChanged, CallContext, CallEnded, CallStarted
from agent.model.gate import GateMark
from agent.model.wire import load
from agent.scribe.channels import COUNTS, DECISIONS, EVENT, changed, seated, unreadable
from agent.scribe.keyring import Keyring
from agent.scribe.logindex import LogIndex
from agent.scribe.names import Fields, Names
from agent.store.catalog import Catalog
from agent.store.journal import Journal, read

log = structlog.get_logger()

BATCH = 500
REASON_CHARACTERS = 200
_Row = Callable[[], None]
_PROJECTED = (RecordKind.EVENT, RecordKind.DECISIONS, RecordKind.GATE, RecordKind.COUNTS, RecordKind.END)


@dataclass(slots=True)
class _Batch:
    """What one batch of records means: rows to commit, calls that ended, and calls that nobody can open any more."""

    rows: list[_Row]
    ended: list[str]
    closed: list[str]


class Projector:
    """Tails the capture log. One instance, one thread."""

    def __init__(
        self,
        capture_dir: Path,
        journal_dir: Path,
        catalog: Catalog,
        journal: Journal,
        keyring: Keyring,
        index: LogIndex,
        names: Names,
    ) -> None:
        self._capture_dir = capture_dir
        self._catalog = catalog
        self._journal = journal
        self._keyring = keyring
        self._index = index
        self._names = names
        self._calls: dict[str, Call] = {}
        self._started: set[str] = set()
        self._journalled = _last_journalled(journal_dir)
        self.cursor = Cursor(*catalog.cursor())
        self.ended: set[str] = set()
        """Calls whose end is projected and that are not finalised."""
        self._recover()

    def advance(self, most: int = BATCH) -> int:
        """Project up to `most` new records. Returns how many; raises what catalog or journal raise, losing nothing."""
        noted: list[tuple[Cursor, Record]] = []
        batch = _Batch([], [], [])
        at = self.cursor
        with self._journal.group():
            for after, record in scan(self._capture_dir, self.cursor):
                before = at if at.segment == after.segment else Cursor(after.segment, 0)
                noted.append((before, record))
                at = after
                if record.header.kind in _PROJECTED:
                    self._project(before, record, batch)
                if len(noted) >= most:
                    break
        if not noted:
            return 0
        with self._catalog.transaction():
            for row in batch.rows:
                row()
            self._catalog.set_cursor(at.segment, at.offset)
        self.cursor = at
        for before, record in noted:
            self._index.note(before, record.header)
        self.ended.update(batch.ended)
        for call_id in batch.closed:
            self._index.drop(call_id)
        return len(noted)

    def forget(self, call_id: str) -> None:
        """The call is finalised."""
        self._calls.pop(call_id, None)
        self.ended.discard(call_id)
        self._index.drop(call_id)

    def _recover(self) -> None:
        """Index what the log holds of unfinished calls up to the cursor, from headers alone."""
        unfinished = {row.call_id: row for row in self._catalog.unfinished_calls()}
        at = Cursor(0, 0)
        for after, record in scan(self._capture_dir, at):
            if (after.segment, after.offset) > (self.cursor.segment, self.cursor.offset):
                break
            before = at if at.segment == after.segment else Cursor(after.segment, 0)
            at = after
            if record.header.call_id in unfinished:
                self._index.note(before, record.header)
                self._recall(record)
        self._started = set(unfinished)
        self.ended = {call_id for call_id, row in unfinished.items() if row.state != "live"}

    def _recall(self, record: Record) -> None:
        """Learn again, after a restart, what an unfinished call was: its events were projected already."""
        head = record.header
        if head.kind is not RecordKind.EVENT or (key := self._keyring.key(head.call_id, head.epoch)) is None:
            return
        try:
            event = load(EVENT, open_record(record, key))
        except ValueError:
            return  # said when it was projected
        call = seated(event.call) if isinstance(event, CallStarted) else changed(self._calls.get(head.call_id), event)
        if call is not None:
            self._calls[head.call_id] = call

    def _project(self, at: Cursor, record: Record, batch: _Batch) -> None:
        head = record.header
        key = self._keyring.key(head.call_id, head.epoch)
        if key is None:
            log.warning("record.without_key", call=head.call_id, kind=head.kind.name)
            if head.kind is RecordKind.END:
                if head.call_id in self._started:
                    self._end(at, CallEnded(head.call_id, head.at_ns, "interrupted"), batch)
                else:
                    batch.closed.append(head.call_id)
            return
        self._ensure_row(head.call_id, head.at_ns, batch, starts=head.kind is RecordKind.EVENT)
        try:
            payload = open_record(record, key)
            match head.kind:
                case RecordKind.EVENT:
                    self._event(at, load(EVENT, payload), batch)
                case RecordKind.DECISIONS:
                    self._decisions(at, head.call_id, payload, batch)
                case RecordKind.GATE:
                    self._gate(at, load(GateMark, payload), batch)
                case RecordKind.COUNTS:
                    self._counts(head.call_id, payload, batch)
                case _:
                    self._end(at, load(CallEnded, payload), batch)
        except Tampered:
            self._alarm(at, record, "authentication failed")
        except ValueError:
            self._alarm(at, record, "content is not what its kind demands")
        if head.kind is RecordKind.END and head.call_id not in batch.ended:
            self._end(at, CallEnded(head.call_id, head.at_ns, "interrupted"), batch)  # its own words were spoiled

    def _event(self, at: Cursor, event: CallStarted | CallChanged | CallContext, batch: _Batch) -> None:
        if isinstance(event, CallStarted):
            call: Call | None = seated(event.call)
            batch.rows.append(lambda: self._catalog.start_call(self._names.call_row(event.call)))
            self._say(at, "call.started", event.call_id, self._names.started(event.call))
        else:
            call = changed(self._calls.get(event.call_id), event)
        if isinstance(event, CallContext):
            batch.rows.append(lambda: self._catalog.add_context(event))
            what: Fields = {"source": event.source, "actor": event.actor, "consent": event.consent.value}
            self._say(at, "context", event.call_id, what)
        self._started.add(event.call_id)
        if call is None:
            return
        self._calls[call.call_id] = call
        parties = self._names.party_rows(call)
        batch.rows.append(lambda: self._catalog.set_parties(event.call_id, parties))

    def _ensure_row(self, call_id: str, at_ns: int, batch: _Batch, *, starts: bool) -> None:
        """A call whose start was spoiled still has a row, so that its end and its absence can be told."""
        if starts or call_id in self._started:
            return
        self._started.add(call_id)
        row = self._names.call_row(unreadable(call_id, at_ns))
        batch.rows.append(lambda: self._catalog.start_call(row))

    def _decisions(self, at: Cursor, call_id: str, payload: bytes, batch: _Batch) -> None:
        decisions = load(DECISIONS, payload)
        batch.rows.append(lambda: self._catalog.add_decisions(call_id, decisions))
        for number, d in enumerate(decisions):
            what: Fields = {"purpose": d.purpose, "applies": d.applies, "trigger": d.trigger.value, "rule": d.rule}
            if d.waits:
                what["waits"] = True
            self._say(at, "decision", call_id, what, number)

    def _gate(self, at: Cursor, mark: GateMark, batch: _Batch) -> None:
        batch.rows.append(lambda: self._catalog.add_mark(mark))
        what: Fields = {
            "purpose": mark.purpose,
            "verb": mark.verb,
            "state": mark.state.value,
            "since_samples": mark.since_samples,
            "actor": mark.actor,
            "reason": mark.reason[:REASON_CHARACTERS],
            "cause": mark.cause,
        }
        self._say(at, "gate", mark.call_id, what)

    def _counts(self, call_id: str, payload: bytes, batch: _Batch) -> None:
        streams: dict[int, MediaStream] = {s.stream: s for s in self._streams(call_id)}
        for number, counts in load(COUNTS, payload):
            if (stream := streams.get(number)) is not None:
                batch.rows.append(partial(self._catalog.set_counts, call_id, stream, counts))

    def _streams(self, call_id: str) -> tuple[MediaStream, ...]:
        return self._calls[call_id].streams if call_id in self._calls else ()

    def _end(self, at: Cursor, event: CallEnded, batch: _Batch) -> None:
        call = self._calls.get(event.call_id)
        samples = max(0, event.at_ns - call.started_ns) * CLOCK_RATE // 1_000_000_000 if call else 0
        interrupted = event.cause == "interrupted"

        def row() -> None:
            self._catalog.end_call(event.call_id, event.at_ns, event.cause, samples)
            if interrupted:
                self._catalog.set_state(event.call_id, "interrupted")

        batch.rows.append(row)
        batch.ended.append(event.call_id)
        self._say(at, "call.ended", event.call_id, {"cause": event.cause, "duration_samples": samples})
        if interrupted:
            self._say(at, "call.interrupted", event.call_id, {"missing": "what was held back in RAM"}, 1)

    def _alarm(self, at: Cursor, record: Record, what: str) -> None:
        log.error("capture.tampered", call=record.header.call_id, kind=record.header.kind.name, what=what)
        self._say(at, "tampered", record.header.call_id, {"record": record.header.kind.name.lower(), "what": what})

    def _say(self, at: Cursor, kind: str, call_id: str, fields: Fields, number: int = 0) -> None:
        """One journal line for the record at this position; `number` counts the lines of one record."""
        place = (at.segment, at.offset, number)
        if place <= self._journalled:
            return
        purpose = fields.get("purpose")
        rest = {name: value for name, value in fields.items() if name != "purpose"}
        self._journal.append(
            kind,
            call_id=call_id,
            purpose=purpose if isinstance(purpose, str) else None,
            at=f"{at.segment}:{at.offset}:{number}",
            **rest,
        )
        self._journalled = place


def _last_journalled(journal_dir: Path) -> tuple[int, int, int]:
    """The place of the last record that the scribe's chain speaks of."""
    last = (-1, -1, -1)
    for line in read(journal_dir):
        place = line.fields.get("at") if line.process == "scribe" else None
        if isinstance(place, str):
            segment, offset, number = (int(part) for part in place.split(":"))
            last = max(last, (segment, offset, number))
    return last
