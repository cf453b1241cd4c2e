"""How well an engine hears the speech of a folder, as it is and as a telephone would carry it: word error rates.

The folder has a `manifest.csv` with the columns `file`, `language` and `reference` (what was said); rows without a
reference are left out. Before words are compared both texts are brought to one form (NFKC, lower case, everything that
is neither letter nor digit a space): so punctuation and capitals never count, *l'été* is two words, and numbers are as
they are written: 12 is not *twelve*.
"""

import csv
import time
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import soxr

from agent.media import g711
from agent.model.call import CLOCK_RATE, Codec
from agent.transcribe.engine import ENGINE_RATE, Engine

BAND_HZ = (300.0, 3400.0)
"""What a telephone line carries (ITU-T G.120)."""
MOST_FILES = 10_000
Samples = npt.NDArray[np.float32]


class NoSpeech(ValueError):
    """The folder cannot be tried with; the message says what was expected."""


@dataclass(frozen=True, slots=True)
class Score:
    """Of one language: files, words of the references, errors in them by line, and CPU seconds by seconds of sound."""

    language: str
    files: int = 0
    words: int = 0
    clean_errors: int = 0
    phone_errors: int = 0
    cpu_s: float = 0.0
    sound_s: float = 0.0


def try_folder(engine: Engine, folder: Path) -> Iterator[tuple[str, Score]]:
    """Hear every file twice; yields its name and the score so far of its language. Raises NoSpeech, EngineError."""
    scores: dict[str, Score] = {}
    for name, language, reference in _manifest(folder):
        if engine.only_language not in (None, language):
            continue
        clean = read(folder / name)
        expected = words_of(reference)
        began = time.process_time()
        errors = [
            edits(expected, words_of(" ".join(s.text for s in engine.transcribe(pcm, language, 0, 0.0))))
            for pcm in (clean, through_telephone(clean))
        ]
        spent = time.process_time() - began
        score = scores.get(language, Score(language))
        scores[language] = score = replace(
            score,
            files=score.files + 1,
            words=score.words + len(expected),
            clean_errors=score.clean_errors + errors[0],
            phone_errors=score.phone_errors + errors[1],
            cpu_s=score.cpu_s + spent,
            sound_s=score.sound_s + 2 * len(clean) / ENGINE_RATE,
        )
        yield name, score
    if not scores:
        raise NoSpeech(f"{folder}: no row of manifest.csv has a reference in a language that {engine.model} knows")


def words_of(text: str) -> list[str]:
    """The words that are compared."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return "".join(c if c.isalnum() or unicodedata.combining(c) else " " for c in plain).split()


def edits(expected: list[str], found: list[str]) -> int:
    """Least number of words to replace, add and leave out to make one text the other (Levenshtein)."""
    row = list(range(len(found) + 1))
    for at, word in enumerate(expected, 1):
        before, row[0] = row[0], at
        for n, other in enumerate(found, 1):
            before, row[n] = row[n], min(row[n] + 1, row[n - 1] + 1, before + (word != other))
    return row[-1]


def read(path: Path) -> Samples:
    """A sound file as mono float32 at `ENGINE_RATE`. Raises NoSpeech when FFmpeg does not read it."""
    try:
        with av.open(str(path)) as container:
            resampler = av.AudioResampler("flt", "mono", ENGINE_RATE)
            frames = [f for raw in container.decode(audio=0) for f in resampler.resample(raw)]
            frames += resampler.resample(None)
    except (OSError, av.FFmpegError, IndexError) as error:
        raise NoSpeech(f"{path}: cannot be read as sound: {error}") from None
    return np.concatenate([f.to_ndarray()[0] for f in frames]).astype(np.float32, copy=False)


def through_telephone(pcm16k: Samples) -> Samples:
    """The same as it comes through a line of 300 to 3400 Hz in G.711 A-law."""
    narrow = soxr.resample(pcm16k, ENGINE_RATE, CLOCK_RATE)
    spectrum = np.fft.rfft(narrow)
    hz = np.fft.rfftfreq(len(narrow), 1 / CLOCK_RATE)
    spectrum[(hz < BAND_HZ[0]) | (hz > BAND_HZ[1])] = 0
    line = np.clip(np.fft.irfft(spectrum, len(narrow)) * 32768, -32768, 32767).astype(np.int16)
    heard = g711.decode(g711.encode(line, Codec.PCMA), Codec.PCMA)
    wide: Samples = soxr.resample(heard.astype(np.float32) / 32768, CLOCK_RATE, ENGINE_RATE)
    return wide.astype(np.float32, copy=False)


def _manifest(folder: Path) -> list[tuple[str, str, str]]:
    try:
        with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            missing = {"file", "language", "reference"} - set(reader.fieldnames or ())
            if missing:
                raise NoSpeech(f"{folder}/manifest.csv: no column {', '.join(sorted(missing))}")
            rows = [(r["file"] or "", r["language"] or "", r["reference"] or "") for r in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise NoSpeech(f"{folder}/manifest.csv: cannot be read: {error}") from None
    if len(rows) > MOST_FILES:
        raise NoSpeech(f"{folder}/manifest.csv: more than {MOST_FILES} rows")
    for name, _, _ in rows:
        if Path(name).name != name:
            raise NoSpeech(f"{folder}/manifest.csv: {name!r} is no file of this folder")
    return [row for row in rows if words_of(row[2])]
