"""Names that a model marks in text, as words of a conversation; here the model is a rule: capitals."""

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model.redaction import NAMED, Policy, SecretKind
from agent.model.text import Said, Segment, Transcript, Word
from agent.transcribe.redaction.apply import redact, token_of
from agent.transcribe.redaction.named import MOST_WORDS, Entity, named

MASKED = Policy(mask=NAMED)


def capitals(texts: Sequence[str], language: str) -> list[list[Entity]]:
    """Capitalised words that follow each other are one name, or a place where the language is English."""
    kind = SecretKind.PLACE if language == "en" else SecretKind.NAME
    return [[Entity(kind, *m.span()) for m in re.finditer(r"[A-ZÀ-Þ]\w*(?: [A-ZÀ-Þ]\w*)*", text)] for text in texts]


def spoken(text: str) -> list[Said]:
    """`0:word` is a word of the first channel."""
    said = [(int(one[0]), one[2:]) for one in text.split()]
    return [Said(channel, Word(word, n * 0.5, n * 0.5 + 0.4, 0.9)) for n, (channel, word) in enumerate(said)]


def transcript(*texts: str, language: str = "fr", languages: tuple[str, ...] = ()) -> Transcript:
    segments = []
    for n, text in enumerate(texts):
        words = tuple(Word(w, n * 20 + i * 0.5, n * 20 + i * 0.5 + 0.4, 0.9) for i, w in enumerate(text.split()))
        segments.append(Segment(n % 2, words[0].start_s, words[-1].end_s, text, words))
    return Transcript(language, "e", "m", "d", tuple(segments), languages=languages)


def hidden(text: str, taken: frozenset[int] = frozenset(), kinds: frozenset[SecretKind] = NAMED) -> list[tuple]:
    found = named(spoken(text), "fr", {1: "en"}, capitals, kinds, taken)
    return [(s.kind, s.words, [(st.channel, st.start_s, st.end_s) for st in s.stretches]) for s in found]


def test_a_name_goes_over_what_the_other_party_says_between() -> None:
    found = hidden("0:je 0:suis 0:Jean 1:yes 0:Dupont,")
    assert found == [(SecretKind.NAME, (2, 4), [(0, 1.0, 2.4)])]


def test_each_channel_is_read_in_its_language_and_kinds_that_are_kept_are_kept() -> None:
    text = "0:ici 0:Jean 1:in 1:London"
    assert [kind for kind, *_ in hidden(text)] == [SecretKind.NAME, SecretKind.PLACE]
    assert hidden(text, kinds=frozenset({SecretKind.PLACE})) == [(SecretKind.PLACE, (3,), [(1, 1.5, 1.9)])]


def test_what_is_hidden_as_something_else_stays_that() -> None:
    found = hidden("0:Jean 0:Dupont 0:Martin 0:ici", taken=frozenset({1}))
    assert found == [(SecretKind.NAME, (0, 2), [(0, 0.0, 0.4), (0, 1.0, 1.4)])]
    assert hidden("0:Jean 0:ici", taken=frozenset({0})) == []


def test_a_name_within_a_word_hides_the_word() -> None:
    assert hidden("0:à 0:l'Élysée, 0:voilà") == [(SecretKind.NAME, (1,), [(0, 0.5, 0.9)])]


@given(
    st.lists(
        st.tuples(st.sampled_from((0, 0, 1)), st.sampled_from(("Jean", "ici", "là", " ", "O'Hara,"))), max_size=700
    )
)
def test_all_that_is_marked_is_hidden_and_nothing_else_however_long_the_call(words: list[tuple[int, str]]) -> None:
    said = [Said(channel, Word(text, n * 0.5, n * 0.5 + 0.4, 0.9)) for n, (channel, text) in enumerate(words)]
    longest = 0

    def marks(texts: Sequence[str], language: str) -> list[list[Entity]]:
        nonlocal longest
        longest = max([longest, *(len(text.split()) for text in texts)])
        return capitals(texts, language)

    found = named(said, "fr", {}, marks, NAMED, frozenset())
    expected = [n for n, (_, text) in enumerate(words) if text[0].isupper()]
    assert sorted(n for secret in found for n in secret.words) == expected
    assert longest <= MOST_WORDS
    for secret in found:
        assert len({said[n].channel for n in secret.words}) == 1 == len(secret.stretches)


def test_text_times_and_counts() -> None:
    done = redact(transcript("je suis Jean Dupont, ma carte 4532 0151 1283 0366", "bonjour"), MASKED, b"", capitals)
    assert [s.text for s in done.transcript.segments] == ["je suis [NOM] ma carte 4532 0151 1283 0366", "bonjour"]
    assert done.transcript.segments[0].words[2] == Word("[NOM]", 1.0, 1.9, 0.9)
    both = Policy(mask=NAMED | {SecretKind.CARD})
    done = redact(transcript("je suis Jean Dupont, ma carte 4532 0151 1283 0366"), both, b"", capitals)
    assert done.transcript.segments[0].text == "je suis [NOM] ma carte [CARTE]"
    assert [s.kind for s in done.secrets] == [SecretKind.CARD, SecretKind.NAME]


def test_without_a_model_nothing_is_handed_out_unhidden() -> None:
    with pytest.raises(ValueError, match="no model"):
        redact(transcript("je suis Jean Dupont"), MASKED, b"")
    assert redact(transcript("je suis Jean"), Policy(), b"").transcript.segments[0].text == "je suis Jean"


@pytest.mark.parametrize("written", ["Jean Dupont,", "JEAN DUPONT.", "Jéan Dupont"])
def test_a_name_is_one_pseudonym_however_it_is_written(written: str) -> None:
    policy = Policy(pseudonymise=frozenset({SecretKind.NAME}))
    texts = [redact(transcript(t), policy, b"key", capitals) for t in (f"ici {written} bonjour", "Jean Dupont")]
    tokens = [token_of(one.secrets[0], b"key") for one in texts]
    assert tokens[0] == tokens[1] and f"[NOM {tokens[0]}]" in texts[0].transcript.segments[0].text
    other = redact(transcript("Jean Durand"), policy, b"key", capitals)
    assert token_of(other.secrets[0], b"key") != tokens[0] != token_of(texts[1].secrets[0], b"other key")
