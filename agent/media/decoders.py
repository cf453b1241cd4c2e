"""RTP payloads to samples, for every codec that PyAV (FFmpeg, libopus, OpenCORE) or a table decodes.

Each packet gives exactly as many samples as it lasts, whatever is in it: what cannot be decoded is silence and counted,
so that nothing after it ever moves. Lost packets and silence descriptors (SID) are not concealed: they are silence.
"""

from collections.abc import Iterator
from typing import cast

import av
import numpy as np
import numpy.typing as npt

from agent.media import g711
from agent.media.codecs import AMR_BITS, AMR_WB_BITS, MOST_AMR_FRAMES, amr_packing
from agent.model.call import CLOCK_RATE, Codec, MediaFormat

Pcm = npt.NDArray[np.int16]

_FFMPEG = {
    Codec.G722: ("g722", 16000),
    Codec.OPUS: ("libopus", 48000),
    Codec.G729: ("g729", 8000),
    Codec.GSM: ("gsm", 8000),
    Codec.ILBC: ("ilbc", 8000),
    Codec.AMR: ("libopencore_amrnb", 8000),
    Codec.AMR_WB: ("libopencore_amrwb", 16000),
}
"""Decoder and the samples per second it gives."""
_DELAY = {Codec.OPUS: 312, Codec.G722: 22}
"""Samples by which sound comes out later than it went in: 6.5 ms look-ahead of Opus (RFC 7845 §5.1 and libopus), and
the two filter banks of G.722 (ITU-T G.722 §1.4). Taken back, so that the first samples after a pause are not what was
said before its end. The frame codecs look ahead in the encoder alone and give each frame its own samples."""
_SLOWEST, _FASTEST = 8000, 96000
_ILBC_BITS = {38: 15200, 50: 13333}


def rate_of(what: MediaFormat) -> int:
    """Samples per second that a decoder of this format gives; those of the clock when nothing can decode it."""
    if what.codec is Codec.L16 and _SLOWEST <= what.clock_rate <= _FASTEST:
        return what.clock_rate
    return _FFMPEG[what.codec][1] if what.codec in _FFMPEG else CLOCK_RATE


def is_decodable(what: MediaFormat) -> bool:
    """Whether anything here can make sound of it."""
    if what.codec is Codec.L16:
        return rate_of(what) == what.clock_rate
    if what.codec in (Codec.AMR, Codec.AMR_WB):
        return amr_packing(what).readable
    return what.codec in _FFMPEG or what.codec in g711.SILENCE


def is_wideband(what: MediaFormat) -> bool:
    """Whether there is sound above 4 kHz in it."""
    return rate_of(what) > CLOCK_RATE


class Decoder:
    """Decodes the packets of one format, in order; its state goes from packet to packet, over gaps too.

    `rate`: samples per second given; `delay`: how many samples later sound comes out; `failed`: packets with
    something that could not be decoded.
    """

    def __init__(self, what: MediaFormat) -> None:
        self._what = what
        self.rate = rate_of(what)
        self.delay = _DELAY.get(what.codec, 0)
        self.failed = 0
        self._context: av.AudioCodecContext | None = None
        self._ilbc_bytes = 0

    def decode(self, payload: npt.NDArray[np.uint8], samples: int) -> Pcm:
        """`samples` samples (int16, mono) of a payload (uint8); silence where there is nothing to hear. Never raises
        on content."""
        if self._what.codec in g711.SILENCE:
            return _fit([g711.decode(payload, self._what.codec)], samples)
        try:
            return _fit(self._parts(payload), samples)
        except (av.FFmpegError, ValueError, IndexError):
            self.failed += 1
            return np.zeros(samples, np.int16)

    def _parts(self, payload: npt.NDArray[np.uint8]) -> Iterator[Pcm]:
        codec, data = self._what.codec, payload.tobytes()
        if codec is Codec.L16 and self.rate == self._what.clock_rate:
            frames = np.frombuffer(data, ">i2").reshape(-1, max(self._what.channels, 1))
            yield frames.mean(axis=1).round().astype(np.int16) if frames.shape[1] > 1 else frames[:, 0].astype(np.int16)
        elif codec is Codec.G729:
            yield from self._ffmpeg(data[: len(data) // 10 * 10])  # a SID may follow, which is silence
        elif codec is Codec.ILBC:
            size = 38 if len(data) % 38 == 0 else 50
            if size != self._ilbc_bytes:
                self._context, self._ilbc_bytes = None, size
            for at in range(0, len(data), size):
                yield from self._ffmpeg(data[at : at + size])
        elif codec in (Codec.AMR, Codec.AMR_WB):
            for frame in amr_frames(self._what, payload):
                yield from self._ffmpeg(frame)
        elif codec in _FFMPEG:
            yield from self._ffmpeg(data)
        else:
            raise ValueError("nothing here decodes it")

    def _ffmpeg(self, data: bytes) -> Iterator[Pcm]:
        if not data:
            return
        if self._context is None:
            self._context = self._open()
        for frame in self._context.decode(av.Packet(data)):
            pcm = frame.to_ndarray()[0]
            yield pcm if pcm.dtype == np.int16 else (pcm * 32767).astype(np.int16)

    def _open(self) -> av.AudioCodecContext:
        name, rate = _FFMPEG[self._what.codec]
        context = cast("av.AudioCodecContext", av.CodecContext.create(name, "r"))
        context.sample_rate, context.layout = rate, "mono"  # libopus mixes two channels into one
        if self._ilbc_bytes:
            context.bit_rate = _ILBC_BITS[self._ilbc_bytes]
        return context


def amr_frames(what: MediaFormat, payload: npt.NDArray[np.uint8]) -> Iterator[bytes]:
    """The frames of an AMR or AMR-WB payload in storage format: a byte of type and quality, then whole octets of
    speech bits (RFC 4867 §5.3). Raises ValueError, IndexError when it is none."""
    packing, speech = amr_packing(what), AMR_WB_BITS if what.codec is Codec.AMR_WB else AMR_BITS
    if not packing.readable:
        raise ValueError("an AMR packing that is not supported")
    bits, wide = np.unpackbits(payload), 8 if packing.octet_aligned else 6
    at, more = 8 if packing.octet_aligned else 4, True
    entries: list[tuple[int, int]] = []
    while more:
        more = bool(bits[at]) and len(entries) < MOST_AMR_FRAMES
        entries.append((int(np.packbits(bits[at + 1 : at + 5])[0]) >> 4, int(bits[at + 5])))
        at += wide
    for kind, quality in entries:
        length = speech[kind]
        if length < 0 or at + length > len(bits):
            raise ValueError("an AMR frame that is not whole")
        yield bytes([kind << 3 | quality << 2]) + np.packbits(bits[at : at + length]).tobytes()
        at += (length + 7 & -8) if packing.octet_aligned else length


def _fit(parts: list[Pcm] | Iterator[Pcm], samples: int) -> Pcm:
    """The parts one after the other, cut or filled with silence to the length."""
    fitted, at = np.zeros(samples, np.int16), 0
    for part in parts:
        taken = part[: samples - at]
        fitted[at : at + len(taken)] = taken
        at += len(taken)
    return fitted
