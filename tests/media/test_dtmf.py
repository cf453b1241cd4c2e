"""DTMF in the sound: every key, quiet, twisted, noisy and through G.711; and none in speech."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.media.dtmf import HIGH, KEYS, LOW, find
from agent.media.g711 import decode, encode
from agent.model.call import Codec

ALL = "".join(KEYS)


def tone(key: str, ms: float, rate: int, level: float = 4000.0, twist_db: float = 0.0) -> np.ndarray:
    row = next(n for n, keys in enumerate(KEYS) if key in keys)
    at = np.arange(round(ms * rate / 1000)) / rate
    low, high = LOW[row], HIGH[KEYS[row].index(key)]
    wave = np.sin(2 * np.pi * low * at) + 10 ** (twist_db / 20) * np.sin(2 * np.pi * high * at)
    return wave * level


@settings(max_examples=60, deadline=None)
@given(
    st.text(ALL, max_size=12),
    st.floats(45, 200),
    st.floats(45, 200),
    st.sampled_from([8000, 16000]),
    st.floats(300, 12000),
    st.floats(-4, 4),
    st.floats(0, 0.03),
    st.integers(0, 2**32 - 1),
)
def test_keys_are_found_in_order_and_each_once(keys, long_ms, gap_ms, rate, level, twist_db, noise, seed) -> None:
    pause = np.zeros(round(gap_ms * rate / 1000))
    sound = np.concatenate([pause, *(part for k in keys for part in (tone(k, long_ms, rate, level, twist_db), pause))])
    sound = sound + np.random.default_rng(seed).normal(0, noise * level, len(sound))
    found = find(np.clip(sound, -32768, 32767).astype(np.int16), rate)
    assert "".join(t.key for t in found) == keys
    starts = [len(pause) + n * (len(pause) + round(long_ms * rate / 1000)) for n in range(len(keys))]
    assert all(abs(t.start - at) < 0.03 * rate for t, at in zip(found, starts, strict=True))


def test_they_survive_the_telephone() -> None:
    sound = np.concatenate([np.concatenate([tone(k, 60, 8000), np.zeros(480)]) for k in ALL]).astype(np.int16)
    for codec in (Codec.PCMA, Codec.PCMU):
        assert "".join(t.key for t in find(decode(encode(sound, codec), codec), 8000)) == ALL


@pytest.mark.parametrize("ms", [0, 10, 20])
def test_what_is_too_short_is_no_key(ms: int) -> None:
    assert find(np.concatenate([np.zeros(800), tone("5", ms, 8000), np.zeros(800)]).astype(np.int16), 8000) == []


def test_one_tone_silence_and_noise_are_no_keys() -> None:
    at = np.arange(16000) / 8000
    assert find((8000 * np.sin(2 * np.pi * 770 * at)).astype(np.int16), 8000) == []
    assert find(np.zeros(16000, np.int16), 8000) == []
    assert find(np.random.default_rng(1).integers(-8000, 8000, 80000).astype(np.int16), 8000) == []


def test_no_voice_is_taken_for_a_key(speech: Callable[[str], np.ndarray]) -> None:
    for name in ("jfk", "fleurs-fr-001", "fleurs-fr-003", "fleurs-fr-007", "fleurs-en-001", "osr-us-0034-8k"):
        assert find(speech(f"{name}.flac"), 8000) == [], name
