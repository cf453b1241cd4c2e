"""Whose voice is whose: on a shared line a person gets no sample and no word of anybody else's."""

import io
import json

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.model.purpose import AudioFormat
from agent.retain.dossier import CallDossier, presence
from agent.retain.ownside import Withheld, own_sound, own_words
from agent.scribe.audio import encode
from agent.store.rows import CallRow, PartyRow

CALL = "0192" + "0" * 28
NS = 1_000_000_000
RATE = 8000


def dossier(parties: list[PartyRow], mine: str, seconds: float) -> CallDossier:
    row = CallRow(CALL, "r", "siprec", "g", "inbound", None, None, 0, int(seconds * NS), "bye", "finalised",
                  int(seconds * RATE))  # fmt: skip
    there = presence(row, parties, [p for p in parties if p.number_hash == mine])
    highest = max(p.channel for p in parties if p.channel is not None)
    return CallDossier(row, (), there, highest, (), (), (), (), (), None, frozenset(), restricted=False)


def party(number: str, channel: int, come_s: float, left_s: float | None = None) -> PartyRow:
    return PartyRow(CALL, number + str(come_s), "agent", number, int(come_s * NS),
                    None if left_s is None else int(left_s * NS), channel)  # fmt: skip


def decoded(data: bytes) -> np.ndarray:
    with av.open(io.BytesIO(data)) as container:
        return np.concatenate([f.to_ndarray().ravel() for f in container.decode(audio=0)])


def test_alone_on_a_channel_all_of_it_bit_by_bit() -> None:
    pcm = np.random.default_rng(1).integers(-9000, 9000, (2, 4 * RATE)).astype(np.int16)
    call = dossier([party("me", 0, 0), party("you", 1, 0)], "me", 4)
    for audio_format in (AudioFormat.FLAC, AudioFormat.WAV):
        assert np.array_equal(decoded(own_sound(encode(pcm, RATE, audio_format), call)), pcm[0])


@pytest.mark.parametrize("channels", [2, 3, 6])
def test_lossy_audio_of_several_parties_is_taken_apart(channels: int) -> None:
    at = np.arange(2 * RATE) / RATE
    tones = [(9000 * np.sin(2 * np.pi * 300 * (n + 1) * at)).astype(np.int16) for n in range(channels)]
    parties = [party(f"n{n}", n, 0) for n in range(channels)]
    for n in range(channels):
        heard = decoded(own_sound(encode(np.array(tones), RATE, AudioFormat.OPUS), dossier(parties, f"n{n}", 2)))
        spectrum = np.abs(np.fft.rfft(heard.astype(float)))
        frequency = np.fft.rfftfreq(len(heard), 2 / len(heard))
        assert abs(frequency[int(spectrum.argmax())] - 300 * (n + 1)) < 15
        for other in range(channels):
            near = np.abs(frequency - 300 * (other + 1)) < 15
            assert other == n or spectrum[near].max() < spectrum.max() / 50


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.sampled_from(["me", "a", "b"]), st.integers(1, 8)), min_size=1, max_size=5),
    st.booleans(),
)
def test_nothing_of_another_is_heard_or_read(turns: list[tuple[str, int]], told_late: bool) -> None:
    """One line that goes from hand to hand; the metadata may come up to a second after the voice."""
    late = 0.9 if told_late else 0.0
    parties, value, words, at = [], [], [], 0
    values = {"me": 1000, "a": 2000, "b": 3000}
    for number, (who, seconds) in enumerate(turns):
        told = at + (late if number else 0)
        parties.append(party(who, 0, told, None if number == len(turns) - 1 else at + seconds + late))
        value += [values[who]] * (seconds * RATE)
        words += [{"text": who, "start": at + s, "end": at + s + 0.8, "confidence": 1.0} for s in range(seconds)]
        at += seconds
    call = dossier(parties, "me", at)
    pcm = np.array([value], np.int16)
    if not call.presence:
        with pytest.raises(Withheld):
            own_sound(encode(pcm, RATE, AudioFormat.FLAC), call)
        return
    heard = decoded(own_sound(encode(pcm, RATE, AudioFormat.FLAC), call))
    assert set(heard.tolist()) <= {0, 1000} and len(heard) == pcm.shape[1]
    segment = {"channel": 0, "start": 0, "end": at, "text": " ".join(w["text"] for w in words), "words": words}
    told = {"call": CALL, "purpose": "p", "started_ns": 0, "duration_s": at, "language": "fr", "segments": [segment]}
    read = json.loads(own_words(json.dumps(told).encode(), call))["segments"]
    assert {w for s in read for w in s["text"].split()} <= {"me"}
    if all(who == "me" for who, _ in turns):
        assert read[0]["text"] == segment["text"]


def test_what_cannot_be_told_apart_is_withheld() -> None:
    pcm = np.ones((1, 2 * RATE), np.int16)
    shared = dossier([party("you", 0, 0, 1), party("me", 0, 1)], "me", 9)
    with pytest.raises(Withheld, match="cut out"):
        own_sound(encode(pcm, RATE, AudioFormat.FLAC), shared)
    mixed = dossier([party(f"n{n}", n, 0) for n in range(10)], "n7", 2)
    many = np.ones((10, 2 * RATE), np.int16)
    with pytest.raises(Withheld, match="mixed"):
        own_sound(encode(many, RATE, AudioFormat.FLAC), mixed)
    with pytest.raises(Withheld, match="no audio"):
        own_sound(b"nonsense", mixed)
    with pytest.raises(Withheld, match="no transcript"):
        own_words(b"[]", mixed)


def test_a_line_that_goes_to_somebody_without_one_of_their_own_is_the_persons_until_then() -> None:
    given_on = dossier([party("me", 0, 0, 60), party("you", None, 60)], "me", 600)
    assert given_on.presence and all(p.to_s <= 60 and not p.alone for p in given_on.presence)
    left = dossier([party("me", 0, 0, 60), party("you", 1, 0)], "me", 600)
    assert all(p.to_s <= 60 for p in left.presence), "who has left is not heard, whoever comes then"
    mixed = dossier([party("you", None, 0), party("me", 0, 0)], "me", 600)
    with pytest.raises(Withheld):
        own_sound(encode(np.ones((1, 600), np.int16), RATE, AudioFormat.FLAC), mixed)
