"""What an engine is: one channel's audio in, segments with word times out, and a name that owns up to it."""

from dataclasses import replace
from typing import Protocol

import numpy as np
import numpy.typing as npt
import soxr

from agent.model.text import Segment, Word

ENGINE_RATE = 16000
"""Samples per second that every engine takes."""


class EngineError(RuntimeError):
    """An engine cannot be loaded or broke while it worked; the message says what to mend."""


class Engine(Protocol):
    """A loaded recogniser. One instance serves one caller at a time."""

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

    def transcribe(
        self, pcm16k: npt.NDArray[np.float32], language: str, channel: int, offset_s: float
    ) -> tuple[Segment, ...]:
        """Segments of one stretch of one channel, in order of time.

        `pcm16k` is mono float32 in -1..1 at `ENGINE_RATE`; its first sample lies `offset_s` seconds after the call's
        media origin, and all times returned count from that origin and lie inside the stretch. Raises EngineError.
        """


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
