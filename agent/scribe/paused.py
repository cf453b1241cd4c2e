"""What derived audio has where a purpose was paused or masked: silence, a soft tone, or nothing at all (cut).

The tone is a pair of beeps every two seconds, one tone of 425 Hz (no key of a telephone sounds so, ITU-T Q.23) at
-30 dBFS, the same each time: whoever listens knows that something was left out on purpose, and not that a line was bad.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from agent.model.call import CLOCK_RATE
from agent.model.purpose import PausedSound
from agent.scribe.hearing import Spans

TONE_HZ = 425
PEAK = 1036
"""-30 dBFS."""
PERIOD_S = 2.0
BEEPS_S = ((0.0, 0.15), (0.3, 0.45))
EDGE_S = 0.01
"""Beeps swell and fade so long, so that they do not click."""


def dressed(pcm: npt.NDArray[np.int16], rate: int, paused: Spans, sound: PausedSound) -> npt.NDArray[np.int16]:
    """`pcm` (int16 [channels, samples] at `rate`) with `paused` (half-open, at CLOCK_RATE, in order) made so.

    The array given is never written to; what is not in `paused` is bit-exactly what it was.
    """
    if not paused or sound is PausedSound.SILENCE:
        return pcm
    scale = rate // CLOCK_RATE
    scaled = [(a * scale, min(b * scale, pcm.shape[1])) for a, b in paused if a * scale < pcm.shape[1]]
    if sound is PausedSound.TONE:
        pcm = pcm.copy()
        for start, end in scaled:
            pcm[:, start:end] = tone(end - start, rate)
        return pcm
    edges = [0, *(edge for span in scaled for edge in span), pcm.shape[1]]
    return np.concatenate([pcm[:, a:b] for a, b in zip(edges[::2], edges[1::2], strict=True)], axis=1)


def tone(samples: int, rate: int) -> npt.NDArray[np.int16]:
    """So many samples of the tone, from the beginning of its pattern."""
    period = np.zeros(int(PERIOD_S * rate))
    for start_s, end_s in BEEPS_S:
        at = np.arange(int((end_s - start_s) * rate)) / rate
        edge = np.clip(np.minimum(at, end_s - start_s - at) / EDGE_S, 0, 1)
        begin = int(start_s * rate)
        period[begin : begin + len(at)] = PEAK * edge * np.sin(2 * np.pi * TONE_HZ * at)
    return np.resize(np.rint(period).astype(np.int16), samples)


def shifted(at_s: float, cuts: Sequence[tuple[float, float]]) -> float:
    """Where a moment of the call (seconds) is in audio from which `cuts` were taken out."""
    return at_s - sum(min(at_s, end) - start for start, end in cuts if start < at_s)
