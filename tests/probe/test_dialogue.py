"""The built-in dialogues: they fit their times, their marks and their promise of a test card number."""

import re
from itertools import pairwise

import numpy as np
import pytest

from agent.model.call import CLOCK_RATE
from agent.probe import Dialogue, dialogue, languages

DIGITS = {
    "fr": ["zéro", "un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf"],
    "en": ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"],
}


@pytest.fixture(params=["fr", "en"])
def spoken(request) -> Dialogue:
    return dialogue(request.param)


def level(pcm: np.ndarray) -> float:
    return float(np.sqrt(np.mean(pcm.astype(float) ** 2)))


def test_both_are_built():
    assert languages() == ("en", "fr")


def test_unknown_language_names_the_known():
    with pytest.raises(LookupError, match=r"'de'.*en, fr"):
        dialogue("de")


def test_length_and_order(spoken):
    assert 20 <= spoken.seconds <= 45
    assert len(spoken.channels.customer) == len(spoken.channels.agent)
    assert spoken.channels.agent.dtype == np.int16
    assert spoken.turns[0].start_s > 0 and spoken.turns[-1].end_s < spoken.seconds
    assert all(a.end_s < b.start_s for a, b in pairwise(spoken.turns))
    assert {t.speaker for t in spoken.turns} == {"agent", "customer"}


def test_turns_are_heard_on_their_channel_only(spoken):
    for turn in spoken.turns:
        now = spoken.cut(turn.start_s, turn.end_s)
        speaking, quiet = (now.agent, now.customer) if turn.speaker == "agent" else (now.customer, now.agent)
        assert level(speaking) > 800
        assert 15 < level(quiet) < 40, "a quiet line is not an empty one"


def test_card_number_is_a_test_number_spoken_slowly_enough_to_press_pause(spoken):
    start_s, end_s = spoken.marks["card_number"]
    assert end_s - start_s > 4
    (turn,) = [t for t in spoken.turns if t.start_s == start_s]
    assert turn.speaker == "customer" and turn.end_s == end_s
    number = [DIGITS[spoken.language].index(word) for word in re.findall(r"\w+", turn.text.lower())]
    assert len(number) == 16
    assert sum(sum(divmod(d * 2, 10)) if i % 2 == 0 else d for i, d in enumerate(number)) % 10 == 0, "Luhn"


def test_the_contract_is_agreed_before_the_end(spoken):
    assert spoken.marks["card_number"][1] + 1 < spoken.cue < spoken.seconds - 2


def test_cut_takes_both_channels_at_the_sample(spoken):
    part = spoken.cut(1.5, 2.25)
    assert len(part.agent) == len(part.customer) == 0.75 * CLOCK_RATE
    assert (part.customer == spoken.channels.customer[12000:18000]).all()
    assert len(spoken.cut(spoken.seconds - 1).agent) == CLOCK_RATE


def test_a_dialogue_cannot_be_changed_by_one_who_borrowed_it(spoken):
    with pytest.raises(ValueError, match="read-only"):
        spoken.channels.agent[0] = 1
