"""Packets and frames built by hand, blocks of them, and a reader of frames that takes one after another."""

import ipaddress
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agent.media.block import SLOT_BYTES, PacketBlock
from agent.media.endpoint import key
from agent.media.frames import ETHERNET, IPV4, IPV6, RAW_IP, TCP, UDP, parse

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


MAC = b"\x02\0\0\0\0\2\x02\0\0\0\0\1"


def udp(source: int, destination: int, payload: bytes) -> bytes:
    return struct.pack(">HHHH", source, destination, 8 + len(payload), 0) + payload


def tcp(source: int, destination: int, payload: bytes, options: bytes = b"") -> bytes:
    offset = (20 + len(options)) // 4 << 4
    return struct.pack(">HHIIBBHHH", source, destination, 1, 2, offset, 0x18, 1000, 0, 0) + options + payload


def ipv4(
    inner: bytes, protocol: int, source="10.0.0.1", destination="10.0.0.2", options: bytes = b"", fragment: int = 0
) -> bytes:
    addresses = ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed
    total = 20 + len(options) + len(inner)
    head = struct.pack(">BBHHHBBH", 0x45 + len(options) // 4, 0, total, 7, fragment, 64, protocol, 0)
    return head + addresses + options + inner


def ipv6(inner: bytes, protocol: int, source="fd00::1", destination="fd00::2", extensions=()) -> bytes:
    body, following = inner, protocol
    for kind, data in reversed(extensions):
        body, following = bytes([following, (len(data) + 2) // 8 - 1]) + data + body, kind
    addresses = ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed
    return struct.pack(">IHBB", 6 << 28, len(body), following, 64) + addresses + body


def ethernet(kind: int, body: bytes, tags=()) -> bytes:
    return MAC + b"".join(struct.pack(">HH", tag, 42) for tag in tags) + struct.pack(">H", kind) + body


def gre(kind: int, body: bytes, flags: int = 0, words: int = 0) -> bytes:
    return struct.pack(">HH", flags, kind) + b"\0\0\0\1" * words + body


RTP = b"\x80\x08" + bytes(range(170))
PLAIN = ipv4(udp(4000, 20000, RTP), UDP)
INNER = ethernet(IPV4, ipv4(udp(4000, 20000, RTP), UDP, "192.168.1.1", "192.168.1.2"))


@dataclass(frozen=True)
class Seen:
    source: int
    destination: int
    payload: bytes
    protocol: int = UDP


def read(frames: list[tuple[int, bytes]], slack: bytes = b""):
    """Frames (kind, bytes) in one memory; returns what was found, frame by frame, and the raw answer."""
    memory = np.frombuffer(slack + b"".join(data for _, data in frames) + slack, np.uint8)
    length = np.array([len(data) for _, data in frames], np.int64)
    start = np.cumsum(length) - length + len(slack)
    got = parse(memory, start, start + length, np.array([kind for kind, _ in frames], np.int64))
    seen = {}
    for n, frame in enumerate(got.frame.tolist()):
        payload = memory[got.start[n] : got.start[n] + got.length[n]].tobytes()
        seen[frame] = Seen(int(got.source[n]), int(got.destination[n]), payload, int(got.protocol[n]))
    return seen, got


def plain_reader(kind: int, data: bytes, depth: int = 0) -> Seen | None:
    """One frame, step by step."""
    if depth > 2:
        return None
    if kind == ETHERNET:
        kind, data = int.from_bytes(data[12:14], "big"), data[14:]
    for _ in range(3):
        if kind not in (0x8100, 0x88A8, 0x9100):
            break
        kind, data = int.from_bytes(data[2:4], "big"), data[4:]
    if kind == RAW_IP:
        kind = {4: IPV4, 6: IPV6}.get(data[0] >> 4, 0) if data else 0
    if kind == IPV4 and len(data) >= 20 and data[0] >> 4 == 4:
        header, total = (data[0] & 15) * 4, int.from_bytes(data[2:4], "big")
        if header < 20 or total < header or header > len(data) or int.from_bytes(data[6:8], "big") & 0x3FFF:
            return None
        protocol, hosts = data[9], (data[12:16], data[16:20])
        data = data[:total][header:]
    elif kind == IPV6 and len(data) >= 40 and data[0] >> 4 == 6:
        protocol, hosts = data[6], (data[8:24], data[24:40])
        data = data[: 40 + int.from_bytes(data[4:6], "big")][40:]
        for _ in range(4):
            if protocol not in (0, 43, 60):
                break
            if len(data) < 8:
                return None
            protocol, data = data[0], data[(data[1] + 1) * 8 :]
    else:
        return None
    if protocol == 47 and len(data) >= 4:
        flags, kind = int.from_bytes(data[:2], "big"), int.from_bytes(data[2:4], "big")
        if flags & 7:
            return None
        skip = 4 + 4 * (bool(flags & 0x8000) + bool(flags & 0x2000) + bool(flags & 0x1000))
        if kind == 0x88BE and flags & 0x1000:
            skip += 8
        if kind == 0x22EB:
            if len(data) < skip + 12:
                return None
            skip += 12 + 8 * (data[skip + 11] & 1)
        return plain_reader(ETHERNET if kind in (0x88BE, 0x22EB, 0x6558) else kind, data[skip:], depth + 1)
    least = {UDP: 8, TCP: 20}.get(protocol)
    if least is None or len(data) < least:
        return None
    ports = struct.unpack(">HH", data[:4])
    if protocol == UDP:
        length = int.from_bytes(data[4:6], "big")
        if not 8 <= length <= len(data):
            return None
        payload = data[8:length]
        if ports[1] == 4789:
            return plain_reader(ETHERNET, data[16:], depth + 1)
    else:
        offset = (data[12] >> 4) * 4
        if not 20 <= offset <= len(data):
            return None
        payload = data[offset:]
    keys = [key(str(ipaddress.ip_address(host)), port) for host, port in zip(hosts, ports, strict=True)]
    return Seen(keys[0], keys[1], payload, protocol)


WRAPPED = [
    (ETHERNET, ethernet(IPV4, PLAIN, [0x8100])),
    (IPV4, PLAIN),
    (IPV4, ipv4(udp(1, 2, b"x"), UDP, options=b"\x01" * 4)),
    (IPV6, ipv6(udp(4000, 20000, RTP), UDP, extensions=[(0, b"\0" * 6)])),
    (IPV4, ipv4(tcp(4000, 20000, b"INVITE"), TCP)),
    (IPV4, ipv4(gre(0x88BE, b"\0" * 8 + INNER, 0x1000, 1), 47)),
    (IPV4, ipv4(udp(5555, 4789, b"\x08\0\0\0\0\0\x63\0" + INNER), UDP)),
]  # fmt: skip
