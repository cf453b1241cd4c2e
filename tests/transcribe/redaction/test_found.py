"""What is found in whole conversations: hard cases by hand, thousands by a generator, and nothing in what is no
secret."""

from pathlib import Path

import pytest

from agent.model.redaction import NAMED, SecretKind
from bench.marked import Marked, calls, cases
from bench.redaction import falsely, hidden, recall, texts
from bench.utterances import utterances

HERE = Path(__file__).parent
HARD = list(cases(HERE / "hard_cases.txt"))


def test_there_are_enough_hard_cases() -> None:
    assert len(HARD) >= 200
    assert sum(not one.secret for one in HARD) >= 60
    assert {kind for one in HARD for kind in one.secret.values()} == set(SecretKind) - NAMED


@pytest.mark.parametrize("case", HARD, ids=lambda case: case.text[:60])
def test_hard_case(case: Marked) -> None:
    assert hidden(case.said, case.language) == case.secret


def test_recall_of_five_thousand_utterances() -> None:
    figures = recall(list(utterances(5000, seed=1)))
    assert figures["recall"] >= 0.995, figures
    assert figures["kind_right"] >= 0.97, figures
    assert min(figures["by_form"].values()) >= 0.99, figures


def test_utterances_are_the_same_for_the_same_seed() -> None:
    assert list(utterances(20, seed=3)) == list(utterances(20, seed=3)) != list(utterances(20, seed=4))


def test_nothing_is_hidden_without_cause_in_calls() -> None:
    figures = falsely(texts())
    assert figures["words"] >= 2700
    assert figures["false_per_1000_words"] <= 0.5, figures
    assert figures["missed_words"] == 0


@pytest.mark.parametrize("language", ["fr", "en"])
def test_secrets_of_calls_have_their_kind(language: str) -> None:
    for call in calls(HERE / f"calls_{language}.txt", language):
        assert hidden(call.said, language) == call.secret
