"""Fetching timestamps: for each manifest that is to have one, and for the journal's newest checkpoint.

A token's file is written, then journalled, then in the catalog. Killed between, another token is asked for and takes
its place. While the authority is away all wait, longer each time, and nothing else waits for them. What was withdrawn,
or is about to be, is not asked for.

A token over a checkpoint has no line of its own: it would be news, to be sealed by another checkpoint, for ever.
"""

import hashlib
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import structlog

from agent.config.delivery import Courier
from agent.config.timestamp import Timestamp
from agent.courier.patience import delay_s
from agent.forward.authority import REPLY, TimestampAuthority
from agent.forward.destination import Poison, Retry
from agent.model.artifact import Artifact, Delivery
from agent.model.purpose import ArtifactKind
from agent.store.catalog import Catalog
from agent.store.checkpoint import newest
from agent.store.journal import Journal
from agent.store.timestamps import StampRow
from agent.vault.secretfile import write_private
from agent.vault.timestamp import Stamp

log = structlog.get_logger()

NS = 1_000_000_000
AT_ONCE = 100
CLOCKS_DIFFER_S = 60


class Timestamps:
    """The queue of one site. `purposes` are those whose manifests are to have a timestamp."""

    def __init__(
        self,
        section: Timestamp,
        purposes: tuple[str, ...],
        pace: Courier,
        outbox_dir: Path,
        journal_dir: Path,
        catalog: Catalog,
        journal: Journal,
        stop: threading.Event,
        clock_ns: Callable[[], int],
    ) -> None:
        self._section = section
        self._authority = TimestampAuthority(section)
        self._purposes = purposes
        self._pace = pace
        self._outbox_dir, self._journal_dir = outbox_dir, journal_dir
        self._catalog, self._journal = catalog, journal
        self._stop = stop
        self._clock_ns = clock_ns
        self._looked_at = 0
        self._failures = 0
        self._refused = ""
        self._late = False

    def run(self) -> None:
        """Until `stop`."""
        while not self._stop.is_set():
            self._stop.wait(self.step())

    def step(self) -> float:
        """Ask for all that waits, until one fails. Returns for how many seconds to wait then."""
        try:
            self._queue()
            for row in self._catalog.timestamps.due(AT_ONCE):
                if self._stop.is_set():
                    break
                try:
                    token, stamp = self._authority.stamp(bytes.fromhex(row.imprint))
                except (Retry, Poison) as error:
                    return self._failed(row, str(error), refused=isinstance(error, Poison))
                self._arrived(row, token, stamp)
            else:
                return 0.0 if self._catalog.timestamps.due(1) else self._pace.poll_s
        except (OSError, sqlite3.Error, ValueError) as error:  # disk, catalog: neither may end the thread
            log.error("timestamps.failed", kind=type(error).__name__, error=str(error))
            return self._delay()
        return self._pace.poll_s

    def _queue(self) -> None:
        """What is to have a timestamp, and has none yet."""
        timestamps = self._catalog.timestamps
        self._looked_at = timestamps.queue_manifests(self._purposes, self._looked_at)
        seal, last = newest(self._journal_dir), timestamps.last_checkpoint()
        if seal is None:
            return
        if last is None or seal.at_ns - last.since_ns >= self._section.checkpoint_interval * NS:
            timestamps.queue_checkpoint(seal.seq, seal.hash, seal.at_ns)

    def _arrived(self, row: StampRow, token: bytes, stamp: Stamp) -> None:
        digest = hashlib.sha256(token).hexdigest()
        done = replace(row, at_ns=stamp.at_ns, authority=stamp.authority, token_sha256=digest)
        now_ns = self._clock_ns()
        if row.seq is not None:
            _write(self._journal_dir / row.path, token)
            self._catalog.timestamps.arrived(done, None)
        else:
            self._of_manifest(done, token, now_ns)
        self._failures, self._refused, self._late = 0, "", False
        log.info("timestamped", call=row.call_id, path=row.path, authority=stamp.authority, serial=str(stamp.serial))
        if abs(stamp.at_ns - now_ns) > CLOCKS_DIFFER_S * NS:
            differ_s = round((stamp.at_ns - now_ns) / NS)
            log.warning("timestamp.clocks_differ", authority_ahead_s=differ_s, advice="which is right? see doctor")

    def _of_manifest(self, row: StampRow, token: bytes, now_ns: int) -> None:
        manifest = self._catalog.artifact(row.subject)
        target = self._outbox_dir / row.path
        _write(target, token)
        self._journal.append(
            "timestamped",
            call_id=row.call_id,
            purpose=row.purpose,
            path=row.path,
            imprint=row.imprint,
            token_sha256=row.token_sha256,
            stamped_ns=row.at_ns,
            authority=row.authority,
        )
        artifact = Artifact(
            artifact_id=hashlib.sha256(row.path.encode()).hexdigest()[:32],
            call_id=manifest.call_id,
            purpose=manifest.purpose,
            kind=ArtifactKind.TIMESTAMP,
            path=row.path,
            media_type=REPLY,
            size_bytes=len(token),
            plain_sha256=row.token_sha256,  # it is not encrypted: it shows a digest, an instant and an authority
            cipher_sha256=row.token_sha256,
            created_ns=now_ns,
            local_deadline_ns=manifest.local_deadline_ns,
            central_deadline_ns=manifest.central_deadline_ns,
            destination=manifest.destination,
            delivery=Delivery.WAITING if manifest.destination else Delivery.LOCAL_ONLY,
        )
        if not self._catalog.timestamps.arrived(row, artifact):
            target.unlink(missing_ok=True)

    def _failed(self, row: StampRow, why: str, *, refused: bool) -> float:
        self._catalog.timestamps.still_waits(row.subject, why)
        delay = self._delay()
        queue = self._catalog.timestamps.queue()
        log.warning("timestamp.retry", why=why, waiting=queue.waiting, again_s=delay)
        if refused and why != self._refused:  # each kind of refusal is said once
            self._refused = why
            self._journal.append("timestamp.refused", call_id=row.call_id, purpose=row.purpose, path=row.path, why=why)
        overdue_ns = self._clock_ns() - (queue.oldest_ns or self._clock_ns())
        if not self._late and overdue_ns >= self._section.late_after * NS:
            self._late = True
            log.error("timestamp.late", waiting=queue.waiting, why=why)
            self._journal.append("timestamp.late", waiting=queue.waiting, since_ns=queue.oldest_ns, why=why)
        return delay

    def _delay(self) -> float:
        self._failures += 1
        return delay_s(self._pace.retry_first_s, self._pace.retry_max_s, self._failures - 1)


def _write(target: Path, token: bytes) -> None:
    target.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    write_private(target, token, 0o640)
