"""Frames of any source, told apart: SIP to be overheard and packets for the engine, in the order they were seen.

A message may begin, change or end a call, so the packets before it belong to what was before: they are processed first.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from agent.media.block import Frames, PacketBlock
from agent.media.endpoint import PORT_BITS
from agent.media.frames import TCP, UDP, Numbers, Payloads, parse
from agent.tap.span.message import Overheard

MOST_MESSAGE_BYTES = 65536
_PORT = (1 << PORT_BITS) - 1
_TCP_EVENTS = 0x07
"""FIN, SYN and RST: segments without data that mean something all the same."""

Message = tuple[Overheard, int]
"""What was overheard, and how many packets of the block came before it."""


@dataclass(frozen=True, slots=True)
class Part:
    """What some frames hold: packets for the engine (None: there are none), which of the rows `found` they are, and
    the messages between them."""

    frames: Frames
    found: Payloads
    block: PacketBlock | None
    rows: Numbers
    messages: Iterator[Message]


class Traffic:
    """Tells SIP (by port) from other UDP. Counts what it has seen."""

    def __init__(self, sip_ports: Sequence[int]) -> None:
        self._sip_ports = np.array(sorted(sip_ports), np.int64)
        self.packets = self.messages = self.fragments = self.malformed = 0

    def tell_apart(self, frames: Frames, offset_ns: int) -> Part:
        """`offset_ns`: UTC less the clock of the frames."""
        found = parse(frames.memory, frames.start, frames.stop, frames.kind)
        self.packets += len(frames)
        self.fragments += found.fragments
        self.malformed += found.malformed
        sip = np.isin(found.destination & _PORT, self._sip_ports) | np.isin(found.source & _PORT, self._sip_ports)
        media = found.protocol == UDP
        if not sip.any():
            return Part(frames, found, found.datagrams(frames), np.flatnonzero(media), iter(()))
        media &= ~sip
        before, said = np.cumsum(media), np.flatnonzero(sip)
        block = found.chosen(frames, media) if media.any() else None
        messages = self._messages(frames, found, said.tolist(), before[said].tolist(), offset_ns)
        return Part(frames, found, block, np.flatnonzero(media), messages)

    def _messages(
        self, frames: Frames, found: Payloads, rows: list[int], before: list[int], offset_ns: int
    ) -> Iterator[Message]:
        for row, count in zip(rows, before, strict=True):
            sequence = flags = 0
            start, header = int(found.start[row]), int(found.header[row])
            data = frames.memory[start : start + min(int(found.length[row]), MOST_MESSAGE_BYTES)].tobytes()
            tcp = found.protocol[row] == TCP
            if tcp:
                sequence, flags = struct.unpack(">4xI5xB", frames.memory[header : header + 14].tobytes())
            if not data and not flags & _TCP_EVENTS:
                continue
            self.messages += 1
            at_ns = int(frames.arrival_ns[found.frame[row]]) + offset_ns
            source, destination = found.ends(frames.memory, row)
            yield Overheard(at_ns, "tcp" if tcp else "udp", source, destination, data, sequence, flags), count
