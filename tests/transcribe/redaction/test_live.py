"""Live: however words are cut into events, no digit leaves that the transcript of the whole call would hide."""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.model.redaction import Policy, SecretKind
from agent.model.text import Said, Word
from agent.transcribe.redaction.find import find
from agent.transcribe.redaction.live import LiveRedactor
from bench.marked import cases, marked
from bench.utterances import utterances

ALL = Policy(mask=frozenset(SecretKind))
VOCABULARY = {
    "fr": "un deux quatre sept neuf zéro dix soixante quatre-vingt cent mille 4532 12 06 123 euh donc oui pardon "
    "double et euros mars carte cryptogramme commande numéro téléphone iban sécu clé année je maison "
    "porte voilà. finit",
    "en": "one two four seven nine zero ten sixty hundred thousand oh double 4532 12 07 123 um so yes sorry pounds "
    "march card security code order number phone iban the house door right.",
}
Key = tuple[int, float, str]


def key(one: Said) -> Key:
    return one.channel, one.word.start_s, one.word.text


def run(said: Sequence[Said], language: str, sizes: Sequence[int]) -> list[Said]:
    live = LiveRedactor(ALL, language)
    out: list[Said] = []
    at, turn = 0, 0
    while at < len(said):
        size = sizes[turn % len(sizes)]
        out += live.feed(said[at : at + size])
        at, turn = at + size, turn + 1
    out += live.flush()
    assert live.held == 0
    return out


def leaks(said: Sequence[Said], language: str, sizes: Sequence[int]) -> list[str]:
    found = find(said, language)
    secret = {word for s in found.secrets for word in s.words} & found.numbers
    out = {key(one) for one in run(said, language, sizes)}
    return [said[n].word.text for n in sorted(secret) if key(said[n]) in out]


def test_generated_calls_in_any_cut() -> None:
    rng = random.Random(7)
    for one in utterances(400, seed=7):
        sizes = [rng.choice((1, 1, 2, 3, 5, 9)) for _ in range(9)]
        assert leaks(one.said, one.language, sizes) == []


def test_hard_cases_word_by_word() -> None:
    for case in cases(Path(__file__).parent / "hard_cases.txt"):
        assert leaks(case.said, case.language, [1]) == [], case.text


@pytest.mark.parametrize(
    "text",
    [
        "C: un pour un homme A: un instant C: 84 12 76",
        "C: un homme A: dix derniers C: 06 05 76 451",
        "C: 2 pour une femme retrouve carte 44 A: 44 C: 01 pouvez répéter A: 01 C: département 62 055 A: 055 C: 268",
        "C: un pour homme, l'année 84, le mois 12, la commune 451, et 089. A: la clé ? C: par contre la clé c'est 46",
        "C: 1 76 05 et la commune 451 A: il y a une clé C: attendez je mets mes lunettes c'est tout petit clé 46",
    ],
)
def test_a_number_dictated_bit_by_bit_word_by_word(text: str) -> None:
    said = marked(f"A: votre numéro de sécu {text}", "fr").said
    assert leaks(said, "fr", [1]) == [] and find(said, "fr").secrets


def test_a_digit_that_waits_for_the_rest_of_its_number_is_hidden_where_that_is_forgotten() -> None:
    """ "Un" may have been an article: nobody will know."""
    said = marked("A: votre numéro de sécu C: un pour un homme d'ici", "fr").said
    live = LiveRedactor(ALL, "fr")
    left = [one.word.text for one in live.feed(said)]
    assert live.held
    live.forget(said[-1].word.start_s)
    left += [one.word.text for one in live.flush()]
    assert left == ["votre", "numéro", "de", "sécu", "[CHIFFRES]", "pour", "un", "homme"]


