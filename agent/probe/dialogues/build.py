"""Speaks the dialogues: `python -m agent.probe.dialogues.build` writes LANGUAGE.flac and .json from LANGUAGE.toml.

Needs espeak-ng. Only run when a text changed; what it writes is kept in the repository.
"""

import io
import json
import subprocess
import sys
import tomllib
import wave
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import soxr

from agent.model.call import CLOCK_RATE
from agent.probe.messages import SPEAKERS

FIRST_S = 0.5
BETWEEN_S = 0.9
LAST_S = 0.5
PEAK = 12000.0
_AUDIBLE = 100

Samples = npt.NDArray[np.float64]


def speak(text: str, voice: dict[str, Any]) -> Samples:
    """A sentence at 8 kHz, silence around it cut off, in the range of int16."""
    command = ["espeak-ng", "-v", voice["voice"], "-s", str(voice["speed"]), "-p", str(voice["pitch"]), "--stdout"]
    spoken = subprocess.run([*command, text], capture_output=True, check=True).stdout
    with wave.open(io.BytesIO(spoken)) as sound:
        rate = sound.getframerate()
        pcm = np.frombuffer(sound.readframes(1 << 30), dtype="<i2").astype(np.float64)
    narrow: Samples = soxr.resample(pcm, rate, CLOCK_RATE, quality="VHQ")
    narrow *= PEAK / np.abs(narrow).max()
    loud = np.flatnonzero(np.abs(narrow) > _AUDIBLE)
    return narrow[loud[0] : loud[-1] + 1]


def build(script: Path) -> None:
    """Write the two files beside a script."""
    text = tomllib.loads(script.read_text(encoding="utf-8"))
    at = round(FIRST_S * CLOCK_RATE)
    placed: list[tuple[int, int, Samples]] = []
    about: dict[str, Any] = {"name": text["name"], "turns": [], "marks": {}, "cue": 0.0}
    for turn in text["turn"]:
        said = speak(turn["text"], text[turn["speaker"]])
        start_s, end_s = round(at / CLOCK_RATE, 3), round((at + len(said)) / CLOCK_RATE, 3)
        placed.append((SPEAKERS.index(turn["speaker"]), at, said))
        about["turns"].append({"speaker": turn["speaker"], "text": turn["text"], "start_s": start_s, "end_s": end_s})
        if "mark" in turn:
            about["marks"][turn["mark"]] = [start_s, end_s]
        if turn.get("cue"):
            about["cue"] = end_s
        at += len(said) + round(BETWEEN_S * CLOCK_RATE)
    pcm = np.zeros((2, at + round((LAST_S - BETWEEN_S) * CLOCK_RATE)), dtype=np.int16)
    for channel, start, said in placed:
        pcm[channel, start : start + len(said)] = said.round()
    _write(script.with_suffix(".flac"), pcm)
    script.with_suffix(".json").write_text(json.dumps(about, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _write(path: Path, pcm: npt.NDArray[np.int16]) -> None:
    with av.open(str(path), "w", format="flac") as container:
        stream = container.add_stream("flac", rate=CLOCK_RATE, layout="stereo", options={"compression_level": "12"})
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(pcm.T).reshape(1, -1), format="s16", layout="stereo")
        frame.sample_rate = CLOCK_RATE
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)


if __name__ == "__main__":
    for source in sorted(Path(__file__).parent.glob("*.toml")):
        build(source)
        size = source.with_suffix(".flac").stat().st_size
        sys.stdout.write(f"{source.stem}: {size // 1024} KiB\n")
