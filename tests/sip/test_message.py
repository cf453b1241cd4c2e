"""Messages are read however gateways write them, and what is no SIP message raises SipError and nothing else."""

import pytest
from aiosipua.message import SipRequest, SipResponse
from hypothesis import given
from hypothesis import strategies as st

from agent.sip import message as sip
from agent.sip.errors import SipError
from agent.sip.framing import MAX_HEAD_BYTES, MAX_MESSAGE_BYTES


def test_a_request_is_read(request_of) -> None:
    request = request_of(body=b"v=0\r\n")
    assert (request.method, sip.call_id(request), sip.cseq(request)) == ("INVITE", "abc@192.0.2.9", 1)
    assert sip.branch(request) == ("z9hG4bKone", "192.0.2.9:5060")
    assert (sip.tag(request, "from"), sip.tag(request, "to")) == ("theirs", "")
    assert request.body == b"v=0\r\n"
    assert sip.missing(request) is None


@pytest.mark.parametrize("name", ["Via", "From", "To", "Call-ID", "CSeq"])
def test_a_lacking_header_is_named(request_of, name: str) -> None:
    assert sip.missing(request_of(drop=(name,))) == name


@pytest.mark.parametrize("change", ["\n", "\r\n"])
def test_line_ends_compact_names_and_case_do_not_matter(change: str) -> None:
    lines = [
        "invite sip:srs@192.0.2.1 sip/2.0",
        "v: SIP/2.0/TCP h;branch=z9hG4bKx",
        "f: <sip:a@b>;tag=1",
        "t: <sip:c@d>",
    ]
    lines += ["i: 1@b", "CSEQ:  7   invite", "x: 1800;refresher=uac", "k: timer, 100rel", "l: 0", "", ""]
    request = sip.parse(change.join(lines).encode())
    assert isinstance(request, SipRequest)
    assert request.method == "INVITE" and sip.missing(request) is None and sip.cseq(request) == 7
    assert sip.header(request, "session-expires") == "1800;refresher=uac"
    assert sip.tokens(request, "supported") == {"timer", "100rel"}


def test_a_response_is_read() -> None:
    response = sip.parse(b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKq\r\nCSeq: 3 BYE\r\n\r\n")
    assert isinstance(response, SipResponse) and response.status_code == 200


def test_tag_of_the_uri_is_not_that_of_the_header(request_of) -> None:
    assert sip.tag(request_of(From="<sip:a@b;tag=uri>;tag=header"), "from") == "header"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00", 400),
        (b"", 400),
        (b"INVITE sip:a SIP/3.0\r\nVia: SIP/3.0/UDP h;branch=z9hG4bKq\r\n\r\n", 505),
        (b"INVITE sip:a SIP/2.0\r\nX: " + b"x" * MAX_HEAD_BYTES + b"\r\n\r\n", 513),
        (b"x" * (MAX_MESSAGE_BYTES + 1), 513),
    ],
)
def test_what_is_none_says_which_answer_it_deserves(data: bytes, status: int) -> None:
    with pytest.raises(SipError) as error:
        sip.parse(data)
    assert error.value.status == status
    assert "x" * 9 not in str(error.value), "what the peer sent is not repeated"


@given(st.binary(max_size=400), st.integers(0, 300))
def test_nothing_but_sip_error_is_raised(noise: bytes, at: int) -> None:
    good = b"BYE sip:x SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKq\r\nFrom: <sip:a>;tag=1\r\nTo: <sip:b>\r\n\r\n"
    for data in (noise, good[:at] + noise + good[at:]):
        try:
            read = sip.parse(data)
        except SipError:
            sip.salvage(data)
            continue
        for name in ("via", "from", "to", "contact"):
            assert "\x00" not in sip.header(read, name)
        sip.branch(read), sip.tag(read, "from"), sip.cseq(read), sip.tokens(read, "supported")


def test_what_can_be_answered_of_a_refused_request_is_salvaged(raw) -> None:
    found = sip.salvage(raw(body=b"x" * MAX_MESSAGE_BYTES))
    assert found is not None and sip.missing(found) is None
    other = sip.salvage(raw().replace(b"SIP/2.0\r\n", b"SIP/7.0\r\n", 1))
    assert other is not None and sip.call_id(other) == "abc@192.0.2.9"
    assert sip.salvage(b"\x00" * 90) is None
