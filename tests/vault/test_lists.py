"""Lists of numbers: hashes only, one hash however a number is written, nothing told of what is spoiled."""

import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.vault.lists import Entry, Hasher, read_list, write_list
from agent.vault.numbers import international

HASHER = Hasher(bytes(32), "33")


@pytest.mark.parametrize("text", ["0612345678", "06 12 34 56 78", "+33 6 12 34 56 78", "0033612345678", "33612345678"])
def test_one_number_has_one_hash_however_it_is_written(text):
    assert HASHER(text) == HASHER("+33612345678")


def test_extensions_and_names_are_themselves():
    assert [international(t, "33") for t in ("2001", "0800", "Alice")] == ["2001", "0800", "alice"]
    assert HASHER("2001") != HASHER("2002") != Hasher(bytes(31) + b"1", "33")("2002")


def test_a_list_is_read_as_it_was_written_and_holds_no_number(tmp_path):
    path = tmp_path / "lists" / "opt-out.txt"
    assert read_list(path) == ()
    entries = (Entry(HASHER("0612345678"), "2026-11-25", "letter of 3 November"), Entry(HASHER("2001")))
    write_list(path, entries)
    assert read_list(path) == entries
    assert "612345678" not in path.read_text() and stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


def test_a_line_that_is_no_entry_is_named_by_its_place_and_not_repeated(tmp_path):
    path = tmp_path / "opt-out.txt"
    path.write_text(f"# mine\n\n{HASHER('1')}\n0612345678\n")
    with pytest.raises(ValueError, match="line 4") as caught:
        read_list(path)
    assert "0612345678" not in str(caught.value)


@given(st.text(max_size=30))
def test_any_text_has_a_hash(text):
    assert len(HASHER(text)) == 32


def test_a_key_is_made_once(tmp_path):
    first = Hasher.made(tmp_path, "33")
    assert Hasher.made(tmp_path, "33") == first == Hasher.load(tmp_path, "33")
