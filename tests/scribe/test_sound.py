"""What a purpose hears of a channel: in its place, at the right rate, and not one bit of what it may not hear."""

from collections.abc import Sequence

import numpy as np
import pytest
from encoders import encoded
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.media.codecs import durations
from agent.model.call import Codec, MediaFormat
from agent.model.media import Frames
from agent.scribe.sound import Clock, Stretch, render

OPUS = MediaFormat(111, Codec.OPUS, 48000, 2)
AMR = MediaFormat(96, Codec.AMR, fmtp="octet-align=1")
L16 = MediaFormat(97, Codec.L16, 44100)
SECOND = 8000


def sound(rate: int, seconds: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-9000, 9000, (1, int(rate * seconds))).astype(np.int16)


def framed(
    what: MediaFormat, packets: Sequence[bytes], position: int = 0, lost: Sequence[int] = (), stream: int = 0
) -> Stretch:
    """The stretch of packets sent without a pause, those in `lost` not arrived."""
    size = np.array([len(p) for p in packets], np.int64)
    memory = np.frombuffer(b"".join(packets), np.uint8)
    duration = durations(what, memory, np.cumsum(size) - size, size)
    begin = np.cumsum(duration) - duration
    came = np.array([n not in lost for n in range(len(packets))])
    payload = memory[np.repeat(came, size)]
    frames = Frames(what, int(duration.sum()), begin[came], duration[came], size[came])
    return Stretch(stream, what.codec, position, frames.samples, payload, frames)


def plain(codec: Codec, payload: np.ndarray, position: int = 0) -> Stretch:
    return Stretch(0, codec, position, len(payload), payload)


def packets_of(what: MediaFormat, seed: int, seconds: float = 1.0) -> list[bytes]:
    if what.codec is Codec.OPUS:
        return encoded("libopus", 48000, sound(48000, seconds, seed))
    if what.codec is Codec.AMR:
        return [b"\xf0" + frame for frame in encoded("libopencore_amrnb", 8000, sound(8000, seconds, seed))]
    pcm = sound(44100, seconds, seed)[0].astype(">i2").tobytes()
    return [pcm[at : at + 1764] for at in range(0, len(pcm), 1764)]


MADE = {what: [packets_of(what, seed) for seed in (1, 2)] for what in (OPUS, AMR, L16)}
BYTES = [np.random.default_rng(seed).integers(0, 256, SECOND).astype(np.uint8) for seed in (1, 2)]


def hear(*given) -> np.ndarray:
    return render(*given)[0]


def line(kind: object, seed: int, hidden_seed: int, span: tuple[int, int]) -> list[Stretch]:
    """A second of one codec: `seed` inside the span, `hidden_seed` outside it."""
    if isinstance(kind, MediaFormat):
        one, other = MADE[kind][seed], MADE[kind][hidden_seed]
        inside = [span[0] <= 160 * n and 160 * (n + 1) <= span[1] for n in range(len(one))]
        return [framed(kind, [a if i else b for a, b, i in zip(one, other, inside, strict=True)])]
    payload = BYTES[hidden_seed].copy()
    payload[slice(*span)] = BYTES[seed][slice(*span)]
    return [plain(kind, payload)]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([OPUS, AMR, L16, Codec.PCMA, Codec.G722]),
    st.lists(st.integers(0, SECOND), min_size=2, max_size=2, unique=True).map(sorted),
    st.sampled_from([8000, 16000]),
    st.sampled_from([0.0, 400.0, -400.0, 40_000.0, -40_000.0]),
)
def test_no_bit_depends_on_what_is_hidden(kind, edges: list[int], rate: int, ppm: float) -> None:
    span, clocks = (edges[0], edges[1]), {0: Clock(0, ppm)} if ppm else {}
    heard = hear(line(kind, 0, 0, span), span, clocks, rate)
    assert len(heard) == (span[1] - span[0]) * rate // 8000
    assert np.array_equal(heard, hear(line(kind, 0, 1, span), span, clocks, rate))


