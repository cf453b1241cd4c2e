"""Bodies are found in any order, with any boundary, in any of the ways gateways write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sip.errors import SipError
from agent.sip.multipart import MAX_PARTS, METADATA, SDP, Part, bodies, build, parse

OFFER = b"v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\n"
XML = b"<?xml version='1.0'?><recording xmlns='urn:ietf:params:xml:ns:recording:1'/>"


@pytest.mark.parametrize("first_sdp", [True, False])
def test_what_is_built_is_found(first_sdp: bool) -> None:
    parts = [Part(SDP, OFFER, "session;handling=required"), Part(METADATA, XML, "recording-session")]
    content_type, body = build(parts if first_sdp else parts[::-1], "uniqueBoundary")
    found = bodies(content_type, body)
    assert (found.sdp, found.metadata) == (OFFER, XML)
    assert {p.disposition for p in parse(content_type, body)} == {"session", "recording-session"}


VARIANTS = {
    "bare line feeds": (
        "multipart/mixed;boundary=b",
        b"--b\nContent-Type: application/sdp\n\nv=0\n--b\n"
        b"Content-Type: application/rs-metadata+xml\n\n<recording/>\n--b--\n",
    ),
    "no final boundary": (
        'multipart/mixed; boundary="b"',
        b"--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--b\r\n"
        b"Content-Type: application/rs-metadata\r\n\r\n<recording/>",
    ),
    "no boundary parameter": (
        "multipart/mixed",
        b"--zz\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--zz\r\n"
        b"Content-Type: application/rs-metadata+xml\r\n\r\n<recording/>\r\n--zz--",
    ),
    "a preamble and folded headers": (
        "Multipart/Mixed;boundary=b;x=y",
        b"hello\r\n--b\r\nContent-Disposition:\r\n session\r\n"
        b"content-type: Application/SDP\r\n\r\nv=0\r\n--b\r\nContent-Type:"
        b" application/rs-metadata+xml;charset=utf-8\r\n\r\n<recording/>\r\n--b--",
    ),
    "parts without a type": ("multipart/mixed;boundary=b", b"--b\r\n\r\nv=0\r\n--b\r\n\r\n<recording/>\r\n--b--"),
    "no content type at all": (
        "",
        b"--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--b\r\n"
        b"Content-Type: application/rs-metadata+xml\r\n\r\n<recording/>\r\n--b--",
    ),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_variants(name: str) -> None:
    found = bodies(*VARIANTS[name])
    assert found.sdp is not None and found.sdp.strip() == b"v=0"
    assert found.metadata is not None and found.metadata.strip() == b"<recording/>"


def test_a_single_body_is_one_part() -> None:
    assert bodies("application/sdp", OFFER).sdp == OFFER
    assert bodies("", OFFER).sdp == OFFER
    assert bodies("application/sdp", b"").sdp is None
    assert bodies("application/x", b"?").others == ("application/x",)


def test_limits() -> None:
    with pytest.raises(SipError, match="boundary"):
        parse("multipart/mixed", b"no such thing")
    with pytest.raises(SipError, match="parts"):
        parse("multipart/mixed;boundary=b", b"--b\r\nX: y\r\n\r\nz\r\n" * (MAX_PARTS + 2))
    with pytest.raises(ValueError, match="boundary"):
        build([Part(SDP, b"a --b c")], "b")


@given(st.lists(st.binary(min_size=1, max_size=60).filter(lambda x: b"--" not in x and x.strip()), max_size=5))
def test_round_trip(datas: list[bytes]) -> None:
    content_type, body = build([Part("application/x", d) for d in datas], "boundary")
    assert [p.data for p in parse(content_type, body)] == datas


@given(st.text(max_size=80), st.binary(max_size=300))
def test_noise_raises_sip_error_only(content_type: str, body: bytes) -> None:
    for kind in (content_type, "multipart/mixed;boundary=" + content_type):
        try:
            bodies(kind, body)
        except SipError as error:
            assert error.status == 400
