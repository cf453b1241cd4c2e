"""SIP messages: what is read of any bytes is bounded and free of control characters, and can be answered."""

import re

from aiosipua.message import SipMessage, SipRequest

from agent.sip import message as sip
from agent.sip import uri
from agent.sip.errors import SipError
from agent.sip.respond import respond
from fuzz import quiet

SEEDS = (
    b"INVITE sip:srs@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKone;rport\r\n"
    b'From: "Gate \\"way\\"" <sip:src@192.0.2.9>;tag=theirs\r\nTo: <sip:srs@192.0.2.1>\r\nCall-ID: abc@192.0.2.9\r\n'
    b"CSeq: 1 INVITE\r\nContact: <sip:src@192.0.2.9:5060>;+sip.src\r\nSession-Expires: 1800;refresher=uac\r\n"
    b"Require: siprec\r\nRecord-Route: <sip:[2001:db8::1];lr>\r\nContent-Type: application/sdp\r\nContent-Length: 5\r\n"
    b"\r\nv=0\r\n",
    b"invite sip:a SIP/2.0\nv: SIP/2.0/TCP h;branch=z9hG4bKx\nf: <sip:a@b>;tag=1\nt: <sip:c@d>\ni: 1\nCSEQ: 7 invite\n"
    b"x: 1800\nk: timer, 100rel\nl: 0\n\n",
    b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKq\r\nCSeq: 3 BYE\r\n\r\n",
    b"BYE tel:+33-1-23 SIP/3.0\r\nVia: SIP/3.0/UDP [::1];branch=z9hG4bKq,SIP/2.0/UDP h\r\nFrom: sip:a;tag=1\r\n\r\n",
    b"OPTIONS sip:a SIP/2.0\r\nSubject: folded\r\n over\r\n\ttwo lines\r\nCall-ID:\0\r\n\r\n",
)
WORDS = (
    b"\r\nVia: ",
    b"\r\nRecord-Route: ",
    b"\r\n ",
    b";tag=",
    b"\r\nTo: <",
    b";branch=",
    b";received=",
    b"%00",
    b"SIP/2.0/UDP ",
)
NAMES = ("via", "from", "to", "call-id", "contact", "refer-to", "record-route", "session-expires", "content-type")
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def target(data: bytes) -> None:
    """One datagram."""
    try:
        message: SipMessage = sip.parse(data)
    except SipError as error:
        quiet.check(error)
        salvaged = sip.salvage(data)
        if salvaged is None:
            return
        assert not salvaged.body
        message = salvaged
    for name in NAMES:
        value = sip.header(message, name)
        assert len(value) <= sip.MAX_VALUE_CHARS and not CONTROL.search(value), name
        _check_address(value)
        assert all(t == t.strip() and t for t in sip.tokens(message, name))
    for name in ("from", "to"):
        assert len(sip.tag(message, name)) <= 200 and not re.search(r"\s", sip.tag(message, name))
    assert -1 <= sip.cseq(message) < 10**10 and len(sip.call_id(message)) <= 255
    assert all(len(part) <= 255 for part in sip.branch(message))
    if isinstance(message, SipRequest) and sip.missing(message) is None:
        _check_answer(message)


def _check_address(value: str) -> None:
    number, name = uri.number_of(value), uri.name_of(value)
    assert len(number) <= uri.MAX_NUMBER_CHARS and len(name) <= uri.MAX_NAME_CHARS
    assert not CONTROL.search(number + name)
    assert not re.search(r"\s", uri.uri_text(value))
    found = uri.uri_of(value)
    assert found is None or found.host


def _check_answer(request: SipRequest) -> None:
    """The answer is of the same transaction and dialog, and not a line longer than what we put there."""
    answer = respond(request, 200, ("192.0.2.9", 5060), to_tag="ours")
    data = bytes(answer)
    head = data.split(b"\r\n\r\n")[0]
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n", head), "a peer's line end in a header of ours"
    read = sip.parse(data)
    for name in ("from", "call-id"):
        assert sip.header(read, name).strip() == sip.header(request, name).strip(), name
    assert sip.cseq(read) == sip.cseq(request) and sip.branch(read)[0] == sip.branch(request)[0]
    assert sip.tag(read, "to") == (sip.tag(request, "to") or "ours")
