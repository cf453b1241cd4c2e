"""The life of the courier: lanes and orders, a thread each for every destination, the counter for what is fetched,
webhooks, timestamps, and the sweep of what is past its deadline."""

import sqlite3
import threading
import time

import structlog

from agent.config import Settings
from agent.config.budget import budget_of
from agent.config.destinations import PullSection, SentSection
from agent.config.purposes import by_importance
from agent.courier.counter import Counter
from agent.courier.hooks import Hook
from agent.courier.lane import Lane
from agent.courier.orders import PLAN_S, Orders
from agent.courier.timestamps import Timestamps
from agent.courier.valve import Valve
from agent.forward.opening import open_destination
from agent.forward.throttle import TokenBucket
from agent.policy.calendar import Calendar
from agent.process import stop_on_signal
from agent.retain.budget import Relief
from agent.retain.holds import end_past
from agent.retain.ntp import read_clocks
from agent.retain.sweep import sweep
from agent.retain.trusted import TrustedClock, believed_ns
from agent.store.catalog import Catalog
from agent.store.journal import Journal

log = structlog.get_logger()

RELIEF_S = 5.0
PLAN_REST = 30
"""Where much is held, planning takes long; it rests for so many times as long."""


class Courier:
    """All parts wired. `run` returns when `stop` is set."""

    def __init__(self, settings: Settings, stop: threading.Event) -> None:
        self._settings = settings
        self._stop = stop
        self._catalog = Catalog(settings.catalog_path)
        self._journal = Journal(settings.journal_dir, "courier", time.time_ns)
        self._trusted = TrustedClock(self._catalog, self._journal, settings.retention, read_clocks)
        self._calendar = Calendar(settings.site.timezone, settings.site.holidays)
        sent_to = {n: s for n, s in settings.destination.items() if not isinstance(s, PullSection)}
        self._sent_to = list(sent_to)
        lanes = [self._lane(name, section) for name, section in sent_to.items()]
        orders = [self._orders(name, section) for name, section in sent_to.items()]
        hooks = [
            Hook(name, section, settings.courier, self._catalog, self._journal, stop)
            for name, section in settings.webhook.items()
        ]
        runs = [*(lane.run for lane in lanes), *(order.run for order in orders), *(hook.run for hook in hooks)]
        self._threads = [threading.Thread(target=run, daemon=True) for run in runs]
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
        self._relief = Relief(budget_of(settings.purpose, settings.courier), self._catalog, self._journal)
        self._next_relief_s = 0.0
        pulled = settings.pulled
        counter = Counter(settings.courier_socket, pulled, self._catalog, self._journal, time.time_ns)
        self._counter = counter if pulled else None
        self._overdue: set[str] = set()
        self._next_plan = 0.0

    def _lane(self, name: str, section: SentSection) -> Lane:
        settings = self._settings
        valve = Valve(
            *(name, section.bandwidth(), self._calendar, self._catalog.lanes), clock_ns=time.time_ns,
            monotonic=time.monotonic,
        )  # fmt: skip
        throttle = TokenBucket(valve.rate, time.monotonic, self._stop.wait)
        part_bytes = settings.courier.part_mib << 20
        return Lane(
            [open_destination(name, section, part_bytes, throttle) for _ in range(section.parallel)],
            valve,
            by_importance(settings.purpose),
            settings.courier,
            settings.outbox_dir,
            self._catalog,
            self._journal,
            self._stop,
        )

    def _orders(self, name: str, section: SentSection) -> Orders:
        settings = self._settings
        return Orders(
            open_destination(name, section, settings.courier.part_mib << 20),
            settings.courier,
            self._catalog,
            self._journal,
            self._stop,
            self._believed_ns,
            deletes=section.deleted_by_us,
        )

    def run(self) -> None:
        """Start the lanes, the orders, the hooks and the fetching of timestamps, and sweep until told to stop."""
        if self._counter is not None:
            self._counter.start()
        for thread in self._threads:
            thread.start()
        log.info("courier.ready", destinations=sorted(self._settings.destination))
        pause_s = self._settings.courier.poll_s
        while not self._stop.wait(pause_s):
            begun = time.monotonic()
            self.relieve()
            self.sweep()
            # where much is held beyond its deadline, looking takes long: then it is done less often
            pause_s = max(self._settings.courier.poll_s, 10 * (time.monotonic() - begun))
        for thread in self._threads:
            thread.join(timeout=10)  # an upload in progress is taken up at the next start
        if self._counter is not None:
            self._counter.stop()

    def relieve(self) -> None:
        """Keep the outbox within its budgets; errors are said and tried again."""
        if time.monotonic() < self._next_relief_s:
            return
        self._next_relief_s = time.monotonic() + RELIEF_S
        try:
            self._relief.step(self._believed_ns())
        except (OSError, sqlite3.Error) as error:
            log.error("relief.failed", kind=type(error).__name__, error=str(error))

    def sweep(self) -> None:
        """Delete what is past its deadline, plan what the centre is told; errors are said and tried again."""
        try:
            now_ns = self._trusted.now_ns()
            end_past(self._catalog, self._journal, now_ns)
            swept = sweep(self._catalog, self._journal, self._settings.outbox_dir, now_ns)
            if time.monotonic() >= self._next_plan:
                begun = time.monotonic()
                self._catalog.orders.plan(time.time_ns(), self._sent_to)
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
