"""Packets as real encoders make them."""

import av
import numpy as np

BITS = {"libopus": 24_000, "libopencore_amrnb": 12_200}


def encoded(name: str, rate: int, pcm: np.ndarray, **options: str) -> list[bytes]:
    """The packets that an encoder of FFmpeg makes of int16 [channels, samples]."""
    layout = "stereo" if len(pcm) == 2 else "mono"
    context = av.CodecContext.create(name, "w")
    context.sample_rate, context.layout, context.format, context.options = rate, layout, "s16", options
    context.bit_rate = BITS.get(name, 64_000)
    fifo, made = av.AudioFifo(), []
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(pcm.T).reshape(1, -1), format="s16", layout=layout)
    frame.sample_rate, frame.pts = rate, 0
    fifo.write(frame)
    context.open()
    while (part := fifo.read(context.frame_size or rate // 50, partial=False)) is not None:
        made += [bytes(p) for p in context.encode(part)]
    return made
