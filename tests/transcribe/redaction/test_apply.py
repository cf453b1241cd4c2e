"""A policy applied: labels by language, pseudonyms that are stable and keyed, times kept, nothing else touched."""

from agent.model.redaction import NO_REDACTION, Policy, SecretKind
from agent.model.text import Segment, Transcript
from agent.transcribe.redaction.apply import redact, redacted, with_words
from agent.transcribe.redaction.find import find
from bench.marked import marked

CARD = "C: ma carte 4532 0151 1283 0366 merci"
MASKED = Policy(mask=frozenset({SecretKind.CARD}))
NAMED = Policy(pseudonymise=frozenset({SecretKind.CARD}))


def texts(text: str, policy: Policy, language: str = "fr", key: bytes = b"k") -> list[str]:
    said = marked(text, language).said
    return [one.word.text for one in redacted(said, find(said, language).secrets, policy, language, key)]


def transcript(text: str, with_times: bool = True) -> Transcript:
    said = marked(text, "fr").said
    segments = [
        Segment(c, words[0].start_s, words[-1].end_s, " ".join(w.text for w in words), words if with_times else ())
        for c in sorted({one.channel for one in said})
        for words in [tuple(one.word for one in said if one.channel == c)]
    ]
    return Transcript("fr", "e", "m", "", tuple(segments))


def test_a_mask_names_the_kind_in_the_language() -> None:
    assert texts(CARD, MASKED) == ["ma", "carte", "[CARTE]", "merci"]
    assert texts("C: my card 4532 0151 1283 0366 thanks", MASKED, "en") == ["my", "card", "[CARD]", "thanks"]


def test_the_policy_keeps_what_it_does_not_name() -> None:
    assert texts("C: le 06 12 34 56 78 merci", MASKED) == ["le", "06", "12", "34", "56", "78", "merci"]
    assert texts(CARD, NO_REDACTION) == CARD[3:].split()


def test_pseudonyms_are_stable_and_keyed() -> None:
    spoken = (
        "C: ma carte quarante-cinq trente-deux zéro un cinquante et un douze quatre-vingt-trois zéro trois soixante-six"
    )
    first, again, other = texts(CARD, NAMED)[2], texts(spoken, NAMED)[2:], texts(CARD, NAMED, key=b"other")[2]
    assert again[0:1] == [first] or " ".join(again) == first
    assert first.startswith("[CARTE ") and other != first
    assert "4532" not in first


def test_transcripts_keep_times_and_everything_else() -> None:
    whole = transcript("C: ma carte 4532 0151 A: oui C: 1283 0366 merci A: bien")
    done = redact(whole, MASKED, b"")
    hidden, secrets = done.transcript, done.secrets
    assert [s.text for s in hidden.segments] == ["ma carte [CARTE] merci", "oui bien"]
    assert hidden.segments[1] is whole.segments[1]
    label, before = hidden.segments[0].words[2], whole.segments[0].words
    assert (label.start_s, label.end_s) == (before[2].start_s, before[5].end_s)
    assert [s.kind for s in secrets] == [SecretKind.CARD]
    assert "4532" not in repr(secrets)


def test_segments_without_words_are_redacted_by_their_text() -> None:
    hidden = redact(transcript(CARD, with_times=False), MASKED, b"").transcript
    assert hidden.segments[0].text == "ma carte [CARTE] merci" and hidden.segments[0].words == ()
    spread = with_words(Segment(0, 1.0, 3.0, "un deux"))
    assert [(w.text, w.start_s, w.end_s) for w in spread.words] == [("un", 1.0, 2.0), ("deux", 2.0, 3.0)]


def test_nothing_to_hide_changes_nothing() -> None:
    whole = transcript("C: bonjour madame")
    done = redact(whole, MASKED, b"")
    assert (done.transcript, done.secrets) == (whole, ())
