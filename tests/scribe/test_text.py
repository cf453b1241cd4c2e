"""Transcripts on paper: JSON that names the right party, WebVTT that no text can break out of."""

import json

from hypothesis import given
from hypothesis import strategies as st

from agent.model.text import Segment, Transcript, Word
from agent.scribe.text import Heading, Voice, to_json, to_webvtt

VOICES = (Voice("p1", "customer", 0, "+33612345678", "Ann Example"), Voice("p2", "agent", 1, "2001"))
HEADING = Heading("ab" * 16, "site", "training", 5, 61.5, ((10.0, 12.5),))


def transcript(*segments: Segment, test_only: bool = False) -> Transcript:
    return Transcript("fr", "faster-whisper", "tiny", "00" * 32, segments, test_only)


def test_json_names_the_party_and_its_words() -> None:
    said = Segment(1, 1.0, 2.0, "bonjour", (Word("bonjour", 1.0, 1.9, 0.91234),))
    document = json.loads(to_json(HEADING, VOICES, transcript(said)))
    assert document["segments"] == [
        {
            "party": "p2",
            "channel": 1,
            "start": 1.0,
            "end": 2.0,
            "text": "bonjour",
            "words": [{"text": "bonjour", "start": 1.0, "end": 1.9, "confidence": 0.9123}],
        }
    ]
    assert document["parties"][0] == {
        "ref": "p1",
        "role": "customer",
        "channel": 0,
        "number": "+33612345678",
        "name": "Ann Example",
        "joined_s": 0.0,
    }
    assert document["absent"] == [[10.0, 12.5]] and document["engine"]["model_sha256"] == "00" * 32


def test_after_a_transfer_words_are_those_of_the_party_who_came() -> None:
    voices = (Voice("p1", "agent", 0, left_s=5.0), Voice("p2", "agent", 0, joined_s=5.0))
    said = transcript(Segment(0, 1.0, 2.0, "oui"), Segment(0, 5.0, 6.0, "non"), Segment(1, 5.0, 6.0, "qui"))
    document = json.loads(to_json(HEADING, voices, said))
    assert [s["party"] for s in document["segments"]] == ["p1", "p2", None]
    assert document["parties"] == [
        {"ref": "p1", "role": "agent", "channel": 0, "joined_s": 0.0, "left_s": 5.0},
        {"ref": "p2", "role": "agent", "channel": 0, "joined_s": 5.0},
    ]
    vtt = to_webvtt(HEADING, voices, said).decode()
    assert "<v agent p1>oui" in vtt and "<v agent p2>non" in vtt and "<v other>qui" in vtt


def test_anonymous_voices_have_neither_number_nor_name() -> None:
    voices = [v.anonymous() for v in VOICES]
    for data in (to_json(HEADING, voices, transcript()), to_webvtt(HEADING, voices, transcript())):
        assert b"612345678" not in data and b"2001" not in data and b"Ann" not in data


def test_webvtt_is_what_a_player_reads() -> None:
    text = to_webvtt(HEADING, VOICES, transcript(Segment(0, 3661.5, 3662.25, "oui"), test_only=True)).decode()
    assert text.startswith("WEBVTT\n\n")
    assert "1\n01:01:01.500 --> 01:01:02.250\n<v customer p1>oui\n" in text
    assert "NOTE absent by decision: 00:00:10.000 to 00:00:12.500" in text
    assert "for tests and demonstrations only" in text


@given(text=st.text(max_size=60), start=st.floats(0, 90000), length=st.floats(0, 100))
def test_no_text_breaks_out_of_its_cue(text: str, start: float, length: float) -> None:
    vtt = to_webvtt(HEADING, VOICES, transcript(Segment(0, start, start + length, text))).decode()
    cue = vtt.split("\n\n")[-1]
    assert cue.count("\n") in (2, 3) and cue.count("-->") == 1
    assert cue.splitlines()[2].startswith("<v customer p1>")
    assert "<" not in cue.splitlines()[2].removeprefix("<v customer p1>")
