"""The life of the courier: one lane a destination, and the sweep of what is past its local deadline."""

import sqlite3
import threading
import time

import structlog

from agent.config import Settings
from agent.courier.lane import Lane
from agent.courier.timestamps import Timestamps
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
        ]
        self._threads = [threading.Thread(target=lane.run, daemon=True) for lane in self._lanes]
        if settings.timestamp is not None:
            timestamps = Timestamps(
                settings.timestamp,
                tuple(name for name in settings.purpose if settings.is_stamped(name)),
                settings.courier,
                settings.outbox_dir,
                settings.journal_dir,
                self._catalog,
                self._journal,
                stop,
                time.time_ns,
            )
            self._threads.append(threading.Thread(target=timestamps.run, daemon=True))
        self._overdue: set[str] = set()

    def run(self) -> None:
        """Start the lanes and the fetching of timestamps, and sweep until told to stop."""
        for thread in self._threads:
            thread.start()
        log.info("courier.ready", destinations=sorted(self._settings.destination))
        while not self._stop.wait(self._settings.courier.poll_s):
            self.sweep()
        for thread in self._threads:
            thread.join(timeout=10)  # an upload in progress is taken up at the next start

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
