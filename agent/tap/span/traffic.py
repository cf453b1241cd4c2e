"""Frames of any source, told apart: SIP to be overheard and packets for the engine, in the order they were seen."""

import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from agent.media.block import Frames, PacketBlock, gather
from agent.media.endpoint import PORT_BITS
from agent.media.frames import TCP, UDP, Numbers, Payloads, parse
from agent.tap.span.fragments import Fragments
from agent.tap.span.message import Overheard

MOST_MESSAGE_BYTES = 65536
UDP_HEADER_BYTES = 8
_PORT = (1 << PORT_BITS) - 1
_TCP_EVENTS = 0x07
"""FIN, SYN and RST: segments without data that mean something all the same."""

Message = tuple[Overheard, int]
"""What was overheard, and how many packets of the block came before it."""


@dataclass(frozen=True, slots=True)
class Part:
    """Packets for the engine that some frames hold: they are these `rows` of what was found."""

    frames: Frames
    found: Payloads
    rows: Numbers
    block: PacketBlock

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, chosen: Numbers) -> "Part":
        """Some of the packets, by their numbers."""
        rows = self.rows[chosen]
        return Part(self.frames, self.found, rows, self.found.chosen(self.frames, rows))

    def copy(self) -> "Part":
        """The same packets, from the network header on, in memory of their own."""
        found, rows, count = self.found, self.rows, len(self)
        network = found.network[rows]
        size = found.start[rows] + found.length[rows] - network
        memory, at = np.empty(int(size.sum()), np.uint8), np.zeros(count, np.int64)
        used = 0
        for one in np.unique(size).tolist():
            mine = np.flatnonzero(size == one)
            at[mine] = used + np.arange(len(mine)) * one
            memory[used : used + len(mine) * one] = gather(self.frames.memory, network[mine], one).reshape(-1)
            used += len(mine) * one
        shift = at - network
        frames = Frames(memory, at, at + size, np.zeros(count, np.int64), self.block.arrival_ns.copy())
        copied = Payloads(
            np.arange(count),
            found.start[rows] + shift,
            found.length[rows],
            found.protocol[rows],
            at,
            found.header[rows] + shift,
            found.destination[rows],
            found.source[rows],
            0,
            0,
        )
        return Part(frames, copied, np.arange(count), copied.chosen(frames, np.arange(count)))


def together(parts: Sequence[Part]) -> PacketBlock:
    """The packets of several parts, in order, as one block."""
    if len(parts) == 1:
        return parts[0].block
    blocks = [part.block for part in parts]
    shift = np.cumsum([0, *(len(block.memory) for block in blocks[:-1])])
    return PacketBlock(
        np.concatenate([block.memory for block in blocks]),
        np.concatenate([block.start + by for block, by in zip(blocks, shift, strict=True)]),
        *(
            np.concatenate([getattr(block, name) for block in blocks])
            for name in ("length", "destination", "source", "arrival_ns")
        ),
    )


class Traffic:
    """Tells SIP (by port) from other UDP. Counts what it has seen."""

    def __init__(self, sip_ports: Sequence[int]) -> None:
        self._sip_ports = np.array(sorted(sip_ports), np.int64)
        self._fragments = Fragments()
        self.packets = self.messages = self.fragments = self.malformed = 0

    @property
    def put_together(self) -> int:
        """Datagrams that came in fragments and are whole."""
        return self._fragments.completed

    def tell_apart(self, frames: Frames, offset_ns: int) -> tuple[Part, Sequence[Message]]:
        """`offset_ns`: UTC less the clock of the frames."""
        found = parse(frames.memory, frames.start, frames.stop, frames.kind)
        self.packets += len(frames)
        self.fragments += found.fragments
        self.malformed += found.malformed
        sip = np.isin(found.destination & _PORT, self._sip_ports) | np.isin(found.source & _PORT, self._sip_ports)
        media = found.protocol == UDP
        if not sip.any() and not found.pieces:
            rows = np.flatnonzero(media)
            return Part(frames, found, rows, found.datagrams(frames) or found.chosen(frames, rows)), ()
        media &= ~sip
        before, said, rows = np.cumsum(media), np.flatnonzero(sip), np.flatnonzero(media)
        messages = list(self._messages(frames, found, said.tolist(), before[said].tolist(), offset_ns))
        if found.pieces:
            messages += self._put_together(frames, found, rows, offset_ns)
            messages.sort(key=lambda message: message[1])
        return Part(frames, found, rows, found.chosen(frames, rows)), messages

    def _put_together(self, frames: Frames, found: Payloads, rows: Numbers, offset_ns: int) -> Iterator[Message]:
        """Messages that came in fragments, as of when their last came."""
        for frame, start, stop in found.pieces:
            at_ns = int(frames.arrival_ns[frame]) + offset_ns
            whole = self._fragments.feed(at_ns, frames.memory[start:stop].tobytes())
            if whole is None or len(whole[1]) < UDP_HEADER_BYTES:
                continue
            hosts, datagram = whole
            ports = struct.unpack(">2H", datagram[:4])
            if not np.isin(ports, self._sip_ports).any():
                continue
            self.messages += 1
            source, destination = zip(map(socket.inet_ntoa, (hosts[:4], hosts[4:])), ports, strict=True)
            before = int(np.searchsorted(found.frame[rows], frame))
            yield Overheard(at_ns, "udp", source, destination, datagram[UDP_HEADER_BYTES:]), before

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
