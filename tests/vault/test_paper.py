"""A key on paper: what is written is read, and a slip of the pen is found in its line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.vault.age import new_identity
from agent.vault.paper import LENGTH, LETTERS, LINES, PREFIX, WrongLine, typed, typed_line, written

_secrets = st.text(alphabet=LETTERS, min_size=LENGTH, max_size=LENGTH).map(lambda text: PREFIX + text)


@given(_secrets, st.sampled_from([str.lower, str.upper, lambda t: t.replace(" ", ""), lambda t: t.replace(" ", "-")]))
def test_what_is_written_is_read_however_it_is_typed(secret, hand):
    assert typed([hand(line) for line in written(secret)]) == secret


@given(_secrets, st.integers(1, LINES), st.data())
def test_one_wrong_letter_or_two_exchanged_are_found_in_their_line(secret, number, data):
    line = written(secret)[number - 1].replace(" ", "")
    at = data.draw(st.integers(0, len(line) - 1))
    wrong = line[:at] + data.draw(st.sampled_from(LETTERS.replace(line[at], ""))) + line[at + 1 :]
    swapped = line[: at - 1] + line[at] + line[at - 1] + line[at + 1 :] if 0 < at < len(line) - 2 else line
    for slip in {wrong, swapped} - {line}:
        with pytest.raises(WrongLine) as caught:
            typed_line(number, slip)
        assert caught.value.number == number


@given(_secrets, st.permutations(range(LINES - 1)))
def test_lines_in_another_order_are_found(secret, order):
    lines = written(secret)
    moved = [lines[at] for at in order] + [lines[-1]]
    if moved != list(lines):
        with pytest.raises(WrongLine):
            typed(moved)


@pytest.mark.parametrize("slip", ["", "QPZR", "QPZR Y9X8 GF2T VDW", "BPZR Y9X8 GF2T VD", "ſPZR Y9X8 GF2T VD"])
def test_what_is_no_line_is_said_to_be_none(slip):
    with pytest.raises(WrongLine, match="line 1"):
        typed_line(1, slip)


def test_a_real_key_fits_and_others_do_not():
    secret = new_identity().secret
    assert typed(written(secret)) == secret and len(written(secret)) == LINES
    for wrong in ("", secret[:-1], secret.replace("AGE", "EGA")):
        with pytest.raises(ValueError, match="age secret key"):
            written(wrong)
    with pytest.raises(WrongLine):
        typed(written(secret)[:-1])
