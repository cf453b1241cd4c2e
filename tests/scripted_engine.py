"""Speech that a test writes and an engine that hears exactly that: each word is a stretch of one amplitude.

`say` makes the sound, `LoudVoice` hears voice where it is loud, `LevelEngine` reads the words off the levels. A word
cut off by the end of a window is heard as something else, as real engines do. `ScriptEngine` hears what is written,
whatever sounds.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from agent.model.text import Segment, Word
from agent.transcribe.engine import ENGINE_RATE, Capabilities, Heard, Spoken

LEVELS = 40
_LOWEST, _STEP = 0.1, 0.02
CUT_OFF = "hm"


def say(words: Sequence[tuple[int, float, float]], seconds: float, rate: int = 8000) -> np.ndarray:
    """Mono int16: silence, and word number n (0..LEVELS-1) from start to end, in seconds."""
    pcm = np.zeros(int(seconds * rate), np.int16)
    for number, start, end in words:
        pcm[int(start * rate) : int(end * rate)] = int((_LOWEST + _STEP * number) * 32768)
    return pcm


def talk(start_s: float, end_s: float, first: int = 0, every_s: float = 0.4) -> list[tuple[int, float, float]]:
    """Words of 0.3 s, one every 0.4 s, numbered on from `first`."""
    count = int((end_s - start_s) / every_s + 1e-9)
    return [((first + n) % LEVELS, start_s + n * every_s, start_s + n * every_s + every_s * 0.75) for n in range(count)]


def name(number: int) -> str:
    """What word number n is written as."""
    return f"w{number}"


class LoudVoice:
    """Voice is what is loud. Keeps nothing, so there is nothing to reset but the count of resets."""

    def __init__(self) -> None:
        self.resets = 0

    def probabilities(self, frames: np.ndarray) -> np.ndarray:
        return (np.abs(frames).max(axis=1, initial=0.0) > _LOWEST / 2).astype(np.float32)

    def reset(self) -> None:
        self.resets += 1


class LevelEngine:
    """Hears what `say` said."""

    name, model, digest, test_only, only_language = "levels", "script", "", True, None

    def __init__(self, windows: int = 1, vocabulary: Sequence[str] = ()) -> None:
        """`vocabulary`: how the first words are written, where not as `name` says."""
        self._vocabulary = dict(enumerate(vocabulary))
        self.capabilities = Capabilities("cpu", "none", windows)
        self.windows: list[float] = []
        """Seconds of each window heard."""

    def transcribe_window(self, pcm16k: np.ndarray, language: str, prefix: Sequence[Word]) -> Heard:
        self.windows.append(len(pcm16k) / ENGINE_RATE)
        after_s = prefix[-1].end_s - 0.05 if prefix else -1.0
        return Heard(tuple(w for w in self._words(pcm16k) if w.start_s >= after_s))

    def detect_language(self, pcm16k: np.ndarray) -> Spoken:
        return Spoken("it", 0.9, len(pcm16k) / ENGINE_RATE)

    def _words(self, pcm16k: np.ndarray) -> list[Word]:
        loud = np.concatenate([[False], np.abs(pcm16k) > _LOWEST / 2, [False]])
        starts, ends = np.flatnonzero(~loud[:-1] & loud[1:]), np.flatnonzero(loud[:-1] & ~loud[1:])
        words = []
        for start, end in zip(starts, ends, strict=True):
            if end - start < ENGINE_RATE // 50:  # the resampler rings where a word begins or ends
                continue
            level = float(np.median(np.abs(pcm16k[start:end])))
            whole = end < len(pcm16k) - 80 and start > 80
            number = round((level - _LOWEST) / _STEP)
            text = self._vocabulary.get(number, name(number)) if whole else CUT_OFF
            words.append(Word(text, start / ENGINE_RATE, end / ENGINE_RATE, 0.9))
        return words


class ScriptEngine:
    """Hears what the test says, whatever sounds: of each channel, when each word of `each_s` seconds begins."""

    name, model, digest, test_only = "scripted", "script", "", True

    def __init__(self, said: Mapping[int, Sequence[tuple[float, str]]], language: str, each_s: float = 0.3) -> None:
        self.only_language: str | None = language
        self._said, self._each_s = said, each_s

    def transcribe(self, pcm16k: np.ndarray, language: str, channel: int, offset_s: float) -> tuple[Segment, ...]:
        end_s, each_s = offset_s + len(pcm16k) / ENGINE_RATE, self._each_s
        words = tuple(Word(text, at, at + each_s, 0.9) for at, text in self._said[channel] if offset_s <= at < end_s)
        text = " ".join(w.text for w in words)
        return (Segment(channel, words[0].start_s, words[-1].end_s, text, words),) if words else ()
