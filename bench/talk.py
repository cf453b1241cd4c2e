"""Two people on the telephone, of real recorded speech: each speaks about 47 % of the time, one after the other."""

import csv
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soxr

from agent.model.call import CLOCK_RATE
from agent.model.text import Word
from agent.transcribe.engine import ENGINE_RATE
from agent.transcribe.trial import read

SPEECH = Path(os.environ.get("GREFFIER_SPEECH", Path(__file__).resolve().parents[2] / "shared" / "speech"))
BREATH_S = 0.6
"""Between one speaker and the other: what makes 47 % of 50."""
WORDS_A_SECOND = 3.0
LONGEST_S = 12.0
LOUDNESS = 10 ** (-22 / 20)
"""Of speech, against full scale (ITU-T P.56 has levels of -26 dBov and above)."""
_KINDS = ("fleurs", "LJ", "librivox", "jfk", "osr", "ohf")


@dataclass(frozen=True, slots=True)
class Talk:
    """One channel: mono int16 at `CLOCK_RATE`, and words as they might have been said, in seconds of it.

    The words are evenly spread over the speech: what is measured is when they come, not what they are.
    """

    pcm: npt.NDArray[np.int16]
    words: tuple[Word, ...]


def utterances() -> list[npt.NDArray[np.int16]]:
    """Real speech of one speaker each, 1 to 12 s long, as loud as people telephone, and no silence around it.

    Raises OSError where the folder of speech is absent.
    """
    with (SPEECH / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = [r for r in csv.DictReader(file) if r["file"].startswith(_KINDS) and r["channels"] == "1"]
    found = []
    for row in rows:
        if (SPEECH / row["file"]).exists():
            pcm = _spoken(soxr.resample(read(SPEECH / row["file"]), ENGINE_RATE, CLOCK_RATE))
            if len(pcm) >= CLOCK_RATE:
                found.append(np.clip(pcm * 32768, -32768, 32767).astype(np.int16))
    return found


def _spoken(pcm: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """From the first to the last tenth of a second that is within 30 dB of the loudest one."""
    step = CLOCK_RATE // 10
    frames = pcm[: len(pcm) // step * step].reshape(-1, step)
    power = np.sqrt((frames**2).mean(axis=1))
    loud = np.flatnonzero(power > power.max() * 10 ** (-30 / 20))
    spoken = pcm[loud[0] * step : min((loud[-1] + 1) * step, loud[0] * step + int(LONGEST_S * CLOCK_RATE))]
    return spoken * np.float32(LOUDNESS / np.sqrt((spoken**2).mean()))


def conversation(spoken: list[npt.NDArray[np.int16]], seconds: float, seed: int) -> tuple[Talk, Talk]:
    """A call of two channels, so many seconds long; another for each seed."""
    rng = np.random.default_rng(seed)
    length = int(seconds * CLOCK_RATE)
    sounds = np.zeros((2, length), np.int16)
    words: tuple[list[Word], list[Word]] = ([], [])
    at, speaker = int(rng.uniform(0, 4) * CLOCK_RATE), int(rng.integers(2))
    while at < length:
        piece = spoken[int(rng.integers(len(spoken)))][: length - at]
        sounds[speaker, at : at + len(piece)] = piece
        start_s, lasts_s = at / CLOCK_RATE, len(piece) / CLOCK_RATE
        count = int(lasts_s * WORDS_A_SECOND)
        for n in range(count):
            a, b = start_s + n * lasts_s / count, start_s + (n + 0.9) * lasts_s / count
            words[speaker].append(Word(f"w{int(rng.integers(50_000))}", a, b, 1.0))
        at += len(piece) + int(BREATH_S * CLOCK_RATE)
        speaker = 1 - speaker
    return Talk(sounds[0], tuple(words[0])), Talk(sounds[1], tuple(words[1]))
