"""UDP datagrams that came in IP fragments, put together (RFC 791 §3.2, RFC 815): INVITEs are often longer than a frame.

Fragments may come in any order and, on a mirror port, twice. One that overlaps another with other content spoils the
whole datagram (RFC 5722 has IPv6 do so). What is held is bounded in number, in bytes and in time.
"""

import struct
from collections import OrderedDict
from dataclasses import dataclass, field

MOST_DATAGRAMS = 256
"""That are not complete; the oldest makes room."""
MOST_BYTES = 4 << 20
"""Of all that are not complete."""
PATIENCE_NS = 5_000_000_000
LONGEST = 65535
_UDP = 17
_MORE, _OFFSET = 0x2000, 0x1FFF


@dataclass(slots=True)
class _Datagram:
    """`total` is its length, once its last fragment has come; `pieces` is None when it was spoilt."""

    at_ns: int
    total: int = 0
    held: int = 0
    pieces: dict[int, bytes] | None = field(default_factory=dict)


class Fragments:
    """IPv4 fragments in, UDP datagrams out."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[bytes, _Datagram] = OrderedDict()
        self._held = 0
        self.completed = 0

    def feed(self, at_ns: int, packet: bytes) -> tuple[bytes, bytes] | None:
        """A fragment, from its IP header on, that came at `at_ns`. Returns the addresses (source, destination; 8 bytes)
        and the UDP datagram, header first, that it completes. Never raises on content."""
        while self._waiting and not 0 <= at_ns - next(iter(self._waiting.values())).at_ns <= PATIENCE_NS:
            self._drop(next(iter(self._waiting)))
        if len(packet) < 20 or packet[9] != _UDP:
            return None
        header, place = (packet[0] & 0x0F) * 4, struct.unpack_from(">H", packet, 6)[0]
        data, offset, more = packet[header:], (place & _OFFSET) * 8, bool(place & _MORE)
        named = packet[12:20] + packet[4:6]
        if not data or offset + len(data) > LONGEST or (more and len(data) % 8):
            return None
        datagram = self._waiting.get(named)
        if datagram is None:
            while len(self._waiting) >= MOST_DATAGRAMS:
                self._drop(next(iter(self._waiting)))
            datagram = self._waiting[named] = _Datagram(at_ns)
        if datagram.pieces is None or datagram.pieces.get(offset) == data:
            return None
        end = offset + len(data)
        last = (not more and datagram.total not in (0, end)) or (datagram.total and end > datagram.total)
        if last or any(offset < at + len(piece) and at < end for at, piece in datagram.pieces.items()):
            self._held -= datagram.held
            datagram.held, datagram.pieces = 0, None
            return None
        datagram.pieces[offset] = data
        datagram.total = datagram.total if more else end
        datagram.held += len(data)
        self._held += len(data)
        if datagram.total and datagram.held == datagram.total and min(datagram.pieces) == 0:
            whole = b"".join(piece for _, piece in sorted(datagram.pieces.items()))
            self._drop(named)
            self.completed += 1
            return packet[12:20], whole
        while self._held > MOST_BYTES:
            self._drop(next(iter(self._waiting)))
        return None

    def _drop(self, named: bytes) -> None:
        self._held -= self._waiting.pop(named).held
