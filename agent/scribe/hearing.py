"""Transcribing what one purpose may hear, and nothing else: each visible span of each channel goes to the engine alone.

A paused sample never reaches an engine (I1), and a word cannot straddle a pause, because no stretch handed over does.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from agent.model.call import CLOCK_RATE
from agent.model.spans import merge
from agent.model.text import UNDETERMINED, LeftOut, Segment, Transcript
from agent.scribe.conversation import merged
from agent.scribe.languages import AUTO
from agent.transcribe.engine import Engine, to_engine_rate
from agent.transcribe.invented import sift
from agent.transcribe.tongue import Tongue

Spans = tuple[tuple[int, int], ...]

LONGEST_S = 300
"""A stretch is handed over in pieces of at most this length, to bound memory in long calls."""
VOICE_PEAK = 64
"""Peak amplitude (-54 dBFS) of 20 ms below which nobody's voice is in them, whatever an engine writes there."""
PAD_S = 0.3
"""So much around a voice counts as voice: word times are not exact."""
QUIET = 16
"""Peak amplitude (of 32768) below which a piece is silence: G.711's own silence codes decode to at most 8."""


def transcribe(
    engine: Engine,
    channels: npt.NDArray[np.int16],
    rate: int,
    spans: Spans,
    language: str,
    going: Callable[[float], None] = lambda _: None,
) -> Transcript:
    """The conversation in `channels` (int16 [channels, samples] at `rate`) within `spans` (half-open, at CLOCK_RATE).

    `language` is ISO 639-1 or AUTO. `going` is called before each piece with the share (0..1) that is done and may
    raise to stop. Raises EngineError.
    """
    scale = rate // CLOCK_RATE
    scaled = [(start * scale, end * scale) for start, end in spans]
    todo = [(channel, list(_pieces(pcm, scaled, rate))) for channel, pcm in enumerate(channels)]
    length = sum(end - start for _, pieces in todo for start, end in pieces)
    found: list[Segment] = []
    left: list[LeftOut] = []
    spoken: list[str] = []
    done = 0
    for channel, pieces in todo:
        mine = _language(engine, channels[channel], pieces, rate, language)
        spoken.append(mine or UNDETERMINED)
        for start, end in pieces:
            going(done / length)
            done += end - start
            if mine is None:
                continue
            pcm = channels[channel][start:end]
            heard = engine.transcribe(to_engine_rate(pcm, rate), mine, channel, start / rate)
            kept, invented = sift(heard, _voice(pcm, rate, start / rate))
            found += kept
            left += [LeftOut(channel, s.start_s, s.end_s, sign.value) for s, sign in invented]
    detected = language == AUTO and engine.only_language is None
    first = next((s for s in spoken if s != UNDETERMINED), UNDETERMINED)
    return Transcript(
        first if detected else engine.only_language or language,
        *(engine.name, engine.model, engine.digest, merged(found), engine.test_only),
        languages=tuple(spoken) if detected else (),
        left_out=tuple(left),
    )


def outside(spans: Spans, length: int) -> Spans:
    """The gaps between and around sorted `spans` within 0..length."""
    edges = [0, *(edge for span in spans for edge in span), length]
    return tuple((a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b > a)


def _language(
    engine: Engine, pcm: npt.NDArray[np.int16], pieces: Sequence[tuple[int, int]], rate: int, asked: str
) -> str | None:
    """The language of one channel; None where it is to be detected and nobody speaks."""
    if engine.only_language is not None or asked != AUTO:
        return engine.only_language or asked
    tongue = Tongue(None)
    for start, end in pieces:
        spoken = engine.detect_language(to_engine_rate(pcm[start:end], rate))
        if spoken is not None:
            tongue.hear(spoken)
        if tongue.language is not None:
            break
    return tongue.likely


def _voice(pcm: npt.NDArray[np.int16], rate: int, offset_s: float) -> list[tuple[float, float]]:
    """Where a piece (which begins at `offset_s`) is loud enough for a voice, and a little before and after."""
    window = rate // 50
    frames = np.zeros(-(-len(pcm) // window) * window, np.int32)
    frames[: len(pcm)] = np.abs(pcm.astype(np.int32))
    loud = np.flatnonzero(frames.reshape(-1, window).max(axis=1) >= VOICE_PEAK) / 50 + offset_s
    return [
        (a / 1000, b / 1000) for a, b in merge((round((t - PAD_S) * 1000), round((t + PAD_S) * 1000)) for t in loud)
    ]


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
