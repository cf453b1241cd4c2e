"""SIP over TCP as overheard: segments put in order, and cut into messages (RFC 9293 §3.4, RFC 3261 §18.3).

Nobody sends again what a mirror port has lost: a gap that does not fill, or a connection whose beginning was not seen,
is taken up again at the next message that begins with a segment.
"""

import re
from collections import OrderedDict
from dataclasses import dataclass, field

from agent.sip.errors import SipError
from agent.sip.framing import StreamFramer
from agent.tap.span.message import Overheard

MOST_STREAMS = 512
"""Directions of connections; the one silent for longest makes room."""
MOST_WAITING_BYTES = 32 << 10
MOST_WAITING = 32
"""Segments that wait for one before them; with more the gap is given up."""
FIN, SYN, RST = 1, 2, 4
_HALF = 1 << 31
_START = re.compile(rb"(?:SIP/2\.0 \d{3}|[A-Z]{3,12} (?:sips?|tel):)", re.IGNORECASE)


@dataclass(slots=True)
class _Stream:
    """One direction: the sequence number that comes next (None: not known) and what came too early."""

    following: int | None = None
    framer: StreamFramer = field(default_factory=StreamFramer)
    early: dict[int, bytes] = field(default_factory=dict)

    def lose(self) -> None:
        """Go on at the next message."""
        self.following, self.framer = None, StreamFramer()
        self.early.clear()


class Reassembly:
    """All connections to and from SIP ports."""

    def __init__(self) -> None:
        self._streams: OrderedDict[tuple[str, int, str, int], _Stream] = OrderedDict()

    def feed(self, segment: Overheard) -> list[bytes]:
        """The messages that a segment completes, in order. Never raises on content."""
        named = (*segment.source, *segment.destination)
        stream = self._streams.pop(named, None) or _Stream()
        if segment.flags & RST:
            return []
        while len(self._streams) >= MOST_STREAMS:
            self._streams.popitem(last=False)
        self._streams[named] = stream
        if segment.flags & SYN:
            stream.lose()
            stream.following = segment.sequence + 1 & 0xFFFF_FFFF
        first = segment.sequence + bool(segment.flags & SYN)
        messages = self._data(stream, first, segment.data) if segment.data else []
        if segment.flags & FIN and not stream.early:
            del self._streams[named]
        return messages

    def _data(self, stream: _Stream, sequence: int, data: bytes) -> list[bytes]:
        if stream.following is None:
            if not _START.match(data):
                return []
            stream.following = sequence & 0xFFFF_FFFF
        ahead = (sequence - stream.following + _HALF & 0xFFFF_FFFF) - _HALF
        if ahead > 0:
            stream.early[sequence & 0xFFFF_FFFF] = data
            held = sum(len(early) for early in stream.early.values())
            if len(stream.early) <= MOST_WAITING and held <= MOST_WAITING_BYTES:
                return []
            return self._give_up(stream)
        if -ahead >= len(data):
            return []  # all of it came before
        return self._in_order(stream, data[-ahead:])

    def _in_order(self, stream: _Stream, data: bytes) -> list[bytes]:
        messages: list[bytes] = []
        following = stream.following or 0
        while True:
            following = following + len(data) & 0xFFFF_FFFF
            stream.following = following
            try:
                messages += stream.framer.feed(data)
            except SipError:
                stream.lose()
                return messages
            early = next((s for s in stream.early if (following - s + _HALF & 0xFFFF_FFFF) - _HALF >= 0), None)
            if early is None:
                return messages
            data = stream.early.pop(early)[(following - early) & 0xFFFF_FFFF :]

    def _give_up(self, stream: _Stream) -> list[bytes]:
        """The gap stays: what waited is looked through for messages, from the first segment that begins with one."""
        waiting = sorted(stream.early.items(), key=lambda s: (s[0] - (stream.following or 0)) & 0xFFFF_FFFF)
        stream.lose()
        messages: list[bytes] = []
        for sequence, data in waiting:
            messages += self._data(stream, sequence, data)
        return messages
