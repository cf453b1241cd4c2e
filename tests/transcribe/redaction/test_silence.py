"""Silences: around what is hidden, on the channels that say it, over sound that goes on, and over no whole other
word."""

import numpy as np
import pytest

from agent.model.redaction import SecretKind
from agent.model.text import Said, Word
from agent.transcribe.redaction.find import find
from agent.transcribe.redaction.silence import MARGIN_S, followed, silenced, silences
from bench.marked import marked

RATE = 8000


def test_margin_and_both_channels() -> None:
    said = marked("C: (5) 4532 0151 A: 4532 0151 C: 1283 0366", "fr").said
    secrets = find(said, "fr").secrets
    spans = silences(said, secrets)
    assert sorted(spans) == [0, 1]
    (start, end), *_ = spans[0]
    assert start == said[0].word.start_s - 0.5
    assert spans[0][-1][1] == said[-1].word.end_s + 0.5
    assert spans[1] == [(said[2].word.start_s - 0.5, said[3].word.end_s + 0.5)]
    assert end >= said[1].word.end_s


def test_a_neighbour_keeps_half_of_itself() -> None:
    said = marked("C: alors 4532 0151 1283 0366 merci", "fr").said
    ((start, end),) = silences(said, find(said, "fr").secrets)[0]
    first, last = said[0].word, said[-1].word
    assert start == min((first.start_s + first.end_s) / 2, said[1].word.start_s - 0.15)
    assert last.start_s < end < last.end_s


def test_least_margin_even_beside_a_short_word() -> None:
    words = [Word("ok", 0.88, 1.0, 1), *(Word("4532", 1 + n * 0.3, 1.3 + n * 0.3, 1) for n in range(4))]
    said = [Said(0, w) for w in words]
    ((start, _),) = silences(said, find(said, "fr").secrets)[0]
    assert start == pytest.approx(0.85)


@pytest.mark.parametrize(
    ("word", "gap_s", "lasts_s", "whole"),
    [("in", 0.3, 0.4, True), ("merci", 0.3, 0.4, False), ("in", 1.5, 0.4, False), ("interminable", 0.3, 1.2, False)],
)
def test_a_short_word_close_to_a_card_may_be_its_last_digit_misheard(word, gap_s, lasts_s, whole) -> None:
    said = [Said(0, Word("4532", n * 0.3, 0.3 + n * 0.3, 1)) for n in range(4)]
    begins = 1.2 + gap_s
    said.append(Said(0, Word(word, begins, begins + lasts_s, 1)))
    ((_, end),) = silences(said, find(said, "en").secrets)[0]
    assert (end >= begins + lasts_s) is whole


@pytest.mark.parametrize(("being_s", "until_s"), [(0.5, 1.9 + MARGIN_S), (0.9, 1.4 + 0.9 / 2)])
def test_a_digit_may_be_taken_for_two_words_that_together_are_as_short(being_s: float, until_s: float) -> None:
    """Then the margin begins beyond the second word: engines are no better at the edges of what they mishear."""
    number = [Word("4532", n * 0.3, 0.3 + n * 0.3, 1) for n in range(4)]
    taken = [Word("in", 1.3, 1.4, 1), Word("being", 1.4, 1.4 + being_s, 1)]
    ((_, end),) = silences(said := [Said(0, w) for w in (*number, *taken)], find(said, "en").secrets)[0]
    assert end == pytest.approx(until_s)
    mirrored = [Said(0, Word(w.text, 9 - w.end_s, 9 - w.start_s, 1)) for w in (*reversed(taken), *reversed(number))]
    ((start, _),) = silences(mirrored, find(mirrored, "en").secrets)[0]
    assert start == pytest.approx(9 - until_s)


def test_sound_at_the_edge_is_followed_and_silence_is_not() -> None:
    pcm = np.zeros(4 * RATE, np.int16)
    pcm[int(0.8 * RATE) : int(2.3 * RATE)] = 5000
    assert followed(pcm, RATE, [(1.0, 2.0)]) == [pytest.approx((0.8, 2.3))]
    assert followed(pcm, RATE, [(0.5, 2.6)]) == [(0.5, 2.6)]
    pcm[:] = 5000
    assert followed(pcm, RATE, [(1.0, 2.0)]) == [(0.5, 2.5)]
    assert followed(pcm[:10], RATE, [(1.0, 2.0)]) == [(1.0, 2.0)]


def test_silenced_copies_and_touches_nothing_else() -> None:
    pcm = np.full((2, RATE), 7, np.int16)
    quiet = silenced(pcm, RATE, {1: [(0.25, 0.5), (0.9, 5.0)]})
    assert (pcm == 7).all() and (quiet[0] == 7).all()
    assert (quiet[1, 2000:4000] == 0).all() and (quiet[1, 7200:] == 0).all()
    assert (quiet[1, :2000] == 7).all() and (quiet[1, 4000:7200] == 7).all()


def test_kinds_are_those_that_are_given() -> None:
    said = marked("C: 06 12 34 56 78 bonjour madame je suis ravi", "fr").said
    assert silences(said, [s for s in find(said, "fr").secrets if s.kind is SecretKind.CARD]) == {}
