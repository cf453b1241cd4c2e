"""`python -m bench.guard --json`: how many spoken card numbers the guard hears in time, how soon, what it mistakes.

A number counts as a hit when the alarm came within the holdback of its first digit, and reaches back to that digit: no
sample of it is then on a disk. `delay_*_s` is from the beginning of the first digit to the alarm, in seconds of call.
`false_per_hour` counts alarms that were raised where no card, code or validity was said. Everything between sound and
alarm is what runs in the scribe, on a virtual clock (`bench.virtual`).

`scripted_*`: numbers of `bench.utterances` and calls of `tests/transcribe/redaction`, at the pace they have there (2.9
words a second), heard by a script: of a window the last word is wrong in 30 % of cases, any other in 6 % (assumed), and
a window takes 0.25 s. `loaded_fr`: the same on a box that is nearly full (0.7 s). `sphinx_digits`: human digits (the
shared folder of speech), through G.711, heard by PocketSphinx bound to digits and one sentence; a window takes what it
takes. `sphinx_ordinary`: human English sentences, heard by PocketSphinx with its own model of English.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soxr

from agent.media.g711 import decode, encode
from agent.model.call import CLOCK_RATE, Codec
from agent.model.redaction import SecretKind
from agent.model.text import Said, Word
from agent.transcribe.engine import ENGINE_RATE, Heard
from agent.transcribe.guard import Reason
from agent.transcribe.live.schedule import Job
from agent.transcribe.live.voice import Silero
from agent.transcribe.sphinx import SphinxEngine
from agent.transcribe.trial import read
from bench.marked import Marked, calls
from bench.redaction import CALLS
from bench.talk import SPEECH, utterances
from bench.utterances import utterances as spoken_secrets
from bench.virtual import Hear, Raised, alarms

HOLDBACK_S = 3.0
REACHES_S = 0.3
"""Of the first digit so much may be before where the alarm says it began: word times are not exacter."""
GIVE_UP_S = 2.0
"""After the holdback a number is not waited for longer than that."""
WRONG_LAST, WRONG_OTHER = 0.30, 0.06
WINDOW_S, LOADED_WINDOW_S = 0.25, 0.7
OF_A_CARD = frozenset({SecretKind.CARD, SecretKind.CVV, SecretKind.EXPIRY})
NEAR_S = 12.0
"""An alarm so long before what is said of a card is one of it: its code is asked for first."""
SENTENCE, SENTENCE_FILE = "he was not an ill disposed young man", "librivox-0880.flac"
GRAMMAR = f"""#JSGF V1.0;
grammar numbers;
public <said> = ( zero | oh | one | two | three | four | five | six | seven | eight | nine | ( {SENTENCE} ) )*;
"""
LOUD = 0.05
SHIFTS_S = (0.0, 0.17, 0.34)
"""When in a guess's half second a number begins."""
SEED = 11


@dataclass(frozen=True, slots=True)
class Number:
    """A call in which a card number begins at `begins_s`."""

    sounds: Sequence[npt.NDArray[np.int16]]
    hear: Hear
    begins_s: float


