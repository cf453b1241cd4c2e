"""What an engine is: one channel's audio in, words with times out, and a name that owns up to it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt
import soxr

from agent.model.text import Segment, Word

ENGINE_RATE = 16000
"""Samples per second that every engine takes."""
LONGEST_WINDOW_S = 10.0
"""Most seconds of sound that one live window has."""


class EngineError(RuntimeError):
    """An engine cannot be loaded or broke while it worked; the message says what to mend."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a loaded engine runs on: `device` and `compute` in CTranslate2's words, `windows` at once at full speed."""

    device: str
    compute: str
    windows: int


@dataclass(frozen=True, slots=True)
class Heard:
    """What an engine makes of one window: words in order, with times in seconds from the window's first sample.

    `no_speech` is how sure it is (0..1) that nobody speaks; `logprob` the mean natural logarithm of the probability
    of what it wrote (0: certain).
    """

    words: tuple[Word, ...]
    no_speech: float = 0.0
    logprob: float = 0.0


@dataclass(frozen=True, slots=True)
class Spoken:
    """The language (ISO 639-1) that `seconds` of speech were taken for, and how sure the engine is of it (0..1)."""

    language: str
    probability: float
    seconds: float


class Engine(Protocol):
    """A loaded recogniser. One instance serves every thread of the process, live windows and final texts alike."""

    @property
    def name(self) -> str:
        """The program, such as `faster-whisper`."""

    @property
    def model(self) -> str:
        """The model's name."""

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the model's files; empty when the engine brings its own."""

    @property
    def test_only(self) -> bool:
        """Whether its text is good for demonstrations and tests only."""

    @property
    def only_language(self) -> str | None:
        """The one language it knows (ISO 639-1), or None when it takes the language asked for."""

    @property
    def capabilities(self) -> Capabilities:
        """What it runs on."""

    def transcribe(
        self, pcm16k: npt.NDArray[np.float32], language: str, channel: int, offset_s: float
    ) -> tuple[Segment, ...]:
        """Segments of one stretch of one channel, in order of time.

        `pcm16k` is mono float32 in -1..1 at `ENGINE_RATE`; its first sample lies `offset_s` seconds after the call's
        media origin, and all times returned count from that origin and lie inside the stretch. Raises EngineError.
        """

    def transcribe_window(self, pcm16k: npt.NDArray[np.float32], language: str, prefix: Sequence[Word]) -> Heard:
        """What follows `prefix`, words of this window that are decided already (times as in `Heard`).

        `pcm16k` as above, at most `LONGEST_WINDOW_S` long. Raises EngineError.
        """

    def detect_language(self, pcm16k: npt.NDArray[np.float32]) -> Spoken | None:
        """The language spoken in a stretch or window, None when nobody speaks. Raises EngineError."""


def to_engine_rate(pcm: npt.NDArray[np.int16], rate: int) -> npt.NDArray[np.float32]:
    """Mono int16 at `rate` samples a second as float32 in -1..1 at `ENGINE_RATE`, same start, no delay."""
    samples = pcm.astype(np.float32) / 32768.0
    resampled: npt.NDArray[np.float32] = soxr.resample(samples, rate, ENGINE_RATE)
    return resampled.astype(np.float32, copy=False)


def confine(segment: Segment, start_s: float, end_s: float) -> Segment:
    """The segment with every time moved inside `start_s`..`end_s`, ends never before starts."""

    def inside(time_s: float) -> float:
        return round(min(max(time_s, start_s), end_s), 3)

    words = tuple(
        Word(w.text, inside(w.start_s), inside(max(w.start_s, w.end_s)), min(max(w.confidence, 0.0), 1.0))
        for w in segment.words
    )
    return replace(
        segment,
        start_s=inside(segment.start_s),
        end_s=inside(max(segment.start_s, segment.end_s)),
        words=words,
    )
