"""Metrics of live text and of the guard, as the scribe says at the time of asking (docs/transcription.md)."""

from collections.abc import Iterator
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_NOW = {
    "greffier_live_text_calls": ("Calls of which there is live text, or would be.", "calls"),
    "greffier_live_text_step_seconds": ("How often guesses are made.", "step_s"),
    "greffier_live_text_lag_p95_seconds": ("From a word to its stable text, 95th percentile.", "lag_p95_s"),
    "greffier_live_text_use_ratio": ("Part of the workers' time that live text takes.", "use"),
}
_SINCE_START = {
    "greffier_live_text_windows": ("Windows transcribed.", "windows"),
    "greffier_live_text_coalesced": ("Guesses that became part of a later one.", "coalesced"),
    "greffier_live_text_failed": ("Windows that the engine broke over.", "failed"),
    "greffier_live_text_skipped_seconds": ("Speech of which live text was given up.", "skipped_s"),
}
_GUARD = {
    "greffier_guard_pauses": ("Pauses by the guard of spoken card numbers.", "pauses"),
    "greffier_guard_too_late": ("Those that did not cover all that was said.", "too_late"),
    "greffier_guard_failed": ("Alarms that the recorder did not answer.", "failed"),
}


class LiveFigures(Collector):
    """`stats` is what the scribe says of itself; None when it does not answer."""

    def __init__(self) -> None:
        self.stats: dict[str, Any] | None = None

    def collect(self) -> Iterator[Metric]:
        """In the words of the scribe's `stats`."""
        yield GaugeMetricFamily("greffier_scribe_up", "Whether the scribe answers.", float(self.stats is not None))
        if self.stats is None:
            return
        live, guard = self.stats["live"], self.stats["guard"]
        ready = float(self.stats["ready"])
        yield GaugeMetricFamily("greffier_live_text_ready", "Whether there is an engine for live text.", ready)
        for name, (words, key) in _NOW.items():
            yield GaugeMetricFamily(name, words, float(live[key]))
        off = float(len(live["off"]))
        yield GaugeMetricFamily("greffier_live_text_off_calls", "Calls whose live text was given up.", off)
        rung = GaugeMetricFamily("greffier_live_text_rung", "What is given up now: 1 for that.", labels=["rung"])
        rung.add_metric([live["rung"]], 1.0)
        yield rung
        for name, (words, key) in _SINCE_START.items():
            yield CounterMetricFamily(name, words, float(live[key]))
        if guard:
            unguarded = float(len(guard["off"]))
            yield GaugeMetricFamily("greffier_guard_off_calls", "Calls to be guarded that are not heard.", unguarded)
        for name, (words, key) in _GUARD.items() if guard else ():
            yield CounterMetricFamily(name, words, float(guard[key]))
