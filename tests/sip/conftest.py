"""Messages to take apart: a request as a plain gateway sends it, made from parts that a test may change."""

from collections.abc import Callable

import pytest
from aiosipua.message import SipRequest

from agent.sip.message import parse

HEADERS = {
    "Via": "SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKone;rport",
    "From": '"Gateway" <sip:src@192.0.2.9>;tag=theirs',
    "To": "<sip:srs@192.0.2.1>",
    "Call-ID": "abc@192.0.2.9",
    "CSeq": "1 INVITE",
    "Contact": "<sip:src@192.0.2.9:5060>;+sip.src",
    "Max-Forwards": "70",
}


def written(method: str = "INVITE", body: bytes = b"", drop: tuple[str, ...] = (), **changes: str) -> bytes:
    """The bytes of a request. `changes` are headers with `_` for `-`."""
    headers = HEADERS | {"CSeq": f"1 {method}"} | {name.replace("_", "-"): value for name, value in changes.items()}
    lines = [f"{method} sip:srs@192.0.2.1 SIP/2.0"]
    lines += [f"{name}: {value}" for name, value in headers.items() if name not in drop]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


@pytest.fixture
def raw() -> Callable[..., bytes]:
    """`raw("BYE", CSeq="2 BYE")`: the bytes of a request."""
    return written


@pytest.fixture
def request_of() -> Callable[..., SipRequest]:
    """As `raw`, parsed."""

    def make(*arguments, **changes) -> SipRequest:
        message = parse(written(*arguments, **changes))
        assert isinstance(message, SipRequest)
        return message

    return make
