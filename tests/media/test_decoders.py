"""Payloads to samples: round trips through real encoders, both packings of AMR, and content that is none.

G.729, GSM, iLBC and AMR-WB have no encoder here: of these only lengths, silence and that a frame is heard are checked.
"""

import numpy as np
import pytest
from encoders import encoded
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.media.codecs import durations
from agent.media.decoders import Decoder, rate_of
from agent.model.call import Codec, MediaFormat

OPUS = MediaFormat(111, Codec.OPUS, 48000, 2)
AMR = MediaFormat(96, Codec.AMR, fmtp="octet-align=1")


def voice(rate: int, seconds: float = 1.0) -> np.ndarray:
    """Three tones that come and go, so that a shift in time shows."""
    t = np.arange(int(rate * seconds)) / rate
    tones = sum(np.sin(2 * np.pi * f * t) for f in (310, 870, 1930))
    return (4000 * tones * (0.2 + np.abs(np.sin(2 * np.pi * 2.3 * t)))).astype(np.int16)


def decoded(what: MediaFormat, payloads: list[bytes]) -> tuple[np.ndarray, Decoder]:
    decoder = Decoder(what)
    parts = []
    for p in payloads:
        memory = np.frombuffer(p, np.uint8)
        samples = int(durations(what, memory, np.zeros(1, np.int64), np.array([len(p)]))[0]) * decoder.rate // 8000
        parts.append(decoder.decode(memory, samples))
        assert len(parts[-1]) == samples
    return np.concatenate(parts)[decoder.delay :], decoder


def likeness(sent: np.ndarray, heard: np.ndarray, skip: int) -> float:
    """Correlation at no shift, from `skip` samples on."""
    length = min(len(sent), len(heard))
    return float(np.corrcoef(sent[skip:length], heard[skip:length])[0, 1])


@pytest.mark.parametrize("ms", ["10", "20", "40", "60"])
def test_opus_comes_back_in_its_place(ms: str) -> None:
    spectrum = np.fft.rfft(np.random.default_rng(1).normal(size=96000))
    spectrum[6000:] = 0
    sent = (9000 * np.fft.irfft(spectrum)).astype(np.int16)  # noise up to 3 kHz
    heard, decoder = decoded(OPUS, encoded("libopus", 48000, sent[None], frame_duration=ms, application="voip"))
    assert decoder.failed == 0
    shifts = [likeness(sent, np.roll(heard, by), 4800) for by in range(-24, 25, 6)]
    assert max(shifts) > 0.75 and np.argmax(shifts) == 4, shifts


def test_opus_with_redundancy_and_silence_left_out_is_as_long_as_it_was() -> None:
    made = encoded("libopus", 48000, voice(48000)[None], fec="1", packet_loss="20", application="voip")
    left_out = [p if n < 20 or n >= 30 else p[:1] for n, p in enumerate(made)]  # a TOC alone (RFC 6716 §3.2.1)
    whole, _ = decoded(OPUS, made)
    heard, decoder = decoded(OPUS, left_out)
    assert decoder.failed == 0 and len(heard) == len(whole) == len(made) * 960 - decoder.delay
    assert np.array_equal(heard[: 19 * 960], whole[: 19 * 960])
    assert np.abs(heard[27 * 960 : 29 * 960].astype(int)).max() < 300 < np.abs(heard[40 * 960 :].astype(int)).max()


