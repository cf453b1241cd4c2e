"""One destination's deliveries, in a thread of their own: a destination that is away holds up nobody else."""

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from agent.config.delivery import Courier
from agent.courier.orphans import Orphans
from agent.forward.destination import Destination, Poison, Retry, Terms
from agent.model.artifact import Artifact, Delivery
from agent.store.catalog import Catalog
from agent.store.journal import Journal

log = structlog.get_logger()

NS = 1_000_000_000
JITTER = 0.2


class Lane:
    """Delivers one artifact after the other, oldest first; after a failure the whole lane waits, longer each time.

    A file is in place and read back, then journalled, then marked as sent: killed between, it is found in place and
    journalled again rather than never.
    """

    def __init__(
        self,
        destination: Destination,
        pace: Courier,
        outbox_dir: Path,
        catalog: Catalog,
        journal: Journal,
        stop: threading.Event,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._destination = destination
        self._pace = pace
        self._outbox_dir = outbox_dir
        self._catalog = catalog
        self._journal = journal
        self._stop = stop
        self._clock_ns = clock_ns
        self._failures = 0
        self._orphans = Orphans(catalog)

    def run(self) -> None:
        """Until `stop`."""
        while not self._stop.is_set():
            self._stop.wait(self.step())

    def step(self) -> float:
        """Deliver what is due until there is no more or one fails. Returns for how many seconds to wait then."""
        self._abandon()
        self._orphans.step(self._destination)
        for artifact in self._due():
            if self._stop.is_set():
                break
            if not self._catalog.corrections.claim(artifact.artifact_id, self._clock_ns()):
                continue  # masked or dropped since the list was made
            try:
                receipt = self._destination.put(
                    self._outbox_dir / artifact.path,
                    artifact.path,
                    artifact.cipher_sha256,
                    artifact.size_bytes,
                    _CatalogUpload(self._catalog, artifact.artifact_id),
                    Terms(artifact.central_deadline_ns),
                )
            except Retry as error:
                return self._failed(artifact, str(error))
            except Poison as error:
                if self._catalog.is_local(artifact.artifact_id):  # else it was withdrawn and deleted on the way
                    self._poisoned(artifact, str(error))
            except Exception as error:  # one artifact's surprise must not end the lane; it is retried and stays visible
                return self._failed(artifact, f"unexpected {type(error).__name__}")
            else:
                self._delivered(artifact, receipt.where)
        return self._pace.poll_s

    def _abandon(self) -> None:
        """Have the destination let go of what was begun of artifacts that were withdrawn since. It holds up nothing."""
        now_ns = self._clock_ns()
        for artifact in self._catalog.begun_and_withdrawn(now_ns):
            if artifact.destination != self._destination.name or self._stop.is_set():
                continue
            try:
                self._destination.abandon(artifact.path, _CatalogUpload(self._catalog, artifact.artifact_id))
            except Exception as error:
                why = str(error) if isinstance(error, Retry | Poison) else f"unexpected {type(error).__name__}"
                later = now_ns + int(self._pace.retry_max_s * NS)
                self._catalog.retry_later(artifact.artifact_id, later, why)
                log.warning("delivery.not_abandoned", path=artifact.path, destination=self._destination.name, why=why)
            else:
                self._catalog.abandoned(artifact.artifact_id)
                log.info("delivery.abandoned", path=artifact.path, destination=self._destination.name)

    def _due(self) -> list[Artifact]:
        return [a for a in self._catalog.due_deliveries(self._clock_ns()) if a.destination == self._destination.name]

    def _delivered(self, artifact: Artifact, where: str) -> None:
        self._failures = 0
        self._journal.append(
            "delivered",
            call_id=artifact.call_id,
            purpose=artifact.purpose,
            path=artifact.path,
            destination=self._destination.name,
            cipher_sha256=artifact.cipher_sha256,
        )
        self._catalog.set_delivery(artifact.artifact_id, Delivery.SENT, self._clock_ns())
        log.info("delivered", call=artifact.call_id, path=artifact.path, where=where)

    def _failed(self, artifact: Artifact, why: str) -> float:
        delay = delay_s(self._pace, self._failures)
        self._failures += 1
        self._catalog.retry_later(artifact.artifact_id, self._clock_ns() + int(delay * NS), why)
        log.warning("delivery.retry", path=artifact.path, destination=self._destination.name, why=why, again_s=delay)
        if self._failures == 1:  # the first of a spell; a line for each attempt of three days would help nobody
            self._say_failed(artifact, why)
        return delay

    def _poisoned(self, artifact: Artifact, why: str) -> None:
        """Reported once for each reason; kept, and tried again at the slowest pace, so that mending it is enough."""
        before = self._catalog.delivery_state(artifact.artifact_id).detail
        self._catalog.set_delivery(artifact.artifact_id, Delivery.POISONED, self._clock_ns(), why)
        later = self._clock_ns() + int(self._pace.retry_max_s * NS)
        self._catalog.retry_later(artifact.artifact_id, later, why)
        log.error("delivery.poisoned", path=artifact.path, destination=self._destination.name, why=why)
        if why != before:
            self._say_failed(artifact, why)

    def _say_failed(self, artifact: Artifact, why: str) -> None:
        self._journal.append(
            "delivery.failed",
            call_id=artifact.call_id,
            purpose=artifact.purpose,
            path=artifact.path,
            destination=self._destination.name,
            why=why,
        )


def delay_s(pace: Courier, failures: int) -> float:
    """How long to wait after so many failures before this one."""
    longest = min(pace.retry_max_s, pace.retry_first_s * 2.0 ** min(failures, 30))
    return longest * random.uniform(1 - JITTER, 1)  # noqa: S311 - spreads load, hides nothing


class _CatalogUpload:
    """UploadState of one artifact."""

    def __init__(self, catalog: Catalog, artifact_id: str) -> None:
        self._catalog = catalog
        self._artifact_id = artifact_id

    @property
    def upload_id(self) -> str | None:
        return self._catalog.delivery_state(self._artifact_id).upload_id

    def remember(self, upload_id: str | None) -> None:
        self._catalog.set_upload_id(self._artifact_id, upload_id)
