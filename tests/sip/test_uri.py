"""Numbers and names out of the addresses gateways write."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sip.uri import MAX_NUMBER_CHARS, name_of, number_of, uri_of, uri_text


@pytest.mark.parametrize(
    ("aor", "number"),
    [
        ("sip:+33612345678@gw.example;user=phone", "+33612345678"),
        ('"Ana" <sips:201@10.0.0.1:5061;transport=tcp>;tag=1', "201"),
        ("tel:+33-6-12.34(56)78;ext=4", "+33612345678"),
        ("sip:%2B33612345678@gw", "+33612345678"),
        ("sip:+33612345678:secret@gw", "+33612345678"),
        ("201", "201"),
        ("anna.b@example.com", "anna.b"),
        ("sip:gw.example", ""),
        ("", ""),
    ],
)
def test_number(aor: str, number: str) -> None:
    assert number_of(aor) == number


def test_name() -> None:
    assert name_of('"Ana \\"B\\"" <sip:a@b>') == 'Ana "B"'
    assert name_of("<sip:a@b>") == ""


def test_target() -> None:
    uri = uri_of("<sip:a@[2001:db8::1]:5070;lr>")
    assert uri is not None and uri.port == 5070
    assert uri_of("<tel:+331>") is None and uri_of("nonsense") is None and uri_of("sip:") is None
    assert uri_text('"x" <sip:a@b;ob>;expires=3') == "sip:a@b;ob"
    assert uri_text("sip:a@b;expires=3") == "sip:a@b"
    assert uri_text("<sip:a b>") == ""


@given(st.text(max_size=200))
def test_any_text_is_survived(text: str) -> None:
    number = number_of(text)
    assert len(number) <= MAX_NUMBER_CHARS and not re.search(r"[\x00-\x1f\x7f]", number)
    name_of(text), uri_of(text), uri_text(text)
