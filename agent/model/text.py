"""Transcripts: words with times and confidence, per channel."""

from dataclasses import dataclass

UNDETERMINED = "und"
"""ISO 639-2 for a language that cannot be told."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word; times in seconds from the call's media origin; `confidence` in 0..1."""

    text: str
    start_s: float
    end_s: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Said:
    """A word and the channel it was heard on."""

    channel: int
    word: Word


@dataclass(frozen=True, slots=True)
class Segment:
    """One stretch of speech of one channel."""

    channel: int
    start_s: float
    end_s: float
    text: str
    words: tuple[Word, ...] = ()
    doubt: bool = False
    """The engine itself doubts that anybody said it."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Where an engine wrote what nobody had said, and by what that was known; the text itself is gone."""

    channel: int
    start_s: float
    end_s: float
    why: str


@dataclass(frozen=True, slots=True)
class Transcript:
    """All segments of a call in order of time. `engine` and `model_digest` (sha256, hex) say what wrote it.

    `languages` are those of the channels, where they were detected; `language` is then that of the first.
    """

    language: str
    engine: str
    model: str
    model_digest: str
    segments: tuple[Segment, ...]
    test_only: bool = False
    languages: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
