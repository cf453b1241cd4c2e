"""pcapng, block by block (draft-ietf-opsawg-pcapng): several sections and interfaces, either byte order.

Packets come from Enhanced, Simple and (obsolete) Packet Blocks; every other block is passed over by its length.
"""

import struct
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

from agent.media.block import Frames
from agent.media.pcaplinks import Batch

SECTION = b"\x0a\x0d\x0d\x0a"
"""Block type of a Section Header Block, which reads the same either way round."""
CHUNK_BYTES = 1 << 20
MOST_BLOCK_BYTES = 1 << 19
"""Of a block that is looked into; others may be of any length."""
MOST_INTERFACES = 4096

_INTERFACE, _PACKET, _SIMPLE, _ENHANCED = 1, 2, 3, 6
_ORDERS = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}
_RESOLUTION, _OFFSET = 9, 14  # if_tsresol, if_tsoffset
_LEAST_BYTES = 12
NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class _Interface:
    """`per_second`: ticks of its timestamps; `offset_s`: added to them; `most_bytes`: its snapshot length, 0 = none."""

    link: int
    most_bytes: int
    per_second: int = 1_000_000
    offset_s: int = 0


def sections(start: bytes, read: Callable[[int], bytes], batch: Batch) -> Iterator[Frames]:
    """Frames of a file whose first bytes `start` were read already. Raises ValueError where it cannot go on."""
    walk = _Walk(batch)
    rest = start
    while chunk := read(CHUNK_BYTES):
        data = rest + chunk
        batch.begin(data)
        at = yield from walk.blocks(data)
        if (full := batch.take()) is not None:
            yield full
        rest = data[at:]
        while walk.skip and (passed := read(min(walk.skip, CHUNK_BYTES))):
            walk.skip -= len(passed)
    if rest or walk.skip:
        raise ValueError("the file ends within a block")


class _Walk:
    """`skip`: bytes of a long block that are still to be passed over."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._interfaces: list[_Interface] = []
        self._order = "<"
        self._last_ns = 0
        self._read_as()
        self.skip = 0

    def _read_as(self) -> None:
        self._head, self._enhanced = struct.Struct(self._order + "2I"), struct.Struct(self._order + "5I")

    def blocks(self, data: bytes) -> Generator[Frames, None, int]:
        """Whole blocks of `data`; returns where the first that is not whole begins."""
        at, limit = 0, len(data)
        while at + _LEAST_BYTES <= limit:
            if data[at : at + 4] == SECTION:
                self._section(data[at + 8 : at + 12])
            kind, total = self._head.unpack_from(data, at)
            if total < _LEAST_BYTES or total % 4:
                raise ValueError(f"damaged: a block of {total} bytes; what follows cannot be read")
            looked_into = kind in (_INTERFACE, _PACKET, _SIMPLE, _ENHANCED)
            if looked_into and total > MOST_BLOCK_BYTES:
                raise ValueError(f"damaged: a packet of {total} bytes; what follows cannot be read")
            if at + total > limit:
                if looked_into or total <= CHUNK_BYTES:
                    break
                self.skip = at + total - limit
                return limit
            if looked_into:
                full = self._block(kind, data, at + 8, at + total - 4)
                if full is not None:
                    yield full
            at += total
        return at

    def _section(self, magic: bytes) -> None:
        if magic not in _ORDERS:
            raise ValueError("damaged: a section of neither byte order")
        self._order = _ORDERS[magic]
        self._read_as()
        self._interfaces.clear()

    def _block(self, kind: int, data: bytes, at: int, stop: int) -> Frames | None:
        """One block's body lies at `at`…`stop`."""
        if kind == _INTERFACE:
            self._interfaces.append(self._described(data[at:stop]))
            if len(self._interfaces) > MOST_INTERFACES:
                raise ValueError("damaged: more interfaces than any machine has")
            return None
        if kind == _SIMPLE:
            if stop - at < 4:
                raise ValueError("damaged: a block without room for a packet")
            (original,) = struct.unpack_from(self._order + "I", data, at)
            number, ticks, start = 0, None, at + 4
            captured = min(original, stop - start, self._of(0).most_bytes or original)
        else:
            if stop - at < 20:
                raise ValueError("damaged: a block without room for a packet")
            number, high, low, captured, original = self._enhanced.unpack_from(data, at)
            if kind == _PACKET:  # interface and drops share the first word
                (number,) = struct.unpack_from(self._order + "H", data, at)
            ticks, start = high << 32 | low, at + 20
        interface = self._of(number)
        if start + captured > stop:
            raise ValueError("damaged: a packet longer than its block")
        if ticks is not None:
            self._last_ns = ticks * NS // interface.per_second + interface.offset_s * NS
        return self._batch.add(interface.link, start, start + captured, self._last_ns, original)

    def _of(self, number: int) -> _Interface:
        if number >= len(self._interfaces):
            raise ValueError("damaged: a packet of an interface that was not described")
        return self._interfaces[number]

    def _described(self, body: bytes) -> _Interface:
        if len(body) < 8:
            raise ValueError("damaged: an interface without a description")
        link, _, most_bytes = struct.unpack_from(self._order + "HHI", body)
        per_second, offset_s, at = 1_000_000, 0, 8
        while at + 4 <= len(body):
            code, length = struct.unpack_from(self._order + "HH", body, at)
            value = body[at + 4 : at + 4 + length]
            if code == 0:
                break
            if code == _RESOLUTION and len(value) == 1:
                base, power = (2, value[0] & 0x7F) if value[0] & 0x80 else (10, value[0])
                per_second = base**power
            elif code == _OFFSET and len(value) == 8:
                (offset_s,) = struct.unpack(self._order + "q", value)
            at += 4 + (length + 3) // 4 * 4
        return _Interface(link, most_bytes, per_second, offset_s)
