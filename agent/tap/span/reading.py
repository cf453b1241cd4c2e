"""What the watcher takes of a message: its session description, and who and which call its headers name. Pure."""

from dataclasses import replace
from functools import lru_cache

from aiosipua.message import SipResponse

from agent.sip import multipart, sdp
from agent.sip.errors import SipError
from agent.sip.message import Message, header
from agent.sip.sdp import Description, OfferedMedia
from agent.sip.uri import clean, name_of, number_of
from agent.tap.siprec.people import Numbers

MOST_LINES = 4
MOST_FORMATS = 16
REMEMBERED = 256
"""Descriptions that need not be read again."""


def described(message: Message) -> Description | None:
    """The session description a message carries, if it can be read."""
    if not message.body:
        return None
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


def cseq_method(message: Message) -> str:
    """The method of the request that a response answers."""
    return header(message, "cseq").split()[-1].upper() if header(message, "cseq").split() else ""


def numbers_of(response: SipResponse) -> Numbers:
    """Who called, from the answer to an INVITE that was not heard."""
    return Numbers(number_of(header(response, "from")), name_of(header(response, "from")))


def asserted(message: Message) -> tuple[str, str]:
    """Number and name of who sends the message, as the network asserts (RFC 3325, or the older Remote-Party-ID)."""
    value = header(message, "p-asserted-identity") or header(message, "remote-party-id")
    return number_of(value[: value.index(">") + 1] if ">" in value else value), name_of(value)


def common_value(written: str) -> str:
    """What identifies a call in a header: without parameters; nothing where it is all zeros (RFC 7989 §5)."""
    value = clean(written.partition(";")[0], 128)
    return value if value.strip("0-") else ""
