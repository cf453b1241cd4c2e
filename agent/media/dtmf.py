"""Keys heard as tones in the sound itself (DTMF, ITU-T Q.23), where a phone does not tell of them by RFC 4733.

Frames of 26 ms, half overlapping, are held against the eight tones at once (Goertzel's sums as one matrix product). A
key is two tones, one of each group, that hold nearly all there is in two frames or more: tones of 40 ms (Q.24) are long
enough, and a voice hardly ever is so pure.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

LOW, HIGH = (697.0, 770.0, 852.0, 941.0), (1209.0, 1336.0, 1477.0, 1633.0)
KEYS = ("123A", "456B", "789C", "*0#D")
FRAME_S, HOP_S = 205 / 8000, 102 / 8000
LEAST_SHARE = 0.8
"""Of the power of a frame that its two tones must have."""
LEAST_RMS = 100.0
"""About -42 dBm0, of 32768."""
MOST_TWIST = 10 ** (8 / 10)
"""Power of one tone over the other: 8 dB, either way."""
AT_ONCE = 20_000
"""Frames worked on at once: a few minutes."""


@dataclass(frozen=True, slots=True)
class Tone:
    """One key, from `start` on, in samples of the sound it was found in."""

    key: str
    start: int


def find(pcm: npt.NDArray[np.int16], rate: int) -> list[Tone]:
    """The keys in `pcm` (int16, `rate` samples per second), in order."""
    frame, hop = round(FRAME_S * rate), round(HOP_S * rate)
    if len(pcm) < frame:
        return []
    frames = np.lib.stride_tricks.sliding_window_view(pcm, frame)[::hop]
    heard = np.concatenate([_keys_of(frames[at : at + AT_ONCE], rate) for at in range(0, len(frames), AT_ONCE)])
    edges = np.flatnonzero(np.diff(heard, prepend=-1, append=-1))
    runs = zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    return [Tone(KEYS[heard[a] // 4][heard[a] % 4], a * hop) for a, b in runs if heard[a] >= 0 and b - a >= 2]


def _keys_of(frames: npt.NDArray[np.int16], rate: int) -> npt.NDArray[np.int64]:
    """For each frame the number of its key (row and column of KEYS), -1 when it is none."""
    size = frames.shape[1]
    sound = frames.astype(np.float32)
    angle = np.outer(np.arange(size), 2 * np.pi * np.array(LOW + HIGH) / rate)
    power = (sound @ np.cos(angle).astype(np.float32)) ** 2 + (sound @ np.sin(angle).astype(np.float32)) ** 2
    power *= 2 / size**2  # of a pure tone, its mean square
    low, high = power[:, :4].argmax(axis=1), power[:, 4:].argmax(axis=1)
    rows = np.arange(len(frames))
    one, other = power[rows, low], power[rows, 4 + high]
    mean_square = (sound**2).mean(axis=1)
    good = (mean_square >= LEAST_RMS**2) & (one + other >= LEAST_SHARE * mean_square)
    good &= (one <= MOST_TWIST * other) & (other <= MOST_TWIST * one)
    return np.where(good, low * 4 + high, -1)
