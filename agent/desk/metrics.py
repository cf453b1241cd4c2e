"""What the box does, as Prometheus metrics: numbers only, no call, party or agent is named (docs/quality.md).

Live figures are the recorder's at the time of asking; those of finalised calls count from the start of the desk.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from agent.desk.livefigures import LiveFigures
from agent.media.quality import one_way, rate_stream
from agent.model.call import Codec, MediaStream
from agent.model.media import StreamCounts
from agent.store.heard import HeardCalls

log = structlog.get_logger()

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MOS_BUCKETS = (1.5, 2.0, 2.5, 3.0, 3.3, 3.6, 3.8, 4.0, 4.2, 4.4)
MOST_BATCHES = 20
_KNOWN = frozenset(Codec)
_MIRROR = {
    "greffier_span_packets": ("Packets seen on the mirror port.", "packets"),
    "greffier_span_kernel_dropped_packets": (
        "Packets of the mirror port that the kernel had no room for.",
        "dropped_packets",
    ),
    "greffier_span_encrypted_calls": (
        "Overheard calls with media under SRTP, which is not recorded.",
        "encrypted_calls",
    ),
    "greffier_span_refused_calls": ("Overheard calls for which there was no room.", "refused_calls"),
    "greffier_span_dropped_messages": ("SIP messages that could not wait to be worked off.", "dropped_messages"),
    "greffier_span_dropped_waiting_packets": (
        "Packets that could not wait for SIP to be worked off.",
        "dropped_waiting_packets",
    ),
}
"""Of a mirror port: what it counts, and what the recorder calls it."""


class Metrics:
    """Counts finalised calls as they come into the catalog. One instance, one thread at a time."""

    def __init__(self, heard: HeardCalls) -> None:
        self._heard = heard
        self._registry = CollectorRegistry()
        self._live = _Live()
        self._registry.register(self._live)
        self._live_text = LiveFigures()
        self._registry.register(self._live_text)
        self._calls = self._counter("greffier_calls_finalised", "Calls finalised.")
        self._one_way = self._counter("greffier_calls_one_way", "Calls in which nothing was heard of one party.")
        self._streams = self._counter("greffier_streams", "Streams of finalised calls, by codec.", ["codec"])
        self._packets = self._counter(
            "greffier_packets", "Packets of finalised calls, by what became of them.", ["outcome"]
        )
        self._undecoded = self._counter("greffier_packets_undecoded", "Packets that could not be made sound.")
        self._mos = Histogram(
            "greffier_stream_mos",
            "E-model MOS of streams whose codec is rated (docs/quality.md).",
            buckets=MOS_BUCKETS,
            registry=self._registry,
        )
        try:
            self._last = heard.last()
        except sqlite3.Error:  # no catalog yet: everything in it will be new
            self._last = 0

    def also(self, collector: Collector) -> None:
        """Show these figures too."""
        self._registry.register(collector)

    def text(self, stats: dict[str, Any] | None, scribe: dict[str, Any] | None = None) -> bytes:
        """The exposition. `stats` is what the recorder says of itself, `scribe` what the scribe does; None when it does
        not answer."""
        self._live.stats, self._live.catalog_up = stats, self._take()
        self._live_text.stats = scribe
        return generate_latest(self._registry)

    def _counter(self, name: str, words: str, labels: Iterable[str] = ()) -> Counter:
        return Counter(name, words, labels, registry=self._registry)

    def _take(self) -> bool:
        """Count the calls that were finalised since. Returns whether the catalog could be read."""
        try:
            for _ in range(MOST_BATCHES):
                calls = self._heard.since(self._last)
                for call in calls:
                    self._last = call.number
                    self._calls.inc()
                    self._one_way.inc(bool(one_way(call.channels)))
                    self._undecoded.inc(sum(channel.undecoded for channel in call.channels))
                    for stream, counts in call.streams:
                        self._stream(stream, counts)
                if not calls:
                    break
        except (sqlite3.Error, ValueError) as error:
            log.warning("metrics.catalog", kind=type(error).__name__)
            return False
        return True

    def _stream(self, stream: MediaStream, counts: StreamCounts) -> None:
        for name in counts.formats or (stream.codec.value,):
            self._streams.labels(name if name in _KNOWN else Codec.OTHER.value).inc()
        for outcome in ("received", "lost", "late", "duplicates", "foreign", "stale", "undecryptable"):
            self._packets.labels(outcome).inc(getattr(counts, outcome))
        if (mos := rate_stream(stream.codec, counts).mos) is not None:
            self._mos.observe(mos)


class _Live(Collector):
    """The recorder's own figures."""

    def __init__(self) -> None:
        self.stats: dict[str, Any] | None = None
        self.catalog_up = False

    def collect(self) -> Iterator[Metric]:
        """In the words of the recorder's `stats`."""
        yield GaugeMetricFamily("greffier_recorder_up", "Whether the recorder answers.", float(self.stats is not None))
        yield GaugeMetricFamily("greffier_catalog_up", "Whether the catalog can be read.", float(self.catalog_up))
        if self.stats is None:
            return
        s = self.stats
        yield GaugeMetricFamily("greffier_calls_live", "Calls being recorded.", float(s["calls"]))
        yield CounterMetricFamily(
            "greffier_kernel_dropped_packets", "Packets the kernel had no room for.", float(s["dropped_packets"])
        )
        yield CounterMetricFamily(
            "greffier_stray_packets", "Packets that belong to no stream.", float(s["stray_packets"])
        )
        yield CounterMetricFamily(
            "greffier_forgotten_pauses",
            "Pauses that nobody ended and the limit did, of each purpose, since the recorder started.",
            float(s["forgotten_pauses"]),
        )
        live = s["live"]
        yield GaugeMetricFamily("greffier_live_listeners", "Who hears live calls.", float(live["listeners"]))
        yield GaugeMetricFamily("greffier_live_calls", "Calls that are heard live.", float(live["calls"]))
        yield CounterMetricFamily(
            "greffier_live_dropped_seconds", "Live sound that its listener was too slow for.", float(live["dropped_s"])
        )
        for name, (words, key) in _MIRROR.items() if "span" in s else ():
            yield CounterMetricFamily(name, words, float(s["span"][key]))
        if "span" in s:
            waiting = float(s["span"]["waiting_messages"])
            yield GaugeMetricFamily("greffier_span_waiting_messages", "SIP messages not yet worked off.", waiting)
        yield GaugeMetricFamily(
            "greffier_media_lag_p99_seconds", "From arrival to the gate, 99th percentile.", s["lag_p99_ms"] / 1000
        )
