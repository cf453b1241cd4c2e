"""The life of the scribe: project, finalise, take care, sleep; stop cleanly between two steps on SIGTERM."""

import sqlite3
import threading
import time

import structlog

from agent.config import Settings
from agent.config.budget import budget_of
from agent.process import stop_on_signal
from agent.retain import identities
from agent.retain.ntp import read_clocks
from agent.retain.rights import unlink
from agent.retain.trusted import believed_ns
from agent.scribe import outbox
from agent.scribe.allowance import Allowance
from agent.scribe.behind import stay_behind
from agent.scribe.correct import Corrector
from agent.scribe.derive import Deriver
from agent.scribe.engineroom import EngineRoom
from agent.scribe.filing import Filing
from agent.scribe.findable import Findable
from agent.scribe.finish import Finisher, Stopping
from agent.scribe.keyring import Keyring
from agent.scribe.live import Live
from agent.scribe.logindex import LogIndex
from agent.scribe.nameroom import NameRoom
from agent.scribe.names import Names
from agent.scribe.projector import Projector
from agent.scribe.purposes import Purposes
from agent.scribe.receiptkey import certify_receipt_key
from agent.scribe.rewrite import Rewriter
from agent.scribe.testimony import Testimony
from agent.scribe.withdrawal import Withdrawal
from agent.search.cabinet import Cabinet
from agent.search.index import Index
from agent.store.catalog import Catalog
from agent.store.checkpoint import seal
from agent.store.journal import Journal
from agent.vault import sitekeys
from agent.vault.sealed import Box, in_use
from agent.vault.signing import SiteKey

log = structlog.get_logger()

CARE_S = 5.0
CHECKPOINT_S = 60.0
LIVE_FIRST_S = 600.0
"""While live text is behind, a final text waits between its stretches, for so long at most in all."""
BUSY_POLL_S = 0.5


