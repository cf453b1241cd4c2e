"""Metrics of the queue of calls that wait for their text (docs/quality.md)."""

import sqlite3
from collections.abc import Callable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from agent.store.waiting import WaitingCalls


class Queue(Collector):
    """Looked at each time somebody asks; without a catalog there is nothing to say. `clock_ns` is UTC."""

    def __init__(self, waiting: WaitingCalls, clock_ns: Callable[[], int]) -> None:
        self._waiting = waiting
        self._clock_ns = clock_ns

    def collect(self) -> Iterator[Metric]:
        """How many, and for how long the oldest."""
        try:
            now = self._waiting.look()
        except sqlite3.Error:
            return
        age_s = 0.0 if now.oldest_ns is None else max(0, self._clock_ns() - now.oldest_ns) / 1e9
        yield GaugeMetricFamily("greffier_text_waiting_calls", "Calls that wait for their text.", now.calls)
        yield GaugeMetricFamily(
            "greffier_text_waiting_oldest_seconds", "Since when the oldest of them does; 0 where none does.", age_s
        )
        yield GaugeMetricFamily("greffier_text_waiting_again_calls", "Calls to be transcribed again.", now.again)
