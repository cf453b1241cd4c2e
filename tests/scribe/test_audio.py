"""Encoded audio gives back what went in: bit for bit where the format promises it, in time and channel otherwise."""

import io

import av
import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.model.purpose import AudioFormat
from agent.scribe import audio
from agent.scribe.audio import encode


def decode(data: bytes) -> tuple[int, np.ndarray]:
    with av.open(io.BytesIO(data)) as container:
        frames = list(container.decode(audio=0))
        rows = [(f.format.is_planar, f.layout.nb_channels, f.to_ndarray()) for f in frames]
        pcm = [a if planar else a.reshape(-1, n).T for planar, n, a in rows]
        return container.streams.audio[0].rate, np.concatenate(pcm, axis=1)


def noise(channels: int, samples: int) -> np.ndarray:
    return np.random.default_rng(channels).integers(-32768, 32768, (channels, samples)).astype(np.int16)


@pytest.mark.parametrize("audio_format", [AudioFormat.FLAC, AudioFormat.WAV])
@given(channels=st.integers(1, 8), samples=st.integers(1, 20000), rate=st.sampled_from([8000, 16000]))
@settings(max_examples=25, deadline=None)
def test_lossless_formats_are_bit_exact(audio_format: AudioFormat, channels: int, samples: int, rate: int) -> None:
    pcm = noise(channels, samples)
    found, back = decode(encode(pcm, rate, audio_format))
    assert found == rate and np.array_equal(back, pcm)


def test_many_blocks_are_bit_exact() -> None:
    pcm = noise(2, 3 * 65536 + 77)
    assert np.array_equal(decode(encode(pcm, 8000, AudioFormat.FLAC))[1], pcm)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_opus_keeps_length_channels_and_who_speaks(channels: int) -> None:
    time = np.arange(24000) / 8000
    pcm = np.zeros((channels, 24000), np.int16)
    for n in range(channels):
        pcm[n, 8000 * n : 8000 * (n + 1)] = 8000 * np.sin(2 * np.pi * 440 * time[:8000])
    rate, back = decode(encode(pcm, 8000, AudioFormat.OPUS))
    assert rate == 48000 and back.shape == (channels, 144000)
    for n in range(channels):
        loud = np.abs(back[:, 48000 * n + 4800 : 48000 * (n + 1) - 4800]).max(axis=1)
        assert int(np.argmax(loud)) == n
        assert all(loud[m] < loud[n] / 10 for m in range(channels) if m != n), "parties must not leak into each other"


def nearness(back: np.ndarray, pcm: np.ndarray) -> float:
    """How near decoded speech is to what was said, in dB: the mean of its loud frames of 20 ms (segmental SNR)."""
    frames, wrong = (x[: len(pcm) // 160 * 160].reshape(-1, 160) for x in (pcm, pcm - back))
    power = (frames**2).sum(axis=1)
    loud = power > power.max() * 1e-4
    ratio = 10 * np.log10(power[loud] / ((wrong[loud] ** 2).sum(axis=1) + 1))
    return float(np.clip(ratio, -10, 35).mean())


@pytest.mark.parametrize("name", ["jfk.flac", "LJ001-0002.flac"])
def test_speech_in_opus_is_as_near_as_its_slowest_encoder_makes_it(speech, name: str, monkeypatch) -> None:
    pcm = speech(name)[None]

    def near() -> float:
        _, back = decode(encode(pcm, 8000, AudioFormat.OPUS))
        return nearness(soxr.resample(back[0].astype(float) * 32768, 48000, 8000)[: pcm.shape[1]], pcm[0].astype(float))

    ours = near()
    monkeypatch.setattr(audio, "_OPUS_COMPLEXITY", "10")
    assert ours > near() - 0.5 and ours > 3


def test_more_parties_than_channels_are_mixed_into_the_last() -> None:
    pcm = np.stack([np.full(800, 100 * n, np.int16) for n in range(10)])
    _, back = decode(encode(pcm, 8000, AudioFormat.FLAC))
    assert [int(row[5]) for row in back] == [0, 100, 200, 300, 400, 500, 600, 700 + 800 + 900]
