"""What the media tests share: RTP packets built by hand, and blocks of them."""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from agent.media.block import SLOT_BYTES, PacketBlock

MS = 1_000_000


@dataclass(frozen=True)
class Packet:
    """One datagram: whole UDP payload, local port, time of arrival in ms, and the number of its source."""

    data: bytes
    port: int = 20000
    at_ms: float = 0.0
    source: int = 1


def rtp(
    seq: int, ts: int, payload: bytes, *, ssrc: int = 0x1234, pt: int = 8, bits: int = 0, rest: bytes = b""
) -> bytes:
    """A packet; `bits` are those of the first byte after the version, `rest` comes between header and payload."""
    return struct.pack(">BBHII", 0x80 | bits, pt, seq & 0xFFFF, ts & 0xFFFFFFFF, ssrc) + rest + payload


def block_of(packets: Sequence[Packet]) -> PacketBlock:
    payload = np.zeros((len(packets), SLOT_BYTES), np.uint8)
    for number, packet in enumerate(packets):
        payload[number, : len(packet.data)] = np.frombuffer(packet.data[:SLOT_BYTES], np.uint8)
    return PacketBlock(
        payload.reshape(-1),
        np.arange(len(packets)) * SLOT_BYTES,
        np.array([min(len(p.data), SLOT_BYTES) for p in packets], np.int64),
        np.array([p.port for p in packets], np.int64),
        np.array([p.source for p in packets], np.int64),
        np.array([int(p.at_ms * MS) for p in packets], np.int64),
    )


@pytest.fixture(scope="session", name="rtp")
def _rtp() -> Callable[..., bytes]:
    return rtp


@pytest.fixture(scope="session", name="block_of")
def _block_of() -> Callable[[Sequence[Packet]], PacketBlock]:
    return block_of


@pytest.fixture(scope="session", name="packet")
def _packet() -> type[Packet]:
    return Packet
