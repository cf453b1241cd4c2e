"""Finalising calls: one at a time, each failure its own, keys destroyed once nothing more can be derived.

For a while after that a call may be corrected (`scribe.correction_window`): its key and a copy of its records are kept,
never beyond the first deadline of what it is for.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence

import structlog

from agent.capture.reader import Record, Tampered, open_record
from agent.config import Settings
from agent.model.gate import GateState
from agent.model.purpose import ABOUT, Purpose
from agent.scribe.allowance import Allowance, NoRoom
from agent.scribe.channels import Tape, rebuild
from agent.scribe.correct import Corrected, Corrector
from agent.scribe.derive import Deriver, Means, Waiting
from agent.scribe.engineroom import EngineRoom
from agent.scribe.kept import Kept
from agent.scribe.keyring import Keyring
from agent.scribe.languages import language_of
from agent.scribe.logindex import LogIndex
from agent.scribe.nameroom import NameRoom
from agent.scribe.outbox import OutboxFull, remove_strays
from agent.scribe.projector import Projector
from agent.scribe.purposes import Purposes
from agent.scribe.rewrite import FORGOTTEN, Rewriter
from agent.scribe.testimony import Testimony
from agent.store.catalog import Catalog
from agent.store.journal import Journal
from agent.store.rows import RewriteRow

log = structlog.get_logger()

FIRST_RETRY_S, LAST_RETRY_S = 1.0, 300.0
TRIES_BEFORE_GIVING_UP = 3
NS = 1_000_000_000


class Stopping(Exception):
    """The process was told to stop; what was begun is taken up at the next start."""


class KeyLocked(ValueError):
    """A call's key is there and cannot be opened: nothing may be destroyed."""


