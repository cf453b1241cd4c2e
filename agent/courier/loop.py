"""The life of the courier: lanes and orders, a thread each for every destination, and the sweep of what is past its
deadline."""

import sqlite3
import threading
import time

import structlog

from agent.config import Settings
from agent.courier.lane import Lane
from agent.courier.orders import PLAN_S, Orders
from agent.forward.opening import open_destination
from agent.process import stop_on_signal
from agent.retain.holds import end_past
from agent.retain.ntp import read_clocks
from agent.retain.sweep import sweep
from agent.retain.trusted import TrustedClock, believed_ns
from agent.store.catalog import Catalog
from agent.store.journal import Journal

log = structlog.get_logger()

PLAN_REST = 30
"""Where much is held, planning takes long; it rests for so many times as long."""


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
        self._trusted = TrustedClock(self._catalog, self._journal, settings.retention, read_clocks)
        self._orders = [
            Orders(
                open_destination(name, section, part_bytes),
                settings.courier,
                self._catalog,
                self._journal,
                stop,
                self._believed_ns,
                deletes=section.deleted_by_us,
            )
            for name, section in settings.destination.items()
        ]
        self._overdue: set[str] = set()
        self._next_plan = 0.0

    def run(self) -> None:
        """Start the lanes and sweep until told to stop."""
        threads = [
            *(threading.Thread(target=lane.run, daemon=True) for lane in self._lanes),
            *(threading.Thread(target=orders.run, daemon=True) for orders in self._orders),
        ]
        for thread in threads:
            thread.start()
        log.info("courier.ready", destinations=sorted(self._settings.destination))
        pause_s = self._settings.courier.poll_s
        while not self._stop.wait(pause_s):
            begun = time.monotonic()
            self.sweep()
            # where much is held beyond its deadline, looking takes long: then it is done less often
            pause_s = max(self._settings.courier.poll_s, 10 * (time.monotonic() - begun))
        for thread in threads:
            thread.join(timeout=10)  # an upload in progress is taken up at the next start

    def sweep(self) -> None:
        """Delete what is past its deadline, plan what the centre is told; errors are said and tried again."""
        try:
            now_ns = self._trusted.now_ns()
            end_past(self._catalog, self._journal, now_ns)
            swept = sweep(self._catalog, self._journal, self._settings.outbox_dir, now_ns)
            if time.monotonic() >= self._next_plan:
                begun = time.monotonic()
                self._catalog.orders.plan(time.time_ns())
                took_s = time.monotonic() - begun
                self._next_plan = begun + max(PLAN_S, PLAN_REST * took_s)
        except (OSError, sqlite3.Error) as error:
            log.error("sweep.failed", kind=type(error).__name__, error=str(error))
            return
        for artifact in swept.deleted:
            log.info("local.deleted", call=artifact.call_id, path=artifact.path)
        for artifact in swept.overdue:
            if artifact.artifact_id not in self._overdue:
                log.error(
                    "local.overdue", path=artifact.path, destination=artifact.destination, why="not delivered yet"
                )
        self._overdue = {a.artifact_id for a in swept.overdue}

    def _believed_ns(self) -> int:
        return believed_ns(self._catalog, self._settings.retention, read_clocks())


def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT."""
    stop = stop_on_signal()
    Courier(settings, stop).run()
