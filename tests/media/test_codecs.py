"""The lengths of payloads: by column against one packet at a time, and against what real encoders made."""

import numpy as np
import pytest
from encoders import encoded
from hypothesis import example, given
from hypothesis import strategies as st

from agent.media.codecs import durations
from agent.model.call import Codec, MediaFormat

OCTETS = "octet-align=1"
FORMATS = [
    *(MediaFormat(96, codec) for codec in Codec),
    MediaFormat(96, Codec.AMR, fmtp=OCTETS),
    MediaFormat(96, Codec.AMR_WB, 16000, fmtp="mode-set=0,2; OCTET-ALIGN=1"),
    MediaFormat(96, Codec.AMR, fmtp="octet-align=1;crc=1"),
    MediaFormat(96, Codec.L16, 44100, 2),
    MediaFormat(96, Codec.L16, 0, 0),
]
SPEECH = {
    Codec.AMR: {0: 95, 1: 103, 2: 118, 3: 134, 4: 148, 5: 159, 6: 204, 7: 244, 8: 39, 15: 0},
    Codec.AMR_WB: {0: 132, 1: 177, 2: 253, 3: 285, 4: 317, 5: 365, 6: 397, 7: 461, 8: 477, 9: 40, 14: 0, 15: 0},
}


def measured(what: MediaFormat, payloads: list[bytes]) -> list[int]:
    memory = np.frombuffer(b"".join(payloads), np.uint8)
    size = np.array([len(p) for p in payloads], np.int64)
    return durations(what, memory, np.cumsum(size) - size, size).tolist()


def opus_ms(payload: bytes) -> float:
    """RFC 6716 §3.1 and §3.2, as its text says it."""
    config, code = payload[0] >> 3, payload[0] & 3
    if config < 12:
        frame = (10, 20, 40, 60)[config % 4]
    elif config < 16:
        frame = (10, 20)[config % 2]
    else:
        frame = (2.5, 5, 10, 20)[config % 4]
    if (code == 1 and len(payload) % 2 == 0) or (code > 1 and len(payload) < 2):
        return 0
    total = frame * (1, 2, 2, payload[1] & 63 if code == 3 else 0)[code]
    return total if total <= 120 else 0


def amr_frames(codec: Codec, fmtp: str, payload: bytes) -> int:
    """RFC 4867 §4.3 and §4.4, bit by bit."""
    if "crc" in fmtp:
        return 0
    octets = "octet-align" in fmtp.lower()
    bits = "".join(f"{byte:08b}" for byte in payload)
    at, speech, frames, more = (8 if octets else 4), 0, 0, True
    while more:
        if at + 6 > len(bits) or frames == 12:
            return 0
        more, kind = bits[at] == "1", int(bits[at + 1 : at + 5], 2)
        if kind not in SPEECH[codec]:
            return 0
        at += 8 if octets else 6
        speech += -(-SPEECH[codec][kind] // 8) * 8 if octets else SPEECH[codec][kind]
        frames += 1
    return frames if at + speech <= len(bits) else 0


def naive(what: MediaFormat, payload: bytes) -> int:
    """One packet, the long way round."""
    length, codec = len(payload), what.codec
    if length == 0:
        return 0
    if codec in (Codec.PCMA, Codec.PCMU, Codec.G722):
        return length
    if codec is Codec.G729:
        return {0: length // 10 * 80, 2: (length // 10 + 1) * 80}.get(length % 10, 0)
    if codec is Codec.GSM:
        return 0 if length % 33 else length // 33 * 160
    if codec is Codec.ILBC:
        return length // 38 * 160 if length % 38 == 0 else length // 50 * 240 if length % 50 == 0 else 0
    if codec is Codec.L16:
        frame = 2 * (what.channels or 1)
        return 0 if length % frame else int(length // frame * 8000 / (what.clock_rate or 1))
    if codec is Codec.OPUS:
        return int(opus_ms(payload) * 8)
    if codec in SPEECH:
        return amr_frames(codec, what.fmtp, payload) * 160
    return 160 if codec is Codec.OTHER else 0


payload = st.one_of(
    st.binary(max_size=80),
    st.tuples(st.sampled_from([10, 33, 38, 50, 2, 4]), st.integers(1, 4), st.binary(min_size=2, max_size=2)).map(
        lambda t: t[2] + bytes(t[0] * t[1])
    ),
    st.tuples(st.integers(0, 3), st.binary(min_size=3, max_size=9), st.integers(0, 70)).map(
        lambda t: bytes([t[0] << 4]) + bytes(b & 0x3C for b in t[1]) + bytes(t[2])
    ),
)


@given(st.sampled_from(FORMATS), st.lists(payload, max_size=8))
@example(MediaFormat(96, Codec.AMR), [b"\xf7\xff"])
@example(MediaFormat(96, Codec.AMR, fmtp=OCTETS), [b"\xf0" + b"\xfc" * 11 + b"\x7c", b"\xf0" + b"\xfc" * 12 + b"\x7c"])
@example(MediaFormat(96, Codec.OPUS), [b"\x03\x00", b"\x1b\x02", b"\x1b\x03", b"\x01\x00", b"\x01"])
def test_every_length_is_that_of_one_packet_at_a_time(what: MediaFormat, payloads: list[bytes]) -> None:
    assert measured(what, payloads) == [naive(what, p) for p in payloads]


@pytest.mark.parametrize(("ms", "samples"), [("2.5", 20), ("5", 40), ("10", 80), ("20", 160), ("40", 320), ("60", 480)])
@pytest.mark.parametrize("layout", ["mono", "stereo"])
def test_opus_as_libopus_makes_it(ms: str, samples: int, layout: str) -> None:
    made = encoded("libopus", 48000, np.zeros((1 + (layout == "stereo"), 48000), np.int16), frame_duration=ms)
    assert len(made) > 10
    assert set(measured(MediaFormat(111, Codec.OPUS, 48000, 2), made)) == {samples}


def test_amr_as_opencore_makes_it() -> None:
    made = encoded("libopencore_amrnb", 8000, np.arange(8000, dtype=np.int16)[None])
    assert len(made) > 40
    octets = [b"\xf0" + frame for frame in made]  # a storage frame's first byte is the entry of the table of contents
    assert set(measured(MediaFormat(96, Codec.AMR, fmtp=OCTETS), octets)) == {160}
