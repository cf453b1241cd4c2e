"""Only visible samples reach an engine, each stretch alone, times counted from the start of the call."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.model.text import Segment, Word
from agent.scribe.hearing import LONGEST_S, outside, transcribe


class Ear:
    """An engine that writes down what it is given: here the real part is what `hearing` hands over."""

    name, model, digest, test_only = "ear", "none", "", True
    only_language = None

    def __init__(self) -> None:
        self.heard: list[tuple[int, float, np.ndarray]] = []

    def transcribe(self, pcm16k, language: str, channel: int, offset_s: float) -> tuple[Segment, ...]:
        self.heard.append((channel, offset_s, pcm16k))
        return (Segment(channel, offset_s, offset_s + len(pcm16k) / 16000, language),)


@st.composite
def spans(draw, length: int = 4000) -> tuple[tuple[int, int], ...]:
    edges = sorted(draw(st.sets(st.integers(0, length), max_size=8)))
    return tuple(zip(edges[::2], edges[1::2], strict=False))


@given(visible=spans())
def test_outside_and_inside_make_the_whole(visible) -> None:
    marks = np.zeros(4000, np.int8)
    for a, b in (*visible, *outside(visible, 4000)):
        marks[a:b] += 1
    assert (marks == 1).all()


@given(visible=spans())
@settings(max_examples=50, deadline=None)
def test_no_hidden_sample_reaches_the_engine(visible) -> None:
    """Hidden samples are loud here and visible ones are quiet: whatever is handed over must be quiet."""
    pcm = np.full((2, 4000), 30000, np.int16)
    for a, b in visible:
        pcm[:, a:b] = 100
    ear = Ear()
    transcribe(ear, pcm, 8000, visible, "fr")
    assert all(np.abs(x).max() < 0.02 for _, _, x in ear.heard)
    assert [(c, round(o * 8000)) for c, o, _ in ear.heard] == [(c, a) for c in (0, 1) for a, b in visible]


def test_positions_mean_the_same_in_wideband() -> None:
    ear = Ear()
    pcm = np.full((1, 8000), 30000, np.int16)
    pcm[0, 2000:6000] = 100
    found = transcribe(ear, pcm, 16000, ((1000, 3000),), "fr").segments
    assert [(s.start_s, s.end_s) for s in found] == [(0.125, 0.375)] and len(ear.heard[0][2]) == 4000
    assert np.abs(ear.heard[0][2]).max() < 0.02


def test_silence_is_not_handed_over() -> None:
    ear = Ear()
    pcm = np.full((1, 8000), 8, np.int16)  # what PCMA's silence code decodes to
    assert transcribe(ear, pcm, 8000, ((0, 8000),), "fr").segments == () and ear.heard == []


def test_long_calls_are_cut_where_it_is_quiet() -> None:
    pcm = np.full((1, (LONGEST_S + 100) * 8000), 1000, np.int16)
    quiet = (LONGEST_S - 7) * 8000
    pcm[0, quiet : quiet + 1600] = 0
    ear = Ear()
    transcribe(ear, pcm, 8000, ((0, pcm.shape[1]),), "fr")
    assert [round(o * 8000) for _, o, _ in ear.heard] == [0, quiet + 800]
    assert sum(len(x) for _, _, x in ear.heard) == 2 * pcm.shape[1]


def test_segments_of_all_channels_are_in_order_of_time() -> None:
    pcm = np.full((2, 4000), 500, np.int16)
    found = transcribe(Ear(), pcm, 8000, ((0, 1000), (2000, 3000)), "fr").segments
    assert [(s.channel, s.start_s) for s in found] == [(0, 0.0), (1, 0.0), (0, 0.25), (1, 0.25)]


class Dreamer(Ear):
    """An engine that writes a subtitler's credit over all it hears, and a word into what is all but silent."""

    def transcribe(self, pcm16k, language: str, channel: int, offset_s: float) -> tuple[Segment, ...]:
        spoken = Segment(
            channel, offset_s, offset_s + 0.5, "bonjour", (Word("bonjour", offset_s, offset_s + 0.5, 0.9),)
        )
        outro = Segment(channel, offset_s + 0.5, offset_s + 1, "Sous-titrage ST' 501")
        dreamt = Segment(channel, offset_s + 2, offset_s + 3, "oui", (Word("oui", offset_s + 2, offset_s + 3, 0.9),))
        return spoken, outro, dreamt


def test_what_an_engine_invents_is_left_out_and_where_it_did_is_told() -> None:
    pcm = np.full((1, 24000), 8, np.int16)
    pcm[0, :8000] = 1000
    shares: list[float] = []
    made = transcribe(Dreamer(), pcm, 8000, ((0, 24000),), "fr", shares.append)
    assert [s.text for s in made.segments] == ["bonjour"]
    assert [(o.start_s, o.end_s, o.why) for o in made.left_out] == [
        (0.5, 1.0, "closing words of a video"),
        (2.0, 3.0, "no voice there"),
    ]
    assert shares == [0.0]
