"""Whatever a person types is words, never an operator of FTS5."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.search.shard import Line, find, image
from agent.search.words import MOST_TERMS, terms


def test_words_phrases_and_beginnings() -> None:
    assert terms('résilier "mon contrat" abonn*') == ('"résilier"', '"mon contrat"', '"abonn*"*')
    assert terms("NOT text:oui OR NEAR(a b) - ^ ()") == ('"NOT"', '"text:oui"', '"OR"', '"NEAR(a"', '"b)"')
    assert terms('"mon contrat') == ('"mon"', '"contrat"')


@pytest.mark.parametrize("bad", ["", "  ", "* - ()", '""', "mot " * (MOST_TERMS + 1), "m" * 500])
def test_what_holds_no_word_or_too_many_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="search"):
        terms(bad)


@given(text=st.text(max_size=60))
def test_no_text_is_an_error_of_fts5(text: str) -> None:
    shard = image([Line("e", "c", "agent p1", 0.0, text)])
    try:
        asked = terms(text)
    except ValueError:
        return
    find(shard, asked)