def test_a_lost_packet_is_silence_and_the_rest_keeps_its_place() -> None:
    whole = hear([framed(AMR, MADE[AMR][0])], (0, SECOND), {}, 8000)
    holed = hear([framed(AMR, MADE[AMR][0], lost=[20, 21])], (0, SECOND), {}, 8000)
    assert np.array_equal(holed[:3200], whole[:3200]) and not holed[3200:3520].any()
    assert len(holed) == len(whole) and holed[3520:].any()
    late = np.corrcoef(holed[4800:7680], whole[4800:7680])[0, 1]
    assert late > 0.9  # the decoder finds its feet again


def test_g711_is_not_touched_where_nobody_is_wideband() -> None:
    from agent.media.g711 import decode

    heard = hear([plain(Codec.PCMA, BYTES[0], 100)], (0, SECOND + 200), {}, 8000)
    assert np.array_equal(heard[100:8100], decode(BYTES[0], Codec.PCMA)) and not heard[:100].any()


@pytest.mark.parametrize("rate", [8000, 16000])
def test_every_codec_lies_where_it_was_sent(rate: int) -> None:
    """A burst in the middle of silence: its energy begins where it was sent, whatever decodes and resamples it."""
    for what, native in ((OPUS, 48000), (L16, 44100)):
        pcm = np.zeros((1, native), np.int16)
        pcm[0, native // 2 : native * 6 // 10] = sound(native, 0.1, 5)[0]
        packets = (
            encoded("libopus", 48000, pcm)
            if what is OPUS
            else [pcm[0, at : at + 882].astype(">i2").tobytes() for at in range(0, native, 882)]
        )
        heard = hear([framed(what, packets)], (0, SECOND), {}, rate)
        loud = np.flatnonzero(np.abs(heard.astype(int)) > 1500)
        assert abs(loud[0] / rate - 0.5) < 0.004 and abs(loud[-1] / rate - 0.6) < 0.004, what


def test_a_codec_may_change_in_the_middle_of_a_channel() -> None:
    burst = np.full(SECOND, 0x2A, np.uint8)  # loud in A-law
    stretches = [plain(Codec.PCMA, burst), framed(OPUS, MADE[OPUS][0], SECOND), plain(Codec.PCMA, burst, 2 * SECOND)]
    heard = hear(stretches, (0, 3 * SECOND), {}, 16000)
    level = np.abs(heard.astype(int)).reshape(30, -1).mean(axis=1)
    assert (level[:9] > 20000).all() and (level[21:] > 20000).all() and (level[11:19] < 9000).all()
    assert (level[11:19] > 500).all()


@pytest.mark.parametrize("ppm", [100.0, -100.0])
def test_a_clock_is_corrected_by_single_samples(ppm: float) -> None:
    """Pulses sent each second of our clock, as a sender whose clock is off counts them, lie on the second again."""
    seconds = 600
    there = np.zeros(seconds * SECOND, np.uint8) + 0xD5
    at = [round(n * SECOND * (1 + ppm / 1e6)) for n in range(seconds - 1)]
    for pulse in at:
        there[pulse : pulse + 8] = 0x2A
    stretches = [plain(Codec.PCMA, there[n : n + SECOND], n) for n in range(0, len(there), SECOND)]
    heard = hear(stretches, (0, len(there)), {0: Clock(0, ppm)}, 8000)
    loud = np.abs(heard.astype(int)) > 20000
    starts = np.flatnonzero(loud[1:] & ~loud[:-1]) + 1
    assert np.abs(starts - np.arange(1, seconds - 1) * SECOND).max() <= 1 and len(starts) == seconds - 2
    assert abs(int(loud.sum()) - 8 * (seconds - 1)) <= abs(ppm) / 1e6 * len(there)


def test_a_corrected_clock_hides_what_belongs_outside() -> None:
    burst = np.full(SECOND, 0x2A, np.uint8)
    heard = hear([plain(Codec.PCMA, burst)], (4000, 6000), {0: Clock(0, 400_000.0)}, 8000)
    assert np.count_nonzero(heard) == round(6000 / 1.4) - 4000  # 4000 to 4286 of ours is 5600 to 6000 of theirs