class LoudVoice:
    """Voice is what is loud: of a script it is known when somebody speaks."""

    def probabilities(self, frames: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """See `Voice.probabilities`."""
        loud: npt.NDArray[np.float32] = (np.abs(frames).max(axis=1, initial=0.0) > LOUD).astype(np.float32)
        return loud

    def reset(self) -> None:
        """Nothing is kept."""


def scripted(said: Sequence[Said], took_s: float) -> tuple[list[npt.NDArray[np.int16]], Hear]:
    """The sound of a conversation, as loud as somebody speaks, and an engine that hears what was said, or not quite."""
    length = int((max(one.word.end_s for one in said) + 2.0) * CLOCK_RATE)
    sounds = [np.zeros(length, np.int16) for _ in range(2)]
    for one in said:
        sounds[one.channel][int(one.word.start_s * CLOCK_RATE) : int(one.word.end_s * CLOCK_RATE)] = 8000

    def hear(job: Job) -> tuple[Heard, float]:
        start_s, end_s = job.window.start / ENGINE_RATE, job.window.end / ENGINE_RATE
        after_s = start_s + (job.window.prefix[-1].end_s if job.window.prefix else -1.0)
        words = [one.word for one in said if one.channel == job.channel]
        inside = [w for w in words if w.start_s >= start_s - 0.05 and w.end_s <= end_s + 0.05]
        inside = [w for w in inside if (w.start_s + w.end_s) / 2 > after_s]
        rng = np.random.default_rng(job.window.end + job.channel)
        heard = []
        for n, word in enumerate(inside):
            wrong = rng.random() < (WRONG_LAST if n == len(inside) - 1 else WRONG_OTHER)
            heard.append(Word("vraiment" if wrong else word.text, word.start_s - start_s, word.end_s - start_s, 0.9))
        return Heard(tuple(heard)), took_s

    return sounds, hear


def by_engine(engine: SphinxEngine) -> Hear:
    """What it hears, in the CPU time that it takes."""

    def hear(job: Job) -> tuple[Heard, float]:
        began = time.process_time()
        heard = engine.transcribe_window(job.window.pcm16k, "en", job.window.prefix)
        return heard, time.process_time() - began

    return hear


def heard_in_time(numbers: Iterable[Number], voice: Callable[[], Any], language: str) -> dict[str, Any]:
    """Share of numbers whose alarm is in time, and how soon alarms come."""
    count, hits, delays = 0, 0, list[float]()
    for number in numbers:
        count += 1
        until_s = number.begins_s + HOLDBACK_S + GIVE_UP_S
        found = [r for r in alarms(number.sounds, number.hear, voice, language, until_s) if _is_of(r, number.begins_s)]
        if found:
            delay_s = found[0].at_s - number.begins_s
            delays.append(delay_s)
            hits += delay_s <= HOLDBACK_S and found[0].alarm.since_s <= number.begins_s + REACHES_S
    return {
        "numbers": count,
        "hit_rate": round(hits / max(count, 1), 4),
        "delay_p50_s": _percentile(delays, 50),
        "delay_p95_s": _percentile(delays, 95),
    }


def _is_of(raised: Raised, begins_s: float) -> bool:
    """Whether an alarm is for the number, and not for a phrase before it."""
    return raised.alarm.reason is Reason.DIGITS and raised.at_s >= begins_s


def mistaken(conversations: Iterable[Marked], took_s: float) -> dict[str, Any]:
    """Alarms in whole calls where nothing of a card was said."""
    false, hours = 0, 0.0
    for one in conversations:
        sounds, hear = scripted(one.said, took_s)
        length_s = len(sounds[0]) / CLOCK_RATE
        hours += length_s / 3600
        cards = [one.said[n].word for n, kind in one.secret.items() if kind in OF_A_CARD]
        for raised in alarms(sounds, hear, LoudVoice, one.language, length_s):
            since_s = raised.alarm.since_s
            false += not any(w.start_s - NEAR_S <= since_s <= w.end_s + 1.0 for w in cards)
    return _rate(false, hours)


def scripted_numbers(count: int, language: str, took_s: float) -> Iterable[Number]:
    """Card numbers as people say them; those that are repeated or said in halves too."""
    left = count
    for one in spoken_secrets(20 * count, SEED):
        if left and one.language == language and one.kind is SecretKind.CARD:
            left -= 1
            yield Number(*scripted(one.said, took_s), one.said[one.digits[0]].word.start_s)


def human_numbers(shifts: Sequence[float]) -> Iterable[Number]:
    """Human digits after a human sentence, through G.711."""
    with tempfile.TemporaryDirectory(prefix="greffier-bench-") as folder:
        grammar = Path(folder) / "numbers.gram"
        grammar.write_text(GRAMMAR)
        hear = by_engine(SphinxEngine(grammar))
        before = _telephone(SPEECH / SENTENCE_FILE)
        for path in sorted(SPEECH.glob("fsdd-card-*.wav")):
            number = _telephone(path)
            loud = int(np.flatnonzero(np.abs(number) > 1000)[0])
            for shift_s in shifts:
                parts = [_silence(0.5 + shift_s), before, _silence(1.0), number]
                begins_s = (sum(map(len, parts[:3])) + loud) / CLOCK_RATE
                yield Number([np.concatenate(parts)], hear, begins_s)


def ordinary(seconds: float) -> dict[str, Any]:
    """Alarms in human English sentences without numbers."""
    sound = np.zeros(0, np.int16)
    for pcm in utterances():
        if len(sound) >= seconds * CLOCK_RATE:
            break
        sound = np.concatenate([sound, pcm, _silence(0.6)])
    sound = decode(encode(sound[: int(seconds * CLOCK_RATE)], Codec.PCMA), Codec.PCMA)
    found = list(alarms([sound], by_engine(SphinxEngine()), Silero, "en", len(sound) / CLOCK_RATE))
    return _rate(len(found), len(sound) / CLOCK_RATE / 3600)


def _rate(false: int, hours: float) -> dict[str, Any]:
    return {"hours": round(hours, 3), "false_alarms": false, "false_per_hour": round(false / max(hours, 1e-9), 1)}


def _telephone(path: Path) -> npt.NDArray[np.int16]:
    pcm = np.clip(soxr.resample(read(path), ENGINE_RATE, CLOCK_RATE) * 32768, -32768, 32767).astype(np.int16)
    return decode(encode(pcm, Codec.PCMA), Codec.PCMA)


def _silence(seconds: float) -> npt.NDArray[np.int16]:
    return np.zeros(int(seconds * CLOCK_RATE), np.int16)


def _percentile(values: Sequence[float], share: float) -> float | None:
    return round(float(np.percentile(values, share)), 2) if values else None


def scripts(language: str) -> list[Marked]:
    """All whole calls in this language."""
    return [one for path in sorted(CALLS.glob(f"calls_{language}*.txt")) for one in calls(path, language)]


def measure(count: int, shifts: Sequence[float], ordinary_s: float) -> dict[str, Any]:
    """All figures; those of human speech where the folder is there."""
    figures: dict[str, Any] = {}
    for language in ("fr", "en"):
        heard = heard_in_time(scripted_numbers(count, language, WINDOW_S), LoudVoice, language)
        figures[f"scripted_{language}"] = heard | mistaken(scripts(language), WINDOW_S)
    figures["loaded_fr"] = heard_in_time(scripted_numbers(count, "fr", LOADED_WINDOW_S), LoudVoice, "fr")
    if (SPEECH / SENTENCE_FILE).exists():
        figures["sphinx_digits"] = heard_in_time(human_numbers(shifts), Silero, "en")
        if ordinary_s:
            figures["sphinx_ordinary"] = ordinary(ordinary_s)
    return figures


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.guard", description=__doc__)
    parser.add_argument("--numbers", type=int, default=200, help="scripted numbers of each language")
    parser.add_argument("--shifts", type=int, choices=range(1, 4), default=3, help="beginnings of each human number")
    parser.add_argument("--ordinary-seconds", type=float, default=60.0, help="of human speech without numbers")
    parser.add_argument("--json", action="store_true", help="print one JSON object on one line")
    asked = parser.parse_args()
    figures = measure(asked.numbers, SHIFTS_S[: asked.shifts], asked.ordinary_seconds)
    print(json.dumps({"guard": figures}, indent=None if asked.json else 1))


if __name__ == "__main__":
    main()
