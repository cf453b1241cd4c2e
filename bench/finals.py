"""What the final text of a call costs, by a model of random weights that is kept to what real ones do.

Random weights never say that they are at the end, and their words lie anywhere. So a window's tokens are bounded by the
sound that is in it (as many as people speak), and its last word ends where the window does: the next one begins there,
as it does, within a second or so, where a real model heard the last word. What this costs is what is left to measure:
voice detection, encoding, beam search, alignment. `windows` is how many there were, `fewest` how many 30 s hold.
"""

import math
import os
from typing import Any

import numpy as np
import numpy.typing as npt

from agent.model.call import CLOCK_RATE
from agent.scribe.hearing import transcribe
from agent.transcribe import whisper
from bench.cpu import cpu_s
from bench.talk import conversation

WINDOW_S = 30.0
FRAMES_PER_S = 100
SPARE_TOKENS = 8
LEAST_S = 120.0
"""Of conversation; what begins and ends a channel weighs too much in less."""


def final(engine: whisper.WhisperEngine, spoken: Any, seconds: float, tokens_per_s: float) -> dict[str, float]:
    """CPU seconds for the final text of an hour of a call of two channels, and the windows of what was measured."""
    seconds = max(seconds, LEAST_S)
    talks = conversation(spoken, seconds, 99)
    pair = np.stack([talk.pcm for talk in talks])
    windows = _bound(engine._model, tokens_per_s)
    before = cpu_s(os.getpid())
    transcribe(engine, pair, CLOCK_RATE, ((0, pair.shape[1]),), "fr")
    used_s = cpu_s(os.getpid()) - before
    fewest = sum(math.ceil(_speech_s(talk.pcm) / WINDOW_S) for talk in talks)
    return {
        "cpu_s_per_hour": round(used_s / seconds * 3600, 1),
        "seconds": seconds,
        "windows": len(windows),
        "fewest": fewest,
    }


def _speech_s(pcm: npt.NDArray[np.int16]) -> float:
    return float(np.count_nonzero(pcm)) / CLOCK_RATE


def _bound(model: Any, tokens_per_s: float) -> list[float]:
    """Make a model stop where a real one would. Returns where the seconds of each window are noted."""
    encode, align, windows = model.encode, model.find_alignment, list[float]()

    def encode_and_bound(features: Any) -> Any:
        filled_s = np.count_nonzero(np.any(features, axis=0)) / FRAMES_PER_S
        windows.append(filled_s)
        model.max_length = 2 * (int(filled_s * tokens_per_s) + SPARE_TOKENS)  # CTranslate2 takes half of it
        return encode(features)

    def align_to_the_end(tokenizer: Any, tokens: Any, encoded: Any, frames: Any, *more: Any) -> Any:
        found = align(tokenizer, tokens, encoded, frames, *more)
        for words, length in zip(found, frames if isinstance(frames, list) else [frames] * len(found), strict=True):
            if words:
                words[-1]["end"] = length / FRAMES_PER_S
        return found

    model.encode, model.find_alignment = encode_and_bound, align_to_the_end
    return windows
