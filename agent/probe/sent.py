"""The record of what a probe really sent on one stream, so that a recording can be compared with it byte by byte."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass

from agent.probe.impairment import Done


@dataclass(frozen=True, slots=True)
class SentPacket:
    """One RTP packet that left (RFC 3550 §5.1).

    `position_samples` is where its payload lies from the stream's first packet, by its timestamp without wraps;
    `at_ns` is UTC ns just before it was handed to the kernel.
    """

    sequence: int
    timestamp: int
    position_samples: int
    at_ns: int
    payload: bytes


class SentStream:
    """All packets of one stream in the order of sending, in columns; `done` counts what was done to it."""

    def __init__(self, ssrc: int) -> None:
        self.ssrc = ssrc
        self.done = Done()
        self._sequence = array("H")
        self._timestamp = array("I")
        self._position = array("q")
        self._at_ns = array("q")
        self._source = array("H")
        self._offset = array("I")
        self._size = array("H")
        self._sources: list[bytes] = []

    def add_source(self, payload: bytes) -> int:
        """Remember the whole encoded stretch that the next packets are cut from; returns its number."""
        self._sources.append(payload)
        return len(self._sources) - 1

    def add(
        self, sequence: int, timestamp: int, position_samples: int, at_ns: int, source: int, offset: int, size: int
    ) -> None:
        """Note one packet: `size` bytes from `offset` of source number `source`."""
        self._sequence.append(sequence)
        self._timestamp.append(timestamp)
        self._position.append(position_samples)
        self._at_ns.append(at_ns)
        self._source.append(source)
        self._offset.append(offset)
        self._size.append(size)

    def __len__(self) -> int:
        return len(self._sequence)

    def __getitem__(self, index: int) -> SentPacket:
        offset, source = self._offset[index], self._sources[self._source[index]]
        return SentPacket(
            self._sequence[index],
            self._timestamp[index],
            self._position[index],
            self._at_ns[index],
            source[offset : offset + self._size[index]],
        )

    def __iter__(self) -> Iterator[SentPacket]:
        return (self[index] for index in range(len(self)))

    def in_order(self, silence: int) -> bytes:
        """One byte a sample from the first packet's timestamp to the last one's end, holes filled with `silence`.

        This is what a recorder that received every packet has, whatever their order.
        """
        end = max((p.position_samples + len(p.payload) for p in self), default=0)
        whole = bytearray([silence]) * end
        for packet in self:
            whole[packet.position_samples : packet.position_samples + len(packet.payload)] = packet.payload
        return bytes(whole)
