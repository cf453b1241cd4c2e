"""A TCP stream of SIP: the same messages however it is cut, and never more memory than a message may have."""

import re

from agent.sip import message as sip
from agent.sip.errors import SipError
from agent.sip.framing import MAX_MESSAGE_BYTES, StreamFramer
from fuzz import quiet
from fuzz.draws import Draws
from fuzz.targets import sip_message

_ONE = b"INVITE sip:a SIP/2.0\r\nContent-Type: application/sdp\r\nContent-Length: 7\r\n\r\nv=0\r\n\r\n"
SEEDS = (
    b"\x05" + _ONE,
    b"\xff\x01" + _ONE + b"BYE sip:a SIP/2.0\nl : 0\n\n\r\n\r\nOPTIONS sip:a SIP/2.0\r\nVia: x\r\n\r\n",
    b"\x30" + b"".join(sip_message.SEEDS[:3]),
    b"\x10\r\n\r\n\r\n\r\n" + _ONE + b"\x16\x03\x01",
)
WORDS = (b"\r\n\r\n", b"\r\nContent-Length: ", b"\nl:", b"INVITE sip:a SIP/2.0\r\n")
_TYPE = re.compile(rb"(?:content-type|c)[ \t]*:", re.IGNORECASE)


def target(data: bytes) -> None:
    """The first bytes say how the others are cut."""
    draws = Draws(data)
    seed = draws.number(1)
    stream = draws.take(draws.left)
    cuts = [1 + (seed * 31 + n * n * 7) % (seed + 2) for n in range(64)]
    apart, pings, refused = _follow(stream, cuts)
    for message in apart:
        try:
            sip.parse(message)
        except SipError as error:
            quiet.check(error)
    assert sum(map(len, apart)) <= len(stream)
    if _TYPE.search(stream):
        return  # a body that reaches as far as has come depends on the cuts
    single, single_pings, single_refused = _follow(stream, [1])
    assert (apart, pings, refused) == (single, single_pings, single_refused)


def _follow(stream: bytes, cuts: list[int]) -> tuple[list[bytes], int, bool]:
    """The messages, the keep-alives, and whether the stream was given up."""
    framer, messages = StreamFramer(), []
    pieces, at = [], 0
    while at < len(stream):
        size = cuts[len(pieces) % len(cuts)]
        pieces.append(stream[at : at + size])
        at += size
    for piece in [*pieces, b""]:
        try:
            messages += framer.feed(piece)
        except SipError as error:
            quiet.check(error)
            return messages, framer.pings, True
        assert framer.pending <= MAX_MESSAGE_BYTES
    return messages, framer.pings, False
