"""The life of the courier: one lane a destination, the counter for what is fetched, webhooks, and the sweep of what is
past its local deadline."""

import sqlite3
import threading
import time
from collections.abc import Iterator

import structlog

from agent.config import Settings
from agent.config.destinations import PullSection
from agent.courier.counter import Counter
from agent.courier.hooks import Hook
from agent.courier.lane import Lane
from agent.forward.opening import open_destination
from agent.process import stop_on_signal
from agent.retain.sweep import sweep
from agent.store.catalog import Catalog
from agent.store.journal import Journal

log = structlog.get_logger()


class Courier:
    """All parts wired. `run` returns when `stop` is set."""

    def __init__(self, settings: Settings, stop: threading.Event) -> None:
        self._settings = settings
        self._stop = stop
        self._catalog = Catalog(settings.catalog_path)
        self._journal = Journal(settings.journal_dir, "courier", time.time_ns)
        part_bytes = settings.courier.part_mib << 20
        self._lanes = [
            Lane(
                open_destination(name, section, part_bytes),
                settings.courier,
                settings.outbox_dir,
                self._catalog,
                self._journal,
                stop,
            )
            for name, section in settings.destination.items()
            if not isinstance(section, PullSection)
        ]
        pulled = settings.pulled
        counter = Counter(settings.courier_socket, pulled, self._catalog, self._journal, time.time_ns)
        self._counter = counter if pulled else None
        self._hooks = [
            Hook(name, section, settings.courier, self._catalog, self._journal, stop)
            for name, section in settings.webhook.items()
        ]
        self._overdue: set[str] = set()

    def run(self) -> None:
        """Start the lanes and sweep until told to stop."""
        threads = [threading.Thread(target=one.run, daemon=True) for one in self._workers()]
        if self._counter is not None:
            self._counter.start()
        for thread in threads:
            thread.start()
        log.info("courier.ready", destinations=sorted(self._settings.destination))
        while not self._stop.wait(self._settings.courier.poll_s):
            self.sweep()
        for thread in threads:
            thread.join(timeout=10)  # an upload in progress is taken up at the next start
        if self._counter is not None:
            self._counter.stop()

    def _workers(self) -> Iterator[Lane | Hook]:
        yield from self._lanes
        yield from self._hooks

    def sweep(self) -> None:
        """Delete what is past its deadline; errors are said and tried again."""
        try:
            swept = sweep(self._catalog, self._journal, self._settings.outbox_dir, time.time_ns())
        except (OSError, sqlite3.Error) as error:
            log.error("sweep.failed", kind=type(error).__name__, error=str(error))
            return
        for artifact in swept.deleted:
            log.info("local.deleted", call=artifact.call_id, path=artifact.path)
        new = [a for a in swept.overdue if a.artifact_id not in self._overdue]
        for artifact in new:
            log.error("local.overdue", path=artifact.path, destination=artifact.destination, why="not delivered yet")
        self._overdue = {a.artifact_id for a in swept.overdue}


def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT."""
    stop = stop_on_signal()
    Courier(settings, stop).run()
