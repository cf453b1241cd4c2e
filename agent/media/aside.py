"""Packets of one source put aside in RAM, until it is known what they are."""

from dataclasses import dataclass, field

import numpy as np

from agent.media.block import PacketBlock
from agent.media.columns import Numbers

MOST = 150


@dataclass(slots=True)
class Aside:
    """Packets from `source`, the first of which came at `first_ns`; `last_ns` is when the last one did. `sounding`: how
    many there were of sound."""

    source: int
    first_ns: int
    packets: list[bytes] = field(default_factory=list)
    arrival_ns: list[int] = field(default_factory=list)
    sounding: int = 0

    @property
    def last_ns(self) -> int:
        """When the last packet came."""
        return self.arrival_ns[-1] if self.arrival_ns else self.first_ns

    def add(self, block: PacketBlock, mine: Numbers) -> int:
        """Copies of these packets of a block, up to MOST in all; returns how many there was no room for."""
        room = MOST - len(self.packets)
        for at, length, arrival in zip(
            block.start[mine][:room].tolist(),
            block.length[mine][:room].tolist(),
            block.arrival_ns[mine][:room].tolist(),
            strict=True,
        ):
            self.packets.append(block.memory[at : at + length].tobytes())
            self.arrival_ns.append(arrival)
        return max(0, len(mine) - room)

    def block(self, destination: int) -> PacketBlock:
        """All of them, as sent to `destination`."""
        length = np.array([len(packet) for packet in self.packets], np.int64)
        return PacketBlock(
            np.frombuffer(b"".join(self.packets), np.uint8),
            np.cumsum(length) - length,
            length,
            np.full(len(length), destination, np.int64),
            np.full(len(length), self.source, np.int64),
            np.array(self.arrival_ns, np.int64),
        )
