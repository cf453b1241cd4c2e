"""INFO as phones write it: the record key, keys of the keypad, and what is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model.call import Consent
from agent.model.keys import KEY_NAMES
from agent.sip import info
from agent.sip.errors import SipError
from agent.sip.message import parse
from agent.sip.said import MAX_TAG_CHARS, MAX_TAGS, Said, said

WORDS = {"yes": Consent.GIVEN, "no": Consent.REFUSED, "withdrawn": Consent.WITHDRAWN}


def written(*headers: str, kind: str = "", body: bytes = b""):
    lines = [
        "INFO sip:box SIP/2.0",
        "Via: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKx",
        "Call-ID: c",
        "CSeq: 2 INFO",
        *headers,
    ]
    lines += [f"Content-Type: {kind}"] if kind else []
    return parse("\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body)


@pytest.mark.parametrize(
    ("line", "on"), [("Record: on", True), ("Record: off", False), ("record:  OFF ", False), ("X-Record: on", None)]
)
def test_the_record_key(line: str, on: bool | None) -> None:
    assert info.record(written(line)) is on


@pytest.mark.parametrize("word", ["", "maybe", "on off", "offf"])
def test_a_record_key_that_says_neither_is_refused(word: str) -> None:
    with pytest.raises(SipError) as caught:
        info.record(written(f"Record: {word}"))
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("kind", "body", "key"),
    [
        ("application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n", "5"),
        ("application/dtmf-relay", b"Signal= *\nDuration= 250\n", "*"),
        ("Application/DTMF-Relay; charset=x", b"Duration=100\r\nsignal = #", "#"),
        ("application/dtmf-relay", b"Signal=10\r\n", "*"),
        ("application/dtmf-relay", b"Signal=d\r\n", "D"),
        ("application/dtmf-relay", b"Signal=16\r\nDuration=160\r\n", None),
        ("application/dtmf", b"7", "7"),
        ("application/dtmf", b" 11\r\n", "#"),
        ("application/dtmf", b"!", None),
        ("text/plain", b"7", None),
        ("application/media_control+xml", b"<media_control/>", None),
    ],
)
def test_a_key(kind: str, body: bytes, key: str | None) -> None:
    assert info.key(written(kind=kind, body=body)) == key


@pytest.mark.parametrize("body", [b"", b"Signal=\r\n", b"Signal=55", b"Signal=*71\r\n", b"17", b"1" * 1000, b"\xff"])
@pytest.mark.parametrize("kind", ["application/dtmf-relay", "application/dtmf"])
def test_keys_that_are_none_are_refused(kind: str, body: bytes) -> None:
    with pytest.raises(SipError) as caught:
        info.key(written(kind=kind, body=body))
    assert caught.value.status == 400


@given(st.binary(max_size=600), st.sampled_from(["application/dtmf-relay", "application/dtmf"]))
def test_any_body_is_one_key_none_or_refused(body: bytes, kind: str) -> None:
    try:
        key = info.key(written(kind=kind, body=body))
    except SipError as error:
        assert error.status == 400
    else:
        assert key is None or key in KEY_NAMES


def test_consent_and_tags() -> None:
    request = written("X-Consent: YES", "X-Tags: vip, renewal ,vip", "X-Campaign: gold 2026")
    heard = said(request, ("X-Other", "x-consent"), WORDS, ("X-Tags", "X-Campaign=campaign", "X-None=none"))
    assert heard == Said(Consent.GIVEN, ("vip", "renewal", "campaign=gold 2026"), frozenset({"campaign"}))
    assert said(request, (), WORDS, ()) == Said(), "only headers that the site has named"
    assert said(written("X-Consent: peut-être"), ("X-Consent",), WORDS, ()).consent is None


def test_a_named_tag_has_one_value() -> None:
    heard = Said(None, ("campaign=silver",), frozenset({"campaign"}))
    assert heard.tags_of(("campaign", "campaign=gold", "vip")) == ("campaign", "campaign=silver", "vip")
    assert Said().tags_of(("b", "a")) == ("a", "b")


@given(st.text(max_size=300), st.lists(st.text("ab=é ", max_size=80), max_size=30))
def test_tags_are_bounded_and_printable(value: str, before: list[str]) -> None:
    request = written(f"X-Tags: {' '.join(value.split())}")
    heard = said(request, (), {}, ("X-Tags", "X-Tags=t"))
    assert all(len(t) <= MAX_TAG_CHARS and t.isascii() and t.isprintable() and t == t.strip() for t in heard.tags)
    assert len(heard.tags_of(before)) <= MAX_TAGS