@st.composite
def conversations(draw: st.DrawFn) -> tuple[str, list[Said]]:
    language = draw(st.sampled_from(("fr", "en")))
    words = draw(st.lists(st.sampled_from(VOCABULARY[language].split()), min_size=3, max_size=40))
    said, now_s = [], 0.0
    for text in words:
        now_s += draw(st.sampled_from((0.05, 0.05, 0.05, 0.05, 1.5, 4.0)))
        said.append(Said(draw(st.sampled_from((0, 0, 1))), Word(text, round(now_s, 3), round(now_s + 0.3, 3), 1.0)))
        now_s += 0.3
    return language, said


@given(conversations(), st.lists(st.integers(1, 6), min_size=1, max_size=6))
@settings(max_examples=300, deadline=None)
def test_no_digit_leaves_that_the_whole_would_hide(conversation: tuple[str, list[Said]], sizes: list[int]) -> None:
    language, said = conversation
    assert leaks(said, language, sizes) == []


def test_words_leave_in_order_and_none_is_lost() -> None:
    said = marked("C: bonjour je voudrais parler de ma facture de mars A: très bien je vous écoute", "fr").said
    assert run(said, "fr", [1]) == list(said)


def test_words_without_numbers_leave_at_once() -> None:
    said = marked("C: bonjour je voudrais parler de ma facture", "fr").said
    live = LiveRedactor(ALL, "fr")
    left = [len(live.feed([one])) for one in said]
    assert sum(left) >= len(said) - 1 and live.held <= 1


def test_what_is_decided_late_leaves_hidden() -> None:
    said = marked("C: alors quatre cinq trois deux zéro", "fr").said
    live = LiveRedactor(ALL, "fr")
    out = live.feed(said)
    assert [one.word.text for one in out] == ["alors"]
    late = live.feed([], now_s=said[-1].word.end_s + 11)
    assert [one.word.text for one in late] == ["[CHIFFRES]"]


@pytest.mark.parametrize("language", ["fr", "en"])
def test_a_kept_kind_leaves_as_it_is(language: str) -> None:
    said = marked("C: 06 12 34 56 78 A: ok C: bonjour madame je suis là ce soir et demain aussi merci", "fr").said
    live = LiveRedactor(Policy(mask=frozenset({SecretKind.CARD})), language)
    assert live.feed(said) + live.flush() == list(said)


def test_memory_does_not_grow_with_the_call() -> None:
    words = [Said(0, Word("bonjour", n * 0.4, n * 0.4 + 0.3, 1.0)) for n in range(3000)]
    live = LiveRedactor(ALL, "fr")
    out = []
    for at in range(0, len(words), 100):
        out += live.feed(words[at : at + 100])
    assert out + live.flush() == words
    assert len(live._said) < 800


def spoken(text: str, start_s: float = 0.0) -> list[Said]:
    return [Said(0, Word(w, start_s + n * 0.5, start_s + n * 0.5 + 0.4, 0.9)) for n, w in enumerate(text.split())]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("ma carte c'est le 49.70 10.12 34.56 78.90 voilà", "ma carte c'est le [CARTE] voilà"),
        ("ma carte 497010.12 345678.90 12 voilà", "ma carte [CARTE] voilà"),
        ("ma carte 4970 10,12 3456 7890 merci", "ma carte [CARTE] merci"),
        ("cela fait 49,70 euros par mois", "cela fait 49,70 euros par mois"),
    ],
)
def test_points_and_commas_that_engines_put_between_digits_hide_no_number(text: str, told: str) -> None:
    assert " ".join(one.word.text for one in run(spoken(text), "fr", [1])) == told


@pytest.mark.parametrize(
    "guess", ["c'est le 497010.12", "le 49.70.10", "carte 497010123€", "le quatre neuf sept", "12h30"]
)
def test_a_guess_shows_nothing_of_a_number_however_it_is_written(guess: str) -> None:
    shown = [one.word.text for one in LiveRedactor(ALL, "fr").preview(spoken(guess))]
    assert shown == guess.split()[: len(shown)] and not {"quatre", "neuf", "sept"} & set(shown)
    assert not any(c.isdigit() for word in shown for c in word)


