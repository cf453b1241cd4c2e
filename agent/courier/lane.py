"""One destination's deliveries, in threads of their own: a destination that is away holds up nobody else."""

import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import structlog

from agent.config.delivery import Courier
from agent.courier.orphans import Orphans
from agent.courier.patience import Patience
from agent.courier.shelf import Shelf
from agent.courier.valve import Valve
from agent.forward.destination import Destination, Poison, Retry, Terms
from agent.forward.throttle import Halted
from agent.model.artifact import Artifact, Delivery
from agent.store.catalog import Catalog
from agent.store.journal import Journal

log = structlog.get_logger()

NS = 1_000_000_000


class Lane:
    """Delivers by importance and age, one artifact at a time with each of `destinations`, which all are the same place.
    After a failure the whole lane waits, longer each time; what is refused is set aside with its reason.

    A file is in place and read back, then journalled, then marked as sent: killed between, it is found in place and
    journalled again rather than never. What did not fail but was halted (hours, a pause, the end of the process) is
    taken up where it was.
    """

    def __init__(
        self,
        destinations: Sequence[Destination],
        valve: Valve,
        order: Sequence[str],
        pace: Courier,
        outbox_dir: Path,
        catalog: Catalog,
        journal: Journal,
        stop: threading.Event,
        clock_ns: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._destinations = destinations
        self._name = destinations[0].name
        self._valve = valve
        self._pace = pace
        self._outbox_dir = outbox_dir
        self._catalog = catalog
        self._journal = journal
        self._stop = stop
        self._clock_ns = clock_ns
        self._orphans = Orphans(catalog, monotonic)
        self._lock = threading.Lock()
        self._patience = Patience(pace.retry_first_s, pace.retry_max_s, monotonic)
        self._shelf = Shelf(self._name, order, len(destinations), pace.poll_s, catalog, clock_ns, monotonic)
        self._failing_ns = 0
        self._woken_ns = valve.row().woken_ns
        catalog.lanes.set_failing(self._name, "", 0, 0)

    def run(self) -> None:
        """Until `stop`."""
        threads = [threading.Thread(target=self._serve, args=(n,), daemon=True) for n in range(len(self._destinations))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _serve(self, number: int) -> None:
        while not self._stop.is_set():
            try:
                rest_s = min(self.step(number), self._pace.poll_s)
            except Exception as error:  # a full disk, a locked catalog: no worker must end by it
                log.error("lane.failed", destination=self._name, kind=type(error).__name__, error=str(error))
                rest_s = self._pace.retry_first_s
            self._stop.wait(rest_s)

    def step(self, number: int = 0) -> float:
        """Deliver with this one of the destinations until nothing is due or the lane rests. Returns for how many
        seconds there is nothing to do then."""
        if number == 0:
            self._abandon()
        while not self._stop.is_set() and not self._valve.closed:
            self._wake()
            if rest_s := self._patience.rest_s():
                return rest_s
            artifact = self._shelf.take()
            if artifact is None:
                break
            try:
                self._deliver(self._destinations[number], artifact)
            finally:
                self._shelf.put_back(artifact)
        if number == 0 and not (self._patience.failures or self._stop.is_set() or self._valve.closed):
            self._orphans.step(self._destinations[0])
        return self._pace.poll_s

    def _deliver(self, destination: Destination, artifact: Artifact) -> None:
        terms = self._terms(artifact)
        try:
            receipt = destination.put(
                self._outbox_dir / artifact.path,
                artifact.path,
                artifact.cipher_sha256,
                artifact.size_bytes,
                _CatalogUpload(self._catalog, artifact.artifact_id),
                terms,
            )
            if terms.held:  # so that what is held over there is released in any case
                self._catalog.orders.ask_hold(artifact.artifact_id, self._clock_ns())
        except Halted:
            log.info("delivery.halted", path=artifact.path, destination=self._name)
        except Retry as error:
            self._failed(artifact, str(error))
        except Poison as error:
            if self._catalog.is_local(artifact.artifact_id):  # else it was withdrawn and deleted on the way
                self._poisoned(artifact, str(error))
        except Exception as error:  # one artifact's surprise must not end the lane; it is retried and stays visible
            self._failed(artifact, f"unexpected {type(error).__name__}")
        else:
            self._delivered(artifact, receipt.where)

    def _terms(self, artifact: Artifact) -> Terms:
        tags = {"purpose": artifact.purpose}
        if artifact.central_deadline_ns:
            day = datetime.fromtimestamp(artifact.central_deadline_ns / NS, UTC).date()
            tags["central-deadline"] = day.isoformat()
        held = self._catalog.legal_holds.is_held(artifact.call_id, artifact.purpose)
        return Terms(artifact.central_deadline_ns, held, tags)

    def _abandon(self) -> None:
        """Have the destination let go of what was begun of artifacts that were withdrawn since. It holds up nothing."""
        now_ns = self._clock_ns()
        for artifact in self._catalog.begun_and_withdrawn(now_ns):
            if artifact.destination != self._name or self._stop.is_set() or self._shelf.has(artifact.artifact_id):
                continue
            try:
                self._destinations[0].abandon(artifact.path, _CatalogUpload(self._catalog, artifact.artifact_id))
            except Exception as error:
                why = str(error) if isinstance(error, Retry | Poison) else f"unexpected {type(error).__name__}"
                later = now_ns + int(self._pace.retry_max_s * NS)
                self._catalog.retry_later(artifact.artifact_id, later, why)
                log.warning("delivery.not_abandoned", path=artifact.path, destination=self._name, why=why)
            else:
                self._catalog.abandoned(artifact.artifact_id)
                log.info("delivery.abandoned", path=artifact.path, destination=self._name)

    def _wake(self) -> None:
        woken_ns = self._valve.row().woken_ns
        if woken_ns > self._woken_ns:
            self._woken_ns = woken_ns
            self._patience.wake()
            self._shelf.clear()

    def _delivered(self, artifact: Artifact, where: str) -> None:
        self._journal.append(
            "delivered",
            call_id=artifact.call_id,
            purpose=artifact.purpose,
            path=artifact.path,
            destination=self._name,
            cipher_sha256=artifact.cipher_sha256,
        )
        self._catalog.set_delivery(artifact.artifact_id, Delivery.SENT, self._clock_ns())
        log.info("delivered", call=artifact.call_id, path=artifact.path, where=where)
        with self._lock:
            failures = self._patience.failures
            victims = self._patience.succeeded()
        if victims:
            self._catalog.lanes.due_now(victims)
            self._shelf.clear()
        if failures:
            self._catalog.lanes.set_failing(self._name, "", 0, 0)

    def _failed(self, artifact: Artifact, why: str) -> None:
        if self._stop.is_set() or self._valve.closed:
            return  # a library may wrap Halted in an error of its own
        attempts = self._catalog.delivery_state(artifact.artifact_id).attempts
        with self._lock:
            before = self._patience.failures
            delay = self._patience.failed(artifact.artifact_id, attempts)
        self._catalog.retry_later(artifact.artifact_id, self._clock_ns() + int(delay * NS), why)
        log.warning("delivery.retry", path=artifact.path, destination=self._name, why=why, again_s=delay)
        self._failing(why, before)
        if before == 0:  # the first of a spell; a line for each attempt of three days would help nobody
            self._say_failed(artifact, why)

    def _failing(self, why: str, before: int) -> None:
        """The lane rests: begin with the most important after that."""
        now_ns = self._clock_ns()
        self._failing_ns = now_ns if before == 0 else self._failing_ns
        again_ns = now_ns + int(self._patience.rest_s() * NS)
        self._catalog.lanes.set_failing(self._name, why, self._failing_ns, again_ns)
        self._shelf.clear()

    def _poisoned(self, artifact: Artifact, why: str) -> None:
        """Reported once for each reason; kept, and tried again at the slowest pace, so that mending it is enough."""
        before = self._catalog.delivery_state(artifact.artifact_id).detail
        self._catalog.set_delivery(artifact.artifact_id, Delivery.POISONED, self._clock_ns(), why)
        later = self._clock_ns() + int(self._pace.retry_max_s * NS)
        self._catalog.retry_later(artifact.artifact_id, later, why)
        log.error("delivery.poisoned", path=artifact.path, destination=self._name, why=why)
        with self._lock:
            failures = self._patience.failures
            rests = self._patience.refused(artifact.artifact_id, why)
        if rests:
            self._failing(why, failures)
        if why != before:
            self._say_failed(artifact, why)

    def _say_failed(self, artifact: Artifact, why: str) -> None:
        self._journal.append(
            "delivery.failed",
            call_id=artifact.call_id,
            purpose=artifact.purpose,
            path=artifact.path,
            destination=self._name,
            why=why,
        )


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
