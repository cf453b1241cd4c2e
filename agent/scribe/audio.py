"""Encoding a call's channels into a file in memory: FLAC (RFC 9639), WAV, or Ogg Opus (RFC 7845), a channel a party.

Nothing here touches a disk: the clear bytes exist in this process only, until they are encrypted.
"""

import io
from typing import cast

import av
import numpy as np
import numpy.typing as npt

from agent.model.purpose import AudioFormat

_LAYOUTS = ("mono", "stereo", "3.0", "4.0", "5.0", "5.1", "6.1", "7.1")
_CODECS = {
    AudioFormat.FLAC: ("flac", "flac", "audio/flac", 8),
    AudioFormat.WAV: ("wav", "pcm_s16le", "audio/wav", 8),
    AudioFormat.OPUS: ("ogg", "libopus", "audio/ogg; codecs=opus", 6),
}
"""Container, encoder, media type, and most channels in one file."""
_OPUS_BITS_PER_SAMPLE = 3
"""A channel of narrowband speech gets 24 kbit/s, of wideband 48: transparent for either."""
_OPUS_COMPLEXITY = "1"
"""Of 0 to 10. At these rates speech comes out within half a decibel of what 10 makes of it, for 0.4 of its CPU."""
_STEP = 1 << 16


def media_type(audio_format: AudioFormat) -> str:
    """The media type of files that `encode` writes."""
    return _CODECS[audio_format][2]


def encode(pcm: npt.NDArray[np.int16], rate: int, audio_format: AudioFormat) -> bytes:
    """The file's bytes. `pcm` is int16 [channels, samples] at `rate` (8000 or 16000 a second), at least one of each.

    FLAC and WAV give the samples back bit-exactly. Channels beyond what the format carries are mixed into its last.
    """
    container_name, codec, _, most = _CODECS[audio_format]
    pcm = _fold(pcm, most)
    layout = _LAYOUTS[len(pcm) - 1]
    memory = io.BytesIO()
    with av.open(memory, "w", format=container_name) as container:
        options = _options(audio_format, len(pcm))
        stream = cast("av.AudioStream", container.add_stream(codec, rate=rate, layout=layout, options=options))
        if audio_format is AudioFormat.OPUS:
            stream.bit_rate = _OPUS_BITS_PER_SAMPLE * rate * len(pcm)
        for at in range(0, pcm.shape[1], _STEP):
            interleaved = np.ascontiguousarray(pcm[:, at : at + _STEP].T).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(interleaved, format="s16", layout=layout)
            frame.sample_rate = rate
            frame.pts = at
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return memory.getvalue()


def _options(audio_format: AudioFormat, channels: int) -> dict[str, str]:
    if audio_format is not AudioFormat.OPUS:
        return {}
    options = {"application": "voip", "compression_level": _OPUS_COMPLEXITY}
    # More than two parties are no surround sound: keep them uncoupled (RFC 7845 §5.1.1.3).
    return options | ({"mapping_family": "255"} if channels > 2 else {})


def channels_of(lines: int, audio_format: AudioFormat) -> int:
    """How many channels a file of so many lines has."""
    return min(lines, _CODECS[audio_format][3])


def _fold(pcm: npt.NDArray[np.int16], most: int) -> npt.NDArray[np.int16]:
    if len(pcm) <= most:
        return pcm
    mixed = np.clip(pcm[most - 1 :].sum(axis=0, dtype=np.int32), -32768, 32767).astype(np.int16)
    return np.concatenate([pcm[: most - 1], mixed[None]])