class Scribe:
    """All parts wired. `step` does one round and says whether there was work."""

    def __init__(self, settings: Settings, stop: threading.Event) -> None:
        keys_dir = settings.site.keys_dir
        self._settings = settings
        self._stop = stop
        self._box = Box.of(keys_dir)
        identities.check(settings.identities_dir, self._box)
        self._site_key = SiteKey.load(keys_dir / sitekeys.KEY, self._box)
        self.catalog = Catalog(settings.catalog_path)
        self.journal = Journal(settings.journal_dir, "scribe", time.time_ns)
        self._ensure_identity()
        swept = outbox.sweep_partial(settings.outbox_dir)
        self._keyring = Keyring(settings.identities_dir, settings.callkeys_dir, self._box)
        self._index = LogIndex(settings.capture_dir)
        numbers_key = self._box.read(keys_dir / "numbers.key")
        self._projector = Projector(
            settings.capture_dir,
            settings.journal_dir,
            self.catalog,
            self.journal,
            self._keyring,
            self._index,
            Names(numbers_key),
        )
        testimony = Testimony(self.journal, settings.journal_dir)
        self._allowance = Allowance(budget_of(settings.purpose, settings.courier), self.catalog.lanes, self.journal)
        filing = Filing(settings.outbox_dir, self.catalog, testimony, time.time_ns, self._allowance)
        withdrawal = Withdrawal(settings.site.name, self.catalog, filing, testimony, self._site_key, time.time_ns)
        cabinet = Cabinet(settings.search_dir, settings.searchkeys_dir, self._box)
        index = Index(cabinet, self.catalog, self.journal, self._believed_ns)
        index.remove_strays()
        self._findable = Findable(index)
        room = EngineRoom(settings, time.monotonic)
        names = NameRoom(settings, time.monotonic)
        deriver = Deriver(
            settings.site.name,
            self.catalog,
            filing,
            withdrawal,
            testimony,
            self._site_key,
            numbers_key,
            time.time_ns,
            self._going,
            self._findable,
            names,
        )
        self.purposes = purposes = Purposes(settings)
        self.live = Live(settings, room.engine, numbers_key, journal=self.journal)
        corrector = Corrector(purposes, self.catalog, filing, withdrawal, testimony, time.time_ns)
        rewriter = Rewriter(*(settings, self.catalog, deriver, corrector, testimony, room.engine, time.time_ns))
        self._finisher = Finisher(
            settings,
            purposes,
            self.catalog,
            self.journal,
            self._projector,
            self._index,
            self._keyring,
            room,
            names,
            deriver,
            corrector,
            rewriter,
            testimony,
            self._allowance,
            time.time_ns,
            self._believed_ns,
            time.monotonic,
        )
        self._finisher.remove_strays()
        for purpose in purposes.known:
            names.why_not(purpose.redaction.hidden)  # what is missing is said now, not when a call has ended
        self._readers: dict[str, tuple[str, ...]] = {}
        self._tell_readers()
        self._next_care = 0.0
        self._patience_s = LIVE_FIRST_S
        self._next_checkpoint = 0.0
        log.info("scribe.ready", unfinished=len(self._projector.ended), partial_files_removed=swept)

    def step(self) -> bool:
        """Project what is new, work on one call, take care when it is time. Raises Stopping."""
        worked = self._project()
        self._patience_s = LIVE_FIRST_S
        worked = self._finisher.step() or worked
        self._care_in_time()
        return worked

    def _care_in_time(self) -> None:
        if time.monotonic() >= self._next_care:
            self._next_care = time.monotonic() + CARE_S
            self._care()

    def close(self) -> None:
        """Seal the journal."""
        seal(self._settings.journal_dir, self._site_key, time.time_ns())

    def _going(self) -> None:
        """Between two stretches of a long transcription: stop if told to, and keep the catalog up to date."""
        if self._stop.is_set():
            raise Stopping
        self._project()
        self._care_in_time()
        while self.live.busy and self._patience_s > 0 and not self._stop.wait(BUSY_POLL_S):
            self._patience_s -= BUSY_POLL_S
            self._project()
            self._care_in_time()

    def _project(self) -> bool:
        try:
            return self._projector.advance() > 0
        except (OSError, sqlite3.Error) as error:
            log.error("projection.failed", kind=type(error).__name__, error=str(error))
            return False

    def _believed_ns(self) -> int:
        """UTC as far as it is believed: what is destroyed on time goes by this, and the ages of identities, so that a
        clock that jumps there and back leaves none of a day to come, which the others would wait for."""
        return believed_ns(self.catalog, self._settings.retention, read_clocks())

    def _ensure_identity(self) -> None:
        s = self._settings
        rotation_s = s.scribe.identity_rotation_s
        now_ns = self._believed_ns()
        identities.ensure_current(s.identities_dir, s.recipient_file, rotation_s, now_ns, self.journal, self._box)

    def _tell_readers(self) -> None:
        """Whom each purpose is encrypted to, by whatever hand that was changed."""
        for purpose in self.purposes.configured:
            if purpose.recipients and self._readers.get(purpose.name) != purpose.recipients:
                self.journal.append("readers", purpose=purpose.name, recipients=list(purpose.recipients))
                self._readers[purpose.name] = purpose.recipients

    def _follow_site_key(self) -> None:
        """After `greffier keys rotate --site` sign with the new one."""
        try:
            if sitekeys.follow_change(self._settings.site.keys_dir, self._site_key, self._box):
                log.info("site_key.followed")
        except ValueError as error:
            log.error("site_key.unreadable", error=str(error))

    def _care(self) -> None:
        """Prune the capture log, rotate identities, seal the journal: errors are said and tried again."""
        try:
            if gone := self._index.prune(self._projector.cursor.segment):
                log.info("capture.pruned", segments=len(gone))
            s = self._settings
            self._allowance.refresh()
            self._ensure_identity()
            identities.destroy_unused(
                *(s.identities_dir, s.callkeys_dir, self._believed_ns(), self.journal, self._box),
                self.catalog.legal_holds.kept_calls,
            )
            self._follow_site_key()
            certify_receipt_key(s, self._site_key, time.time_ns(), self.journal)
            if time.monotonic() >= self._next_checkpoint:
                self._next_checkpoint = time.monotonic() + CHECKPOINT_S
                seal(self._settings.journal_dir, self._site_key, time.time_ns())
            self.purposes.refresh()
            self._tell_readers()
            self.live.follow(self.purposes.configured)
            self._findable.sweep(self.purposes.known)
            ours = [name for name, section in s.destination.items() if section.deleted_by_us]
            unlink(self.catalog, self.journal, self._believed_ns(), ours)
        except (OSError, sqlite3.Error) as error:
            log.error("care.failed", kind=type(error).__name__, error=str(error))


def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT."""
    stop = stop_on_signal()
    stay_behind()
    with in_use(settings.site.keys_dir):
        _serve(settings, stop)


def _serve(settings: Settings, stop: threading.Event) -> None:
    scribe = Scribe(settings, stop)
    scribe.live.start()
    scribe.live.follow(scribe.purposes.configured)
    try:
        while not stop.is_set():
            if not scribe.step():
                stop.wait(settings.scribe.poll_s)
    except Stopping:
        log.info("scribe.stopping")
    scribe.live.stop()
    scribe.close()
