"""`python -m bench.transcribe --json`: how many live calls a box transcribes, and what silence and final texts cost.

Models have the shapes of tiny and base and random weights; a window costs what it would cost with real ones, as long as
as many tokens are written: at most 4 for each second that is not decided yet (as people speak), and 8 more. The work is
done, then the words are replaced by ones that were laid out over the real speech; of them the last of a window is wrong
in 30 % of cases, any other in 6 % (assumed, not measured: there are no real weights here). Calls are played in real
time, two channels each. `calls_at_p95_3s`: the most calls of which 95 % of words are stable within 3 s of being said,
with guesses for all of them. `padded`: in the same run, the same windows by faster-whisper's own `transcribe`, which
pads them to 30 s and decides nothing beforehand. `final` comes from `bench.finals`, `redaction` from `bench.redaction`.
docs/transcription.md says how to read it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from agent.model.call import CLOCK_RATE, Role
from agent.model.text import Word
from agent.transcribe import whisper
from agent.transcribe.device import Device, pick
from agent.transcribe.engine import ENGINE_RATE, Heard, Spoken
from agent.transcribe.live.events import LiveEvent, LiveText
from agent.transcribe.live.room import LiveRoom
from agent.transcribe.live.schedule import Job
from agent.transcribe.models import add
from bench import redaction
from bench.cpu import cpu_s, rss_kib
from bench.finals import final
from bench.random_whisper import SHAPES, build
from bench.talk import Talk, conversation, utterances

CALLS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32, 48, 64, 96, 128)
GOOD_P95_S = 3.0
TOKENS_PER_S = 4.0
WRONG_LAST, WRONG_OTHER = 0.30, 0.06
PACKET_S = 0.1
WARM_UP_S, TAIL_S = 6.0, 6.0
"""Of a step, what is left out of its lags: where queues fill, and what the end cuts off."""
SILENT_CALLS = 8
NOISE_DBFS = -60.0


class ScriptedRoom(LiveRoom):
    """Does the work of each window and then says what the talk says; `padded` does it faster-whisper's way."""

    talks: dict[tuple[str, int], Talk]
    padded = False

    def _transcribed(self, engine: Any, job: Job) -> tuple[Heard | None, Spoken | None]:
        window = job.window
        if self.padded:
            found, _ = engine._model.transcribe(
                window.pcm16k, language="fr", beam_size=1, temperature=0.0, word_timestamps=True,
                condition_on_previous_text=False,
            )  # fmt: skip
            list(found)
        else:
            engine.transcribe_window(window.pcm16k, "fr", window.prefix)
        after_s = window.start / ENGINE_RATE + (window.prefix[-1].end_s if window.prefix else -1.0)
        return Heard(tuple(self._misheard(job, after_s))), None

    def _misheard(self, job: Job, after_s: float) -> Iterator[Word]:
        start_s, end_s = job.window.start / ENGINE_RATE, job.window.end / ENGINE_RATE
        said = [w for w in self.talks[job.call, job.channel].words if w.start_s >= start_s and w.end_s <= end_s]
        said = [w for w in said if (w.start_s + w.end_s) / 2 > after_s]
        rng = np.random.default_rng(job.window.end)
        for n, word in enumerate(said):
            wrong = rng.random() < (WRONG_LAST if n == len(said) - 1 else WRONG_OTHER)
            text = f"w{int(rng.integers(50_000))}" if wrong else word.text
            yield Word(text, word.start_s - start_s, word.end_s - start_s, 1.0)


def engine_of(size: str, folder: Path, device: Device) -> whisper.WhisperEngine:
    """A model of that shape. Final texts are decoded once."""
    engine = whisper.WhisperEngine(add(build(folder / size, SHAPES[size]), folder / "models"), device, TOKENS_PER_S)
    engine._model.max_length = 2 * int(30 * TOKENS_PER_S)  # CTranslate2 takes half of it
    whisper.TEMPERATURES = (0.0,)
    return engine


@contextmanager
def room_of(engine: whisper.WhisperEngine, talks: dict[tuple[str, int], Talk], padded: bool) -> Iterator[Any]:
    """A room, and what it told with the time it did."""
    told: list[tuple[float, LiveEvent]] = []
    room = ScriptedRoom(lambda: engine, lambda event: told.append((time.monotonic(), event)))
    room.talks, room.padded = talks, padded
    if padded:
        room._schedule._ladder.level = 1  # a step of 1 s as others have it, and no ladder
        room._schedule._ladder.observe = lambda *_: None  # type: ignore[method-assign]
    room.start()
    while not room.state.ready:
        time.sleep(0.05)
    try:
        yield room, told
    finally:
        room.stop()