class Finisher:
    """Takes calls whose end is projected and makes all there is to make of them."""

    def __init__(
        self,
        settings: Settings,
        purposes: Purposes,
        catalog: Catalog,
        journal: Journal,
        projector: Projector,
        index: LogIndex,
        keyring: Keyring,
        room: EngineRoom,
        names: NameRoom,
        deriver: Deriver,
        corrector: Corrector,
        rewriter: Rewriter,
        testimony: Testimony,
        allowance: Allowance,
        clock_ns: Callable[[], int],
        believed_ns: Callable[[], int],
        monotonic: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._purposes = purposes
        self._catalog = catalog
        self._journal = journal
        self._projector = projector
        self._index = index
        self._keyring = keyring
        self._room = room
        self._names = names
        self._deriver = deriver
        self._corrector = corrector
        self._rewriter = rewriter
        self._kept = Kept(settings.kept_dir)
        self._testimony = testimony
        self._allowance = allowance
        self._clock_ns = clock_ns
        self._believed_ns = believed_ns
        """UTC as far as it is believed (`agent.retain.clock`): nothing is destroyed before it."""
        self._monotonic = monotonic
        self._attempts: dict[str, int] = {}
        self._not_before: dict[str, float] = {}
        self._deferred: dict[str, int] = {row.call_id: row.at_ns for row in catalog.deferred()}
        """Calls that only wait for an engine, or for what finds names → since when (UTC ns)."""
        self._unnamed: dict[str, str] = {}
        """Those of them that the engine has nothing to do with → why names could not be found. (Of those deferred by an
        earlier process each is tried once.)"""
        self._held_back: dict[str, set[str]] = {}
        """Calls of which these purposes wait for room in the outbox."""
        self._recovered = set(projector.ended)
        """Calls that ended before this process started: lines about them may be in the journal already."""
        self._full = False

    def step(self) -> bool:
        """Work on one call if one is due. Returns whether there was one; raises only Stopping."""
        corrected, past = self._to_correct()
        due = sorted(c for c in self._projector.ended | corrected | past if self._due(c, urgent=c in corrected))
        again = None if due else self._to_write_again()
        if not due and again is None:
            return False
        call_id = again.call_id if again is not None else due[0]
        try:
            if again is not None:
                self._write_again(again)
                self._attempts.pop(call_id, None)
                return True
            if call_id not in self._projector.ended:
                self._recovered.add(call_id)  # it was finalised: lines about it are in the journal
            if call_id in past and call_id not in corrected | self._projector.ended:
                self._forget_key(call_id)
            else:
                self._finish(call_id)
        except Stopping:
            raise
        except OutboxFull as error:
            self._again(call_id)
            self._say_full(error)
        except Exception as error:  # one call's failure must not stop the others; it is retried and stays visible
            delay = self._again(call_id)
            detail = str(error) if isinstance(error, OSError | sqlite3.Error | ValueError) else ""
            log.error("call.failed", call=call_id, kind=type(error).__name__, error=detail, retry_s=delay)
        else:
            self._full = False
        return True

    def remove_strays(self) -> None:
        """Remove copies of records that a kill left, of calls whose key is not kept."""
        for call_id in self._kept.calls() - set(self._catalog.corrections.kept()) - self._projector.ended:
            self._kept.destroy(call_id)

    def _to_correct(self) -> tuple[set[str], set[str]]:
        """Calls with something to be corrected, and those whose time for it is over."""
        try:
            return self._corrector.due(), set(self._catalog.corrections.kept_past(self._believed_ns()))
        except sqlite3.Error as error:
            log.error("corrections.unread", error=str(error))
            return set(), set()

    def _to_write_again(self) -> RewriteRow | None:
        """A call to be transcribed again, which is done when nothing else is."""
        try:
            return next((r for r in self._rewriter.due() if self._due(r.call_id, urgent=True)), None)
        except sqlite3.Error as error:
            log.error("rewrites.unread", error=str(error))
            return None

    def _write_again(self, row: RewriteRow) -> None:
        until_ns = self._catalog.corrections.kept_until(row.call_id)
        if until_ns is None or until_ns <= self._believed_ns() or row.call_id not in self._keyring.on_disk():
            self._rewriter.refuse(row, FORGOTTEN)
            return
        if not self._keyring.opens(row.call_id):
            raise KeyLocked("no working identity here opens the call's key; it waits")
        self._purposes.refresh()
        tape = rebuild(row.call_id, ((r, self._open(r)) for r in self._records(row.call_id)))
        scribe = self._settings.scribe
        language = language_of(tape.call.queue, scribe.languages, scribe.language)
        self._rewriter.work(row, tape, self._purposes.known, language)
        self._keyring.close(row.call_id)

    def _due(self, call_id: str, *, urgent: bool) -> bool:
        if self._monotonic() < self._not_before.get(call_id, 0.0):
            return False
        heard = self._may_go_on(call_id) or self._expired(call_id)
        if held_back := self._held_back.get(call_id):
            has_room = held_back - self._allowance.closed(held_back)
            return urgent or bool(has_room) or (call_id in self._deferred and heard)
        return urgent or call_id not in self._deferred or heard

    def _may_go_on(self, call_id: str) -> bool:
        """Whether what a deferred call waits for may be here: to hear it again would be in vain otherwise."""
        if call_id in self._unnamed:
            self._names.names()
            return self._names.reason != self._unnamed[call_id]
        return self._room.engine() is not None

    def _expired(self, call_id: str) -> bool:
        since_ns = self._deferred.get(call_id)
        return since_ns is not None and self._clock_ns() - since_ns > self._settings.scribe.deferred_limit_s * NS

    def _finish(self, call_id: str) -> None:
        if call_id not in self._recovered:
            self._testimony.fresh(call_id)
        has_key = call_id in self._keyring.on_disk()
        if has_key and not self._keyring.opens(call_id):
            raise KeyLocked("no working identity here opens the call's key; it is kept")
        self._purposes.refresh()
        corrected = self._corrector.begin(call_id, can_mask=has_key)
        if has_key:
            tape = rebuild(call_id, ((r, self._open(r)) for r in self._records(call_id)))
            deferred = self._derive(tape, corrected)
            self._unnamed.pop(call_id, None)
            if deferred.purposes:
                self._deferred.setdefault(call_id, self._clock_ns())
                if deferred.names:
                    self._unnamed[call_id] = self._names.reason
                if call_id not in self._projector.ended:
                    self._reopen(call_id)
                if self._room.engine() is not None:
                    self._again(call_id)
                return
            self._deferred.pop(call_id, None)
            if call_id in self._held_back:
                if call_id not in self._projector.ended:
                    self._reopen(call_id)
                return
            if call_id in self._recovered or call_id in self._attempts:
                known = {a.path for a in self._catalog.artifacts(call_id=call_id)}
                remove_strays(self._settings.outbox_dir, call_id, known)
            if self._keep(tape):
                self._finalised(call_id)
                return
        self._forget_key(call_id)
        self._finalised(call_id)

    def _derive(self, tape: Tape, corrected: dict[str, Corrected]) -> Waiting:
        call_id = tape.call.call_id
        engine = self._room.engine()
        tried = engine is None or self._attempts.get(call_id, 0) >= TRIES_BEFORE_GIVING_UP
        give_up = tried and self._expired(call_id)
        scribe = self._settings.scribe
        language = language_of(tape.call.queue, scribe.languages, scribe.language)
        means = Means(engine, self._room.reason, language, give_up)
        purposes = self._purposes.known
        unknown = sorted({d.purpose for d in tape.decisions if d.applies} - {p.name for p in purposes})
        if unknown and not self._purposes.good:
            raise ValueError(f"the configuration cannot be read, and purpose {unknown[0]} may be in it")
        for name in unknown:
            log.error("purpose.gone", call=call_id, purpose=name)
            self._testimony.once("refused", call_id, name, "purpose", reason="purpose is no longer configured")
        self._corrector.say_dropped(tape)
        deferred = self._derive_where_there_is_room(tape, purposes, means, corrected)
        self._corrector.settle(call_id)
        return deferred

    def _derive_where_there_is_room(
        self, tape: Tape, purposes: Sequence[Purpose], means: Means, corrected: dict[str, Corrected]
    ) -> Waiting:
        """What is corrected frees more than it takes, and never waits."""
        closed = self._allowance.closed({p.name for p in purposes if p.artifacts}) - set(corrected)
        while True:
            try:
                some = [p for p in purposes if p.name not in closed]
                deferred = self._deriver.derive(tape, some, means, corrected)
                break
            except NoRoom as error:
                closed.add(error.purpose)
        lacking = self._deriver.lacking(tape, [p for p in purposes if p.name in closed], corrected)
        self._held_back.pop(tape.call.call_id, None)
        if lacking:
            self._held_back[tape.call.call_id] = lacking
        return deferred

    def _records(self, call_id: str) -> Iterator[Record]:
        if self._catalog.corrections.kept_until(call_id) is not None:
            return self._kept.records(call_id)
        return self._index.records(call_id)

    def _reopen(self, call_id: str) -> None:
        """A transcript is missing again, that of a new revision: the call waits like any other."""
        self._catalog.set_state(call_id, "ended")
        self._projector.ended.add(call_id)

    def _keep(self, tape: Tape) -> bool:
        """Keep key and records for corrections, or because a legal hold covers the call: then also those of a call in
        which somebody withdrew. Returns whether they are kept."""
        call_id, now_ns = tape.call.call_id, self._clock_ns()
        here = [a for a in self._catalog.artifacts(call_id=call_id, local=True) if a.kind not in ABOUT]
        held = self._catalog.legal_holds.is_held(call_id)
        worth = bool(here) or (held and any(mark.state is GateState.DROPPED for mark in tape.marks))
        until_ns = self._catalog.corrections.kept_until(call_id)
        if until_ns is not None:  # a clock that jumps ahead ends nothing early
            return worth and (until_ns > self._believed_ns() or held)
        if worth:
            meant = {d.purpose for d in tape.decisions if d.applies}
            lasting_s = [p.local_retention_s for p in self._purposes.known if p.artifacts and p.name in meant]
            shortest_s = min([self._settings.scribe.correction_window, *lasting_s])
            until_ns = min([now_ns + shortest_s * NS, *(a.local_deadline_ns for a in here)])
            if until_ns > now_ns or held:
                try:
                    self._kept.copy(call_id, self._index.records(call_id))
                except OutboxFull:  # what was recorded comes first, but for what a hold covers: that is tried again
                    if held:
                        raise
                    log.warning("correction.no_room", call=call_id, advice="its key goes now; it cannot be masked")
                    return False
                self._catalog.corrections.keep(call_id, until_ns)
        return worth and until_ns is not None and (until_ns > now_ns or held)

    def _forget_key(self, call_id: str) -> None:
        """Nothing can be derived of the call from now on."""
        self._keyring.destroy(call_id)
        self._testimony.once("callkey.destroyed", call_id, None, "callkey")
        self._kept.destroy(call_id)
        self._catalog.corrections.let_go(call_id)
        self._testimony.forget(call_id)

    def _finalised(self, call_id: str) -> None:
        if self._catalog.find_call(call_id).state != "forgotten":
            self._catalog.set_state(call_id, "finalised")
        self._keyring.close(call_id)
        self._projector.forget(call_id)
        self._testimony.forget(call_id)
        self._recovered.discard(call_id)
        for memory in (self._attempts, self._not_before, self._deferred, self._unnamed, self._held_back):
            memory.pop(call_id, None)
        log.info("call.finalised", call=call_id)

    def _open(self, record: Record) -> bytes | None:
        key = self._keyring.key(record.header.call_id, record.header.epoch)
        if key is None:
            return None
        try:
            return open_record(record, key)
        except Tampered:
            place = f"{record.header.kind.name.lower()}:{record.header.epoch}:{record.header.counter}"
            log.error("capture.tampered", call=record.header.call_id, kind=record.header.kind.name)
            self._testimony.once("tampered", record.header.call_id, None, place, record=record.header.kind.name.lower())
            return None

    def _again(self, call_id: str) -> float:
        attempt = self._attempts[call_id] = self._attempts.get(call_id, 0) + 1
        delay = min(FIRST_RETRY_S * 2.0 ** min(attempt - 1, 16), LAST_RETRY_S)
        self._not_before[call_id] = self._monotonic() + delay
        return delay

    def _say_full(self, error: OutboxFull) -> None:
        """Once per spell of a full disk, in log and journal (which may lie on the same disk)."""
        if self._full:
            return
        self._full = True
        log.error("outbox.full", error=str(error), advice="free space on this disk; nothing is lost, retried by itself")
        with contextlib.suppress(OSError):
            self._journal.append("outbox.full", reason="no room on the disk of the outbox; derivation is retried")