def test_what_waits_of_a_number_that_a_pause_cuts_is_never_told() -> None:
    live = LiveRedactor(ALL, "fr")
    out = live.feed(spoken("bonjour alors c'est le 4970 1012 3456"))
    live.forget(2.95)
    out += live.feed(spoken("voilà merci beaucoup", 60.0)) + live.flush()
    told = [one.word.text for one in out]
    assert told[:4] == ["bonjour", "alors", "c'est", "le"] and told[-3:] == ["voilà", "merci", "beaucoup"]
    assert not any(c.isdigit() for word in told for c in word)


class Rereading(LiveRedactor):
    """Reads all again for every word, as if each might change what was said before."""

    def _says_nothing(self, words: Sequence[Said]) -> bool:
        return False


PLAINLY = Policy(
    mask=frozenset({SecretKind.CARD, SecretKind.CVV, SecretKind.EXPIRY, SecretKind.IBAN, SecretKind.PHONE})
)
PLAIN_WORDS = "bonjour je suis et cette si de la a b c'est to for dit plus expire voilà the it y . ok visa code"


@st.composite
def chats(draw: st.DrawFn) -> tuple[str, list[Said]]:
    """Mostly plain words, some of them words that a number may go on over, be announced by, or be misheard as."""
    language = draw(st.sampled_from(("fr", "en", "und")))
    numbers = (*VOCABULARY["fr"].split(), *VOCABULARY["en"].split())
    plain = st.sampled_from(PLAIN_WORDS.split())
    texts = st.one_of(plain, plain, st.sampled_from(numbers))
    said, now_s = [], 0.0
    for text in draw(st.lists(texts, min_size=3, max_size=60)):
        now_s += draw(st.sampled_from((0.05, 0.05, 0.05, 1.5, 4.0, 35.0)))
        said.append(Said(draw(st.sampled_from((0, 0, 1))), Word(text, round(now_s, 3), round(now_s + 0.3, 3), 1.0)))
        now_s += 0.3
    return language, said


@given(chats(), st.lists(st.integers(1, 6), min_size=1, max_size=6))
@settings(max_examples=400, deadline=None)
def test_leaving_plain_words_unread_changes_nothing(chat: tuple[str, list[Said]], sizes: list[int]) -> None:
    language, said = chat
    lazy, thorough = LiveRedactor(PLAINLY, language), Rereading(PLAINLY, language)
    at, turn = 0, 0
    while at < len(said):
        size = sizes[turn % len(sizes)]
        guess = [one for one in said[at : at + size] if one.channel == said[at].channel]
        assert lazy.preview(guess) == thorough.preview(guess)
        assert lazy.feed(said[at : at + size]) == thorough.feed(said[at : at + size])
        at, turn = at + size, turn + 1
    assert lazy.flush() == thorough.flush()


def test_most_words_of_ordinary_talk_are_not_read_again(monkeypatch) -> None:
    read: list[int] = []
    whole = find
    monkeypatch.setattr(
        "agent.transcribe.redaction.live.find", lambda said, *more: read.append(len(said)) or whole(said, *more)
    )
    live = LiveRedactor(PLAINLY, "fr")
    for one in spoken("bonjour madame je vous appelle pour le contrat de ma mère qui ne marche plus depuis longtemps"):
        live.preview([one])
        live.feed([one])
    assert read == []
    live.feed(spoken("quatre", 20.0))
    assert len(read) == 1


def test_a_number_that_waits_is_read_to_its_end_in_the_language_it_began_in() -> None:
    live = LiveRedactor(PLAINLY, "fr")
    live.speaks(0, "und")
    out = live.feed(spoken("card four five three two one zero nine six"))
    live.speaks(0, "fr")
    out += live.feed(spoken("four five three two one zero nine six merci", 5.0)) + live.flush()
    told = {one.word.text for one in out}
    assert "merci" in told and not told & {"four", "five", "three", "two", "one", "zero", "nine", "six"}