def live(
    engine: whisper.WhisperEngine, spoken: Any, calls: int, seconds: float, padded: bool = False
) -> dict[str, Any]:
    """So many calls in real time; lags are of words said after the first seconds."""
    pairs = {f"call{n:03}": conversation(spoken, seconds, n) for n in range(calls)}
    talks = {(call, channel): talk for call, pair in pairs.items() for channel, talk in enumerate(pair)}
    with room_of(engine, talks, padded) as (room, told):
        origin, used = play(room, talks, seconds)
        state = room.state
    since_s, until_s = min(WARM_UP_S, seconds / 4), seconds - min(TAIL_S, seconds / 4)
    stable = [(at, w) for at, e in told if isinstance(e, LiveText) and e.stable for w in e.words]
    lags = [at - origin - w.end_s for at, w in stable if since_s <= w.start_s <= until_s]
    said = sum(since_s <= w.start_s <= until_s for talk in talks.values() for w in talk.words)
    return {
        "calls": calls,
        "lag_p50_s": round(float(np.percentile(lags, 50)), 2) if lags else None,
        "lag_p95_s": round(float(np.percentile(lags, 95)), 2) if lags else None,
        "words_told": round(len(lags) / max(said, 1), 2),
        "cpu_cores": round(used / seconds, 2),
        "rung": state.live.rung,
        "off": len(state.live.off),
        "windows": state.live.windows,
        "rss_mb": rss_kib(os.getpid()) // 1024,
    }


def play(room: LiveRoom, talks: dict[tuple[str, int], Talk], seconds: float) -> tuple[float, float]:
    """All channels in packets of 100 ms, in real time. Returns when it began, and CPU seconds it took all in all."""
    size = int(PACKET_S * CLOCK_RATE)
    origin, before = time.monotonic(), cpu_s(os.getpid())
    for n in range(int(seconds / PACKET_S)):
        time.sleep(max(0.0, origin + (n + 1) * PACKET_S - time.monotonic()))
        for (call, channel), talk in talks.items():
            piece = talk.pcm[n * size : (n + 1) * size]
            room.hear(call, channel, Role.AGENT if channel else Role.CUSTOMER, n * size, piece)
    return origin, cpu_s(os.getpid()) - before


def sustained(measure: Callable[[int], dict[str, Any]], most: int) -> dict[str, Any]:
    """More and more calls, until their words are late."""
    steps, best = [], 0
    for calls in (c for c in CALLS if c <= most):
        step = measure(calls)
        steps.append(step)
        late = step["lag_p95_s"] is None or step["lag_p95_s"] > GOOD_P95_S
        if late or step["off"] or step["rung"] == "turns_only":
            break
        best = calls
    return {"calls_at_p95_3s": best, "steps": steps}


def quiet(engine: whisper.WhisperEngine, seconds: float, dbfs: float | None) -> float:
    """Cores used by calls in which nobody speaks: digital silence, or noise of a line so loud."""
    length = int(seconds * CLOCK_RATE)
    noise = np.random.default_rng(0).normal(0, 32768 * 10 ** (dbfs / 20), length) if dbfs else np.zeros(length)
    talk = Talk(noise.astype(np.int16), ())
    talks = {(f"call{n}", channel): talk for n in range(SILENT_CALLS) for channel in (0, 1)}
    with room_of(engine, talks, False) as (room, _):
        _, used = play(room, talks, seconds)
    return round(used / seconds, 3)


def one(size: str, asked: argparse.Namespace) -> dict[str, Any]:
    """All figures of one model, in a process of its own so that its memory is its own."""
    spoken = utterances()
    with tempfile.TemporaryDirectory(prefix="greffier-bench-") as name:
        device = pick("auto", None)
        engine = engine_of(size, Path(name), device)
        live(engine, spoken, 1, min(asked.seconds, 4.0))  # first windows are slower
        figures: dict[str, Any] = {"device": f"{device.name} {device.compute}, {device.workers} at once"}
        figures["silence_cpu"] = quiet(engine, min(asked.seconds, 20.0), None)
        figures["line_noise_cpu"] = quiet(engine, min(asked.seconds, 20.0), NOISE_DBFS)
        figures["live"] = sustained(lambda calls: live(engine, spoken, calls, asked.seconds), asked.most_calls)
        figures["rss_mb"] = max(step["rss_mb"] for step in figures["live"]["steps"] if step["calls"] <= SILENT_CALLS)
        figures["padded"] = sustained(lambda calls: live(engine, spoken, calls, asked.seconds, True), asked.most_calls)
        figures["final"] = final(engine, spoken, asked.seconds, TOKENS_PER_S)
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.transcribe", description=__doc__)
    parser.add_argument("--seconds", type=float, default=45.0, help="of each step (default 45)")
    parser.add_argument("--most-calls", type=int, default=CALLS[-1], help="where to stop at the latest")
    parser.add_argument("--sizes", nargs="+", choices=list(SHAPES), default=list(SHAPES), help="shapes of models")
    parser.add_argument("--utterances", type=int, default=5000, help="for redaction (bench.redaction)")
    parser.add_argument("--one", choices=list(SHAPES), help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="print one JSON object on one line")
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(one(asked.one, asked)))
        return
    each = {size: _child(size, asked) for size in asked.sizes}
    names = ("live", "padded", "final", "silence_cpu", "line_noise_cpu", "rss_mb", "device")
    sums: dict[str, Any] = {name: {size: figures[name] for size, figures in each.items()} for name in names}
    sums["redaction"] = redaction.measure(asked.utterances)
    print(json.dumps(sums, indent=None if asked.json else 2))


def _child(size: str, asked: argparse.Namespace) -> dict[str, Any]:
    options = ["--one", size, "--seconds", str(asked.seconds), "--most-calls", str(asked.most_calls)]
    done = subprocess.run(
        [sys.executable, "-m", "bench.transcribe", *options], check=True, stdout=subprocess.PIPE, text=True
    )
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])  # before it are lines of the log
    return figures


if __name__ == "__main__":
    main()
