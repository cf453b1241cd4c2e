"""Transcribing what one purpose may hear, and nothing else: each visible span of each channel goes to the engine alone.

A paused sample never reaches an engine (I1), and a word cannot straddle a pause, because no stretch handed over does.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from agent.model.call import CLOCK_RATE
from agent.model.text import Segment, Transcript
from agent.transcribe.engine import Engine, to_engine_rate

Spans = tuple[tuple[int, int], ...]

LONGEST_S = 300
"""A stretch is handed over in pieces of at most this length, to bound memory in long calls."""
QUIET = 16
"""Peak amplitude (of 32768) below which a piece is silence: G.711's own silence codes decode to at most 8."""


def transcribe(
    engine: Engine,
    channels: npt.NDArray[np.int16],
    rate: int,
    spans: Spans,
    language: str,
    going: Callable[[], None] = lambda: None,
) -> Transcript:
    """The transcript of `channels` (int16 [channels, samples] at `rate`) within `spans` (half-open, at CLOCK_RATE).

    `going` is called between pieces and may raise to stop. Raises EngineError.
    """
    language = engine.only_language or language
    found: list[Segment] = []
    scale = rate // CLOCK_RATE
    scaled = [(start * scale, end * scale) for start, end in spans]
    for channel, pcm in enumerate(channels):
        for start, end in _pieces(pcm, scaled, rate):
            going()
            found += engine.transcribe(to_engine_rate(pcm[start:end], rate), language, channel, start / rate)
    found.sort(key=lambda s: (s.start_s, s.end_s, s.channel))
    return Transcript(language, engine.name, engine.model, engine.digest, tuple(found), engine.test_only)


def outside(spans: Spans, length: int) -> Spans:
    """The gaps between and around sorted `spans` within 0..length."""
    edges = [0, *(edge for span in spans for edge in span), length]
    return tuple((a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b > a)


def _pieces(pcm: npt.NDArray[np.int16], spans: Sequence[tuple[int, int]], rate: int) -> Iterator[tuple[int, int]]:
    for start, end in spans:
        at = max(0, start)
        while at < min(end, len(pcm)):
            stop = _cut(pcm, at, min(end, len(pcm)), rate)
            if int(np.abs(pcm[at:stop].astype(np.int32)).max()) >= QUIET:
                yield at, stop
            at = stop


def _cut(pcm: npt.NDArray[np.int16], at: int, end: int, rate: int) -> int:
    """Where the piece that begins at `at` ends: at `end`, or in the quietest 0.2 s near the longest length."""
    if end - at <= LONGEST_S * rate:
        return end
    window, reach = rate // 5, 20 * rate
    low = at + LONGEST_S * rate - reach
    frames = np.abs(pcm[low : low + reach].astype(np.int32)).reshape(-1, window).sum(axis=1)
    return low + int(np.argmin(frames)) * window + window // 2
