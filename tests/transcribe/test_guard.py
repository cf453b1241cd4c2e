"""The guard hears card numbers begin, by their first digits, and lets other numbers be."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.model.text import Word
from agent.transcribe.guard import Alarm, Guard, Reason, Rules

RULES = Rules(digits=4, phrases=("numéro de votre carte", "card number"))


def words(text: str, start_s: float = 0.0, each_s: float = 0.4) -> tuple[Word, ...]:
    return tuple(
        Word(word, start_s + n * each_s, start_s + n * each_s + each_s * 0.9, 0.9)
        for n, word in enumerate(text.split())
    )


def first_alarm(text: str, language: str, rules: Rules = RULES) -> tuple[int, Alarm] | None:
    """After how many words of one party, each heard as a guess, there is an alarm."""
    guard = Guard(rules, language)
    said = words(text)
    for count in range(1, len(said) + 1):
        if alarm := guard.hear(0, said[:count], stable=False):
            return count, alarm
    return None


@pytest.mark.parametrize(
    ("text", "language", "by", "since"),
    [
        ("alors c'est quatre cinq trois deux un deux", "fr", "deux", 0.8),
        ("quarante-cinq trente-deux douze", "fr", "trente-deux", 0.0),
        ("cinq mille deux cent trente douze", "fr", "douze", 0.0),
        ("so it is four five three two one", "en", "two", 1.2),
        ("it is forty-five thirty-two", "en", "thirty-two", 0.8),
        ("euh quatre euh cinq donc trois deux", "fr", "deux", 0.4),
        ("4532 1234", "fr", "1234", 0.0),
    ],
)
def test_four_digits_are_enough(text: str, language: str, by: str, since: float) -> None:
    found = first_alarm(text, language)
    assert found is not None
    count, alarm = found
    assert text.split()[count - 1] == by or count <= text.split().index(by) + 1
    assert (alarm.reason, alarm.since_s) == (Reason.DIGITS, pytest.approx(since))


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("mon numéro de commande est quatre cinq trois deux un deux", "fr"),
        ("vous pouvez me joindre au zéro six douze trente-quatre cinquante-six", "fr"),
        ("le douze mars deux mille vingt-quatre nous étions trois", "fr"),
        ("ça fait quatre mille cinq cent trente-deux euros", "fr"),
        ("your order number is four five three two", "en"),
        ("il y a un an et deux mois", "fr"),
    ],
)
def test_other_numbers_are_let_be(text: str, language: str) -> None:
    assert first_alarm(text, language) is None


def test_what_a_bill_is_paid_for_exempts_no_number() -> None:
    assert first_alarm("je voudrais régler ma facture alors je commence quatre cinq trois deux un deux", "fr")
    assert first_alarm("ma facture quatre cinq trois deux un deux", "fr") is None, "it is the number of that"


def test_a_number_that_was_asked_for_is_known_though_it_had_to_be_looked_for() -> None:
    asked = "votre numéro de client sous les yeux attendez oui alors c'est le quatre cinq trois deux un deux"
    assert first_alarm(asked, "fr") is None


@pytest.mark.parametrize("text", ["ma carte alors dans vingt minutes", "je paie par carte le trente du mois prochain"])
def test_one_short_figure_is_no_card_number_though_a_card_was_spoken_of(text: str) -> None:
    assert first_alarm(text, "fr") is None


def test_an_alarm_makes_no_others_of_numbers_long_after_it() -> None:
    guard = Guard(Rules(digits=4, hold_s=10.0), "fr")
    assert guard.hear(0, words("quatre cinq trois deux"), stable=False) is not None
    guard.forget(0.0)
    assert guard.hear(0, words("neuf deux un", 24.0), stable=False) is None
    assert guard.hear(0, words("c'est soixante-douze", 12.0), stable=False) is None, "it may be a sum yet"


def test_once_a_card_was_spoken_of_two_digits_are_enough() -> None:
    count, alarm = first_alarm("je paie par carte c'est quatre cinq trois", "fr") or (0, None)
    assert count == 7
    assert alarm is not None
    assert alarm.since_s == pytest.approx(2.0)


def test_as_long_as_a_card_it_is_one_whatever_it_was_announced_as() -> None:
    text = "mon numéro de commande est quatre cinq trois deux un deux trois quatre cinq six sept huit neuf zéro un deux"
    found = first_alarm(text, "fr")
    assert found is not None
    assert found[0] > 12


def test_phrases_and_the_code_raise_it_before_a_digit_is_said() -> None:
    count, alarm = first_alarm("quel est le numéro de votre carte", "fr") or (0, None)
    assert (count, alarm and alarm.reason) == (7, Reason.PHRASE)
    count, alarm = first_alarm("et le cryptogramme au dos", "fr") or (0, None)
    assert (count, alarm and alarm.reason) == (3, Reason.CODE)
    assert first_alarm("le numéro de votre rue", "fr") is None


def test_a_number_that_goes_on_over_turns_and_parties_counts_as_one() -> None:
    guard = Guard(RULES, "fr")
    assert guard.hear(0, words("quatre cinq"), stable=True) is None
    assert guard.hear(1, words("oui", 1.0), stable=True) is None
    alarm = guard.hear(0, words("trois deux", 1.6), stable=False)
    assert alarm == Alarm(Reason.DIGITS, 0.0)


def test_a_guess_replaces_the_guess_before_it_and_old_words_are_no_reason() -> None:
    guard = Guard(RULES, "fr")
    assert guard.hear(0, words("quatre cinq trois"), stable=False) is None
    assert guard.hear(0, words("quatre saint troie"), stable=False) is None
    assert guard.hear(0, words("quatre cinq trois deux"), stable=True) is not None
    assert guard.hear(0, words("merci beaucoup", 9.0), stable=True) is None, "it was said, and long ago"


def test_what_was_forgotten_counts_no_more() -> None:
    guard = Guard(RULES, "fr")
    guard.hear(0, words("quatre cinq trois"), stable=True)
    guard.forget(0.0)
    assert guard.hear(0, words("deux", 1.2), stable=False) is None


@pytest.mark.parametrize("rest", ["sept huit neuf zéro", "zéro un deux trois", "soixante-dix douze", "neuf neuf huit"])
def test_the_rest_of_a_number_is_heard_after_a_pause_whatever_it_begins_with(rest: str) -> None:
    guard = Guard(RULES, "fr")
    assert guard.hear(0, words("quatre cinq trois deux"), stable=False) is not None
    guard.forget(0.0)
    alarm = guard.hear(0, words(rest, 14.0), stable=False)
    assert alarm is not None and alarm.since_s == pytest.approx(14.0)
    assert guard.hear(0, words(rest, 200.0), stable=False) is None, "long after, it is another number"


def test_a_party_that_is_heard_late_is_guarded_all_the_same() -> None:
    guard = Guard(RULES, "fr")
    assert guard.hear(1, words("oui d'accord", 12.0), stable=True) is None
    assert guard.hear(0, words("quatre cinq trois deux", 4.0), stable=True) == Alarm(Reason.DIGITS, 4.0)


class Thorough(Guard):
    """Judges every guess, whatever is in it."""

    def _is_idle(self, heard_s: float, words: Sequence[Word]) -> bool:
        return False


HEARD = (
    "bonjour je suis la de et cette si voilà the code cryptogramme sécurité carte dos au numéro votre commande card "
    "number double quatre deux cinq mille cent un seven zero oh 4532 euros"
)


@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.booleans(), st.lists(st.sampled_from(HEARD.split()), min_size=1, max_size=5)),
        min_size=2,
        max_size=25,
    ),
    st.sampled_from((0.1, 1.2, 5.0)),
)
@settings(max_examples=300, deadline=None)
def test_guesses_that_are_not_judged_would_have_raised_no_alarm(
    turns: list[tuple[int, bool, list[str]]], pause_s: float
) -> None:
    lazy, thorough, at = Guard(RULES, "fr"), Thorough(RULES, "fr"), 0.0
    for channel, stable, said in turns:
        heard = words(" ".join(said), at)
        assert lazy.hear(channel, heard, stable=stable) == thorough.hear(channel, heard, stable=stable)
        at += pause_s + (0.4 * len(said) if stable else 0.0)


def test_memory_does_not_grow_with_the_call() -> None:
    guard = Guard(RULES, "fr")
    for n in range(400):
        guard.hear(0, words("bonjour madame je vous appelle pour le contrat", n * 4.0), stable=True)
    assert len(guard._lines[0].decided) < 600
