"""Subtitles as SubRip: what a player reads, and nothing that it takes for anything but text."""

import re

from hypothesis import given
from hypothesis import strategies as st

from agent.model.text import Segment, Transcript
from agent.scribe.subtitles import to_srt
from agent.scribe.text import Heading, Voice

VOICES = (Voice("p1", "customer", 0), Voice("p2", "agent", 1))
HEADING = Heading("ab" * 16, "site", "training", 5, 61.5, ((10.0, 12.5),), ((10.0, 12.5),))
CUE = re.compile(r"\d+\n\d\d:\d\d:\d\d,\d{3} --> \d\d:\d\d:\d\d,\d{3}\ncustomer p1: [^\n]*\n")


def transcript(*segments: Segment) -> Transcript:
    return Transcript("fr", "faster-whisper", "tiny", "00" * 32, segments)


def test_cues_are_numbered_timed_and_named() -> None:
    said = transcript(Segment(0, 1.0, 2.25, "Allô ?"), Segment(1, 3661.5, 3662.25, "Bonjour"))
    assert to_srt(HEADING, VOICES, said).decode() == (
        "1\n00:00:01,000 --> 00:00:02,250\ncustomer p1: Allô ?\n\n2\n01:00:59,000 --> 01:00:59,750\nagent p2: Bonjour\n"
    ), "at the times of the audio, from which 2.5 s are cut"
    assert to_srt(HEADING, VOICES, transcript()) == b""


@given(text=st.text(max_size=60), start=st.floats(0, 90000), length=st.floats(0, 100))
def test_no_text_breaks_out_of_its_cue(text: str, start: float, length: float) -> None:
    srt = to_srt(HEADING, VOICES, transcript(Segment(0, start, start + length, text))).decode()
    assert CUE.fullmatch(srt) and "<" not in srt and "{" not in srt and srt.count("-->") == 1
