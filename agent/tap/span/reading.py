"""What the watcher takes of a message: its session description, and who and which call its headers name. Pure."""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

from aiosipua.message import SipRequest, SipResponse

from agent.sip import multipart, sdp
from agent.sip.errors import SipError
from agent.sip.message import Message, call_id, header, parse
from agent.sip.sdp import Description, OfferedMedia
from agent.sip.uri import clean, name_of, number_of
from agent.tap.siprec.people import Numbers
from agent.tap.span.message import Overheard, Said

MOST_LINES = 4
MOST_FORMATS = 16
REMEMBERED = 256
"""Descriptions that need not be read again."""
_DESCRIBES = frozenset({"INVITE", "ACK", "PRACK", "UPDATE"})
_OF_NO_CALL = re.compile(rb"(?:REGISTER|OPTIONS|SUBSCRIBE|NOTIFY|PUBLISH|MESSAGE) ")
_ANSWERS_NO_CALL = re.compile(
    rb"[\r\n]CSeq[ \t]*:[ \t]*\d+[ \t]+(?:INFO|" + _OF_NO_CALL.pattern[3:-1] + rb"[ \t]*[\r\n]", re.IGNORECASE
)
_CALL_ID = re.compile(rb"[\r\n](?:Call-ID|i)[ \t]*:[ \t]*([^\r\n]*[^\s])", re.IGNORECASE)


def message_of(data: bytes, overheard: Overheard) -> Said:
    """A whole message, `data`, that came with what was overheard. Raises SipError."""
    message = parse(data)
    method = message.method if isinstance(message, SipRequest) else _cseq_method(message)
    description = _described(message) if method in _DESCRIBES and message.body else None
    source, destination = overheard.source[0], overheard.destination[0]
    return Said(overheard.at_ns, source, destination, message, method, call_id(message), description)


def _described(message: Message) -> Description | None:
    """The session description a message carries, if it can be read."""
    try:
        found = multipart.bodies(header(message, "content-type"), message.body)
        return None if found.sdp is None else _read(found.sdp)
    except SipError:
        return None


@lru_cache(REMEMBERED)
def _read(written: bytes) -> Description:
    """Hops of a proxy, repetitions and session timers say the same again and again."""
    return Description(tuple(_kept(media) for media in sdp.read(written).media[:MOST_LINES]))


def _kept(media: OfferedMedia) -> OfferedMedia:
    """What is needed of an m-line, no more: there may be many."""
    return replace(media, formats=(), codecs=media.codecs[:MOST_FORMATS], label="", mid="", crypto=())


def _cseq_method(message: Message) -> str:
    """The method of the request that a response answers."""
    return header(message, "cseq").split()[-1].upper() if header(message, "cseq").split() else ""


def may_matter(data: bytes, knows: Callable[[str], bool]) -> bool:
    """False for keep-alives, and for messages of methods that neither begin nor change a call when they are of no known
    dialog either (`knows` its Call-ID): most of what a registrar says and hears. An INFO may, as its dialog may be one
    whose INVITE is still to be acted on."""
    if not data.strip(b"\r\n\0 "):
        return False
    if not (_ANSWERS_NO_CALL.search(data) if data.startswith(b"SIP/") else _OF_NO_CALL.match(data)):
        return True
    found = _CALL_ID.search(data)
    return found is not None and knows(found[1].decode("utf-8", "replace"))


def numbers_of(response: SipResponse) -> Numbers:
    """Who called, from the answer to an INVITE that was not heard."""
    return Numbers(number_of(header(response, "from")), name_of(header(response, "from")))


def asserted(message: Message) -> tuple[str, str]:
    """Number and name of who sends the message, as the network asserts (RFC 3325, or the older Remote-Party-ID)."""
    value = header(message, "p-asserted-identity") or header(message, "remote-party-id")
    return number_of(value[: value.index(">") + 1] if ">" in value else value), name_of(value)


def common_value(written: str) -> str:
    """What identifies a call in a header: without parameters; nothing where it is all zeros (RFC 7989 §5)."""
    value = clean(written.partition(";")[0], 128) if written else ""
    return value if value.strip("0-") else ""
