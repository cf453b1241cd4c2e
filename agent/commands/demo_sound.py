"""A picture of recorded audio in characters: how loud each channel is, one sign a step."""

import io

import av
import numpy as np

SIGNS = "·▁▂▃▄▅▆▇█"


def loudness(audio: bytes, step_s: float) -> list[str]:
    """One line a channel of an audio file (any format that FFmpeg reads): `·` for digital silence, else RMS in dB."""
    with av.open(io.BytesIO(audio), "r") as container:
        rate = container.streams.audio[0].rate
        frames = [frame for packet in container.demux(audio=0) for frame in packet.decode()]
    resampler = av.AudioResampler("s16p", frames[0].layout.name, rate)
    planes = [part.to_ndarray() for frame in frames for part in resampler.resample(frame)]
    planes += [part.to_ndarray() for part in resampler.resample(None)]
    pcm = np.concatenate(planes, axis=1).astype(np.float64)
    step = int(rate * step_s)
    steps = -(-pcm.shape[1] // step)
    padded = np.pad(pcm, ((0, 0), (0, steps * step - pcm.shape[1]))).reshape(pcm.shape[0], steps, step)
    rms = np.sqrt((padded**2).mean(axis=2))
    level = np.clip(np.ceil((20 * np.log10(np.maximum(rms, 1e-3)) - 20) / 8), 1, len(SIGNS) - 1).astype(int)
    level[rms < 16] = 0
    return ["".join(SIGNS[n] for n in channel) for channel in level]