def test_two_channels_are_heard_as_one() -> None:
    left = voice(48000)
    heard, _ = decoded(OPUS, encoded("libopus", 48000, np.stack([left, np.zeros_like(left)])))
    assert likeness(left, heard, 4800) > 0.9
    both = np.stack([left, -left // 3], axis=1).astype(">i2").tobytes()
    what = MediaFormat(97, Codec.L16, 44100, 2)
    heard, _ = decoded(what, [both[at : at + 882 * 4] for at in range(0, len(both) // 3528 * 3528, 3528)])
    assert rate_of(what) == 44100
    assert np.abs(heard - left[: len(heard)] / 3).max() <= 1


def test_g722_comes_back_in_its_place() -> None:
    sent = voice(16000)
    heard, decoder = decoded(MediaFormat(9, Codec.G722), encoded("g722", 16000, sent[None]))
    assert decoder.failed == 0
    shifts = [likeness(sent, np.roll(heard, by), 1600) for by in range(-2, 3)]
    assert max(shifts) > 0.99 and np.argmax(shifts) == 2, shifts


def bandwidth_efficient(frames: list[bytes], sizes: list[int]) -> bytes:
    """RFC 4867 §4.3.4 as its figure draws it, from storage frames."""
    bits = "1111"
    for n, frame in enumerate(frames):
        bits += ("1" if n + 1 < len(frames) else "0") + f"{frame[0] >> 3 & 15:04b}" + "1"
    for frame, size in zip(frames, sizes, strict=True):
        bits += "".join(f"{b:08b}" for b in frame[1:])[:size]
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))


def test_both_packings_of_amr_sound_the_same() -> None:
    sent = voice(8000)
    made = encoded("libopencore_amrnb", 8000, sent[None])
    octets, decoder = decoded(AMR, [b"\xf0" + frame for frame in made])
    pairs = [made[at : at + 2] for at in range(0, len(made), 2)]
    packed = [bandwidth_efficient(p, [244] * len(p)) for p in pairs]
    tight, _ = decoded(MediaFormat(96, Codec.AMR), packed)
    two = [b"\xf0" + bytes([p[0][0] | 0x80, *(f[0] for f in p[1:])]) + b"".join(f[1:] for f in p) for p in pairs]
    double, _ = decoded(AMR, two)
    assert decoder.failed == 0 and np.array_equal(octets, tight) and np.array_equal(octets, double)
    assert max(likeness(sent, np.roll(octets, -by), 800) for by in (0, 20, 40, 60)) > 0.8


def test_amr_with_silence_descriptors_and_nothing_sent_keeps_time() -> None:
    for codec, sid in ((Codec.AMR, b"\xf0\x44" + bytes(5)), (Codec.AMR_WB, b"\xf0\x4c" + bytes(5))):
        heard, decoder = decoded(MediaFormat(96, codec, fmtp="octet-align=1"), [sid, b"\xf0\x7c", sid])
        assert len(heard) == 3 * decoder.rate // 50 and decoder.failed == 0


@pytest.mark.parametrize(
    ("what", "payload", "samples"),
    [
        (MediaFormat(18, Codec.G729), bytes(range(20)), 160),
        (MediaFormat(18, Codec.G729), bytes(range(10)) + b"\x12\x34", 160),
        (MediaFormat(18, Codec.G729), b"\x12\x34", 80),
        (MediaFormat(3, Codec.GSM), (b"\xd0" + bytes(range(32))) * 2, 320),
        (MediaFormat(97, Codec.ILBC), bytes(range(1, 77)), 320),
        (MediaFormat(97, Codec.ILBC), bytes(range(101, 151)), 240),
        (MediaFormat(98, Codec.AMR_WB, 16000, fmtp="octet-align=1"), b"\xf0\x04" + bytes(range(17)), 320),
    ],
)
def test_frames_of_codecs_without_an_encoder_are_as_long_as_they_say(what, payload: bytes, samples: int) -> None:
    heard, decoder = decoded(what, [payload] * 5)
    assert len(heard) == 5 * samples and decoder.failed == 0
    assert heard.any() == (len(payload) > 2)


def test_a_silence_descriptor_of_g729_is_silence_in_its_place() -> None:
    heard, _ = decoded(MediaFormat(18, Codec.G729), [bytes(range(10)) * 2, b"\x12\x34", bytes(range(10))])
    assert len(heard) == 320 and not heard[160:240].any() and heard[:160].any() and heard[240:].any()


def test_what_nobody_knows_is_silence_and_counted() -> None:
    for what in (MediaFormat(99, Codec.OTHER, name="SILK"), MediaFormat(99, Codec.L16, 7)):
        decoder = Decoder(what)
        assert not decoder.decode(np.ones(40, np.uint8), 160).any() and decoder.failed == 1


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from([*(MediaFormat(96, codec) for codec in Codec), OPUS, AMR, MediaFormat(96, Codec.L16, 44100, 2)]),
    st.lists(st.tuples(st.binary(max_size=90), st.integers(0, 2000)), max_size=5),
)
def test_no_content_is_ever_raised_and_every_length_is_kept(what, packets: list[tuple[bytes, int]]) -> None:
    decoder = Decoder(what)
    for payload, samples in packets:
        heard = decoder.decode(np.frombuffer(payload, np.uint8), samples)
        assert heard.dtype == np.int16 and heard.shape == (samples,)
