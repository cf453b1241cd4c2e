"""A datagram or a framed message as a request or response: `aiosipua`'s codec, made lenient about what gateways send.

RFC 3261 §7 and §25; compact names also of RFC 4028, 3515, 3892 and 6665. What a recorder can do without, it does not
insist on: Max-Forwards, From tag, Contact, the method in CSeq, a right Content-Length.
"""

import re
from collections.abc import Iterator

from aiosipua.headers import CaseInsensitiveDict
from aiosipua.message import SipMessage, SipRequest, SipResponse

from agent.sip.errors import SipError
from agent.sip.framing import MAX_HEAD_BYTES, MAX_MESSAGE_BYTES, split_head

MAX_VALUE_CHARS = 8192
METHODS = ("INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "UPDATE", "INFO")
"""What the recorder serves, and lists in Allow."""

KNOWN_METHODS = frozenset({*METHODS, "REGISTER", "PRACK", "SUBSCRIBE", "NOTIFY", "PUBLISH", "MESSAGE", "REFER"})
"""Methods that exist: one of these that is not served is 405, any other 501 (RFC 3261 §8.2.1)."""

_MORE_COMPACT = {"x": "Session-Expires", "o": "Event", "r": "Refer-To", "b": "Referred-By", "u": "Allow-Events"}
_START = re.compile(
    rb"[A-Za-z][A-Za-z0-9.!%*_+`'~-]{0,31}[ \t]+\S{1,2000}[ \t]+SIP/\d{1,3}\.\d{1,3}[ \t]*$", re.IGNORECASE
)
_STATUS = re.compile(rb"SIP/2\.0[ \t]+[1-6]\d\d(?:[ \t].*)?$", re.IGNORECASE)
_TAG = re.compile(r";[ \t]*tag[ \t]*=[ \t]*\"?([^\s;,\"<>]{1,200})", re.IGNORECASE)
_NUMBER = re.compile(r"\d{1,10}")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

Message = SipRequest | SipResponse


def parse(data: bytes) -> Message:
    """The message in `data` (one datagram, or what StreamFramer gave).

    Raises SipError: 400 when it is no SIP message, 505 for another version, 513 when it is too large.
    """
    if len(data) > MAX_MESSAGE_BYTES:
        raise SipError(513, f"a message is longer than {MAX_MESSAGE_BYTES} bytes")
    data = data.lstrip(b"\r\n \t")
    head, body = split_head(data) or (data.rstrip(b"\r\n\0"), b"")
    if len(head) > MAX_HEAD_BYTES:
        raise SipError(513, f"a message head is longer than {MAX_HEAD_BYTES} bytes")
    start = re.split(rb"\r\n|\n|\r", head, maxsplit=1)[0].rstrip()
    if not (_START.match(start) or _STATUS.match(start)):
        raise SipError(400, "the start line is that of no SIP message")
    try:
        message = SipMessage.parse(head.replace(b"\0", b" ") + b"\r\n\r\n" + body)
    except ValueError as error:
        raise SipError(400, "the message head cannot be read") from error
    _spell_out(message.headers)
    if isinstance(message, SipRequest):
        message.method = message.method.upper()
        if not start.upper().endswith(b"SIP/2.0"):
            raise SipError(505, "the SIP version is not 2.0")
    return message


def salvage(data: bytes) -> SipRequest | None:
    """The request whose head is at the start of data that `parse` refused, without a body, or None."""
    head = (split_head(data[:MAX_HEAD_BYTES].lstrip(b"\r\n \t")) or (b"", b""))[0]
    head = re.sub(rb"SIP/\d{1,3}\.\d{1,3}", b"SIP/2.0", head, count=1, flags=re.IGNORECASE)
    try:
        message = parse(head + b"\r\n\r\n")
    except SipError:
        return None
    return message if isinstance(message, SipRequest) else None


def _spell_out(headers: CaseInsensitiveDict) -> None:
    for short, name in _MORE_COMPACT.items():
        for value in headers.get(short):
            headers.append(name, value)
        headers.remove(short)


def header(message: SipMessage, name: str) -> str:
    """The first value of a header, control characters gone and length limited; "" when absent."""
    value = message.headers.get_first(name)
    return _CONTROL.sub("", value)[:MAX_VALUE_CHARS] if value else ""


def tokens(message: SipMessage, name: str) -> frozenset[str]:
    """A header that lists tokens (Supported, Require, Allow), in lower case, parameters dropped."""
    return frozenset(_tokens(message.headers.get(name)))


def _tokens(values: list[str]) -> Iterator[str]:
    for value in values:
        for item in value.split(","):
            if token := item.split(";")[0].strip().lower():
                yield token


def tag(message: SipMessage, name: str) -> str:
    """The tag of From or To, "" when it has none (RFC 2543 peers)."""
    value = header(message, name)
    found = _TAG.search(value, value.rfind(">") + 1)
    return found[1] if found else ""


def call_id(message: SipMessage) -> str:
    """The Call-ID, "" when it is missing."""
    return header(message, "call-id")[:255]


def cseq(message: SipMessage) -> int:
    """The CSeq number, whatever stands around it; -1 when there is none. The method is taken from the request line."""
    found = _NUMBER.search(header(message, "cseq"))
    return int(found[0]) if found else -1


def branch(message: SipMessage) -> tuple[str, str]:
    """Branch and sent-by of the topmost Via, both "" when it cannot be read (RFC 3261 §17.2.3)."""
    try:
        via = message.via[0]
    except (ValueError, IndexError):
        return "", ""
    return (via.branch or "")[:255], f"{via.host}:{via.port or ''}".lower()[:255]


def missing(request: SipRequest) -> str | None:
    """The name of the first header without which a request cannot be answered or placed, or None (§8.1.1)."""
    for name in ("Via", "From", "To", "Call-ID", "CSeq"):
        if not header(request, name).strip():
            return name
    return "CSeq" if cseq(request) < 0 else None
