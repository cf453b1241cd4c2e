"""Metrics of delivery and of the disk budgets (docs/delivery.md), read from the catalog when somebody asks."""

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from agent.model.budget import Budget
from agent.store.lanes import Standing, by_purpose

NS = 1_000_000_000
_FAMILIES = {
    "waiting_files": "Artifacts that wait to be delivered.",
    "waiting_bytes": "Their size.",
    "waiting_oldest_seconds": "Since when the oldest of them does.",
    "aside_files": "Artifacts that were set aside: somebody must mend something.",
}


class Delivering(Collector):
    """Without a catalog there is nothing to say. `clock_ns` is UTC."""

    def __init__(
        self, standing: Standing, destinations: Mapping[str, object], budget: Budget, clock_ns: Callable[[], int]
    ) -> None:
        self._standing = standing
        self._destinations = tuple(destinations)
        self._budget = budget
        self._clock_ns = clock_ns

    def collect(self) -> Iterator[Metric]:
        """By destination and purpose."""
        try:
            yield from [*self._queue(), *self._lanes(), *self._outbox()]
        except sqlite3.Error:
            return

    def _queue(self) -> Iterator[Metric]:
        now_ns = self._clock_ns()
        values: dict[str, dict[tuple[str, str], float]] = defaultdict(dict)
        for row in self._standing.queue():
            of = (row.destination, row.purpose)
            if row.delivery == "poisoned":
                values["aside_files"][of] = row.files
                continue
            values["waiting_files"][of] = row.files
            values["waiting_bytes"][of] = row.bytes
            values["waiting_oldest_seconds"][of] = max(0, now_ns - row.oldest_ns) / NS
        for name, words in _FAMILIES.items():
            family = GaugeMetricFamily(f"greffier_delivery_{name}", words, labels=["destination", "purpose"])
            for of, value in sorted(values[name].items()):
                family.add_metric(of, value)
            yield family

    def _lanes(self) -> Iterator[Metric]:
        now_ns = self._clock_ns()
        said = ("Whether the last attempt failed.", "Whether somebody paused it.", "When something arrived last.")
        failing, paused, last = (
            GaugeMetricFamily(f"greffier_delivery_{name}", words, labels=["destination"])
            for name, words in zip(("failing", "paused", "last_success_timestamp_seconds"), said, strict=True)
        )
        for name in self._destinations:
            row = self._standing.lane(name)
            failing.add_metric([name], float(bool(row.failing)))
            paused.add_metric([name], float(row.is_paused(now_ns)))
            last.add_metric([name], (self._standing.last_sent_ns(name) or 0) / NS)
        yield from (failing, paused, last)

    def _outbox(self) -> Iterator[Metric]:
        used = by_purpose(self._standing.held_bytes())
        here = GaugeMetricFamily("greffier_outbox_bytes", "Artifacts that are here.", labels=["purpose"])
        for purpose, count in sorted(used.items()):
            here.add_metric([purpose], count)
        yield here
        limits = GaugeMetricFamily("greffier_outbox_budget_bytes", "What they may take; all: all.", labels=["purpose"])
        for purpose, limit in sorted(self._budget.purposes.items()):
            limits.add_metric([purpose], limit)
        if self._budget.total is not None:
            limits.add_metric(["all"], self._budget.total)
        yield limits
