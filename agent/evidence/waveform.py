"""How loud each channel of a recording is over time: decoded piece by piece in memory, never whole, never to a disk."""

import io
from collections.abc import Sequence

import av
import numpy as np
import numpy.typing as npt
from av.error import FFmpegError

FULL = 32768.0


class NoSound(ValueError):
    """The bytes are no recording that can be decoded."""


def envelope(
    audio: bytes, duration_s: float, columns: int, cuts: Sequence[tuple[float, float]] = ()
) -> npt.NDArray[np.float32]:
    """Peaks (0..1) [channels, columns] of a file over the call's `duration_s`; what was cut out keeps its place, empty.

    Raises NoSound.
    """
    try:
        with av.open(io.BytesIO(audio), "r") as container:
            stream = container.streams.audio[0]
            rate = stream.rate
            resampler = av.AudioResampler("s16p", stream.layout, rate)
            found = np.zeros((stream.channels, columns), np.float32)
            at = 0
            for frame in container.decode(stream):
                for piece in resampler.resample(frame):
                    pcm = np.abs(piece.to_ndarray().astype(np.float32)) / FULL
                    seconds = _on_the_call((np.arange(pcm.shape[1]) + at) / rate, cuts)
                    where = np.minimum((seconds / max(duration_s, 1e-3) * columns).astype(np.int64), columns - 1)
                    for channel, samples in zip(found, pcm, strict=True):
                        np.maximum.at(channel, where, samples)
                    at += pcm.shape[1]
    except (FFmpegError, ValueError, IndexError) as error:
        raise NoSound(f"the recording cannot be decoded: {type(error).__name__}") from None
    return found


def _on_the_call(seconds: npt.NDArray[np.float64], cuts: Sequence[tuple[float, float]]) -> npt.NDArray[np.float64]:
    """Times in audio that is shorter by its cuts, as times of the call."""
    for start, end in sorted(cuts):
        seconds = np.where(seconds >= start, seconds + (end - start), seconds)
    return seconds
