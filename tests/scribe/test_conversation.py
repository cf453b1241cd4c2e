"""Two channels become one conversation: an answer stands where it was given, and no word is lost."""

from hypothesis import given
from hypothesis import strategies as st

from agent.model.text import Segment, Word
from agent.scribe.conversation import merged


def said(channel: int, *words: tuple[str, float, float]) -> Segment:
    timed = tuple(Word(text, start, end, 0.9) for text, start, end in words)
    return Segment(channel, timed[0].start_s, timed[-1].end_s, " ".join(w.text for w in timed), timed)


def test_an_answer_comes_between() -> None:
    customer = said(0, ("allô", 0.0, 0.4), ("je", 2.0, 2.1), ("résilie", 2.1, 2.6))
    agent = said(1, ("bonjour", 0.8, 1.4))
    assert [(s.channel, s.text) for s in merged([customer, agent])] == [(0, "allô"), (1, "bonjour"), (0, "je résilie")]


def test_a_breath_is_no_end_and_a_long_silence_is() -> None:
    breath = said(0, ("un", 0.0, 0.4), ("deux", 0.6, 1.0))
    assert len(merged([breath, said(1, ("oui", 0.5, 0.6))])) == 2
    assert [s.text for s in merged([said(0, ("un", 0.0, 0.4), ("deux", 1.9, 2.2))])] == ["un", "deux"]
    assert [s.text for s in merged([said(0, ("un", 0.0, 0.4), ("deux", 1.8, 2.2))])] == ["un deux"]


def test_a_language_without_spaces_is_left_whole() -> None:
    words = (Word("こん", 0.0, 0.5, 1.0), Word("にちは", 4.0, 5.0, 1.0))
    whole = Segment(0, 0.0, 5.0, "こんにちは", words)
    assert merged([whole]) == (whole,) and merged([]) == ()
    bare = Segment(1, 3.0, 4.0, "sans mots")
    assert merged([bare, whole]) == (whole, bare)


@st.composite
def talk(draw) -> list[Segment]:
    found = []
    for channel in (0, 1):
        at = 0.0
        for _ in range(draw(st.integers(0, 4))):
            words = []
            for _ in range(draw(st.integers(1, 5))):
                at += draw(st.sampled_from([0.0, 0.2, 0.5, 1.0, 3.0]))
                words.append((draw(st.sampled_from(["oui", "non", "peut-être"])), at, at + 0.4))
                at += 0.4
            found.append(said(channel, *words))
    return found


@given(segments=talk())
def test_every_word_stays_as_it_was_and_in_order(segments: list[Segment]) -> None:
    turns = merged(segments)
    for channel in (0, 1):
        before = [w for s in segments if s.channel == channel for w in s.words]
        assert [w for s in turns if s.channel == channel for w in s.words] == before
    assert [s.start_s for s in turns] == sorted(s.start_s for s in turns)
    assert all(s.text == " ".join(w.text for w in s.words) for s in turns)
