"""G.711 against FFmpeg, an independent hand."""

import av
import numpy as np
import pytest

from agent.media.g711 import SILENCE, decode, encode
from agent.model.call import Codec

FFMPEG = {Codec.PCMA: "pcm_alaw", Codec.PCMU: "pcm_mulaw"}
EVERY_CODE = np.arange(256, dtype=np.uint8)


@pytest.mark.parametrize("codec", list(SILENCE))
def test_every_code_sounds_as_ffmpeg_says(codec: Codec) -> None:
    context = av.CodecContext.create(FFMPEG[codec], "r")
    context.sample_rate, context.layout = 8000, "mono"
    frames = [*context.decode(av.Packet(EVERY_CODE.tobytes())), *context.decode(None)]
    theirs = np.concatenate([f.to_ndarray()[0] for f in frames])
    assert decode(EVERY_CODE, codec).tolist() == theirs.tolist()


@pytest.mark.parametrize("codec", list(SILENCE))
def test_encoding_picks_the_nearest_code(codec: Codec) -> None:
    pcm = np.arange(-32768, 32768, dtype=np.int64)
    back = decode(encode(pcm.astype(np.int16), codec), codec).astype(np.int64)
    levels = np.sort(decode(EVERY_CODE, codec).astype(np.int64))
    nearest = np.abs(levels[None, :] - pcm[::97, None]).min(axis=1)
    assert np.array_equal(np.abs(back[::97] - pcm[::97]), nearest)


def test_silence_sounds_as_nothing() -> None:
    for codec, code in SILENCE.items():
        assert abs(int(decode(np.array([code], np.uint8), codec)[0])) <= 8
    assert encode(np.zeros(1, np.int16), Codec.PCMU).tolist() == [0xFF]
    assert encode(np.zeros(1, np.int16), Codec.PCMA).tolist() == [0xD5]
