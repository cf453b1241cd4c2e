"""A spoilt capture file, pcap or pcapng, plain or gzip'd: whatever is in it, what comes out lies within it."""

import gzip
import io
import struct

from agent.media import rtp
from agent.media.pcapfile import CaptureFile, NotACapture
from agent.media.pcaplinks import LATEST_NS, MOST_PACKETS, SLICE_NS
from agent.tap.span.traffic import Traffic

_UDP = (
    b"\x02\0\0\0\0\2\x02\0\0\0\0\1\x81\0\0\x2a\x08\0\x45\0\0\x2f\0\7\0\0\x40\x11\0\0\x0a\0\0\1\x0a\0\0\2"
    b"\x13\xc4\x4e\x20\0\x1b\0\0\x80\x08\0\1\0\0\0\2\0\0\0\3sound..."
)
_TCP = b"\x45\0\0\x2c\0\7\0\0\x40\x06\0\0\x0a\0\0\1\x0a\0\0\2\x13\xc4\x9c\x40\0\0\0\1\0\0\0\2\x50\x18\3\xe8\0\0\0\0BYE."


def _pcap(order: str, magic: int, link: int, frame: bytes) -> bytes:
    head = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, link)
    return head + (struct.pack(order + "4I", 1_700_000_000, 5, len(frame), len(frame)) + frame) * 2


def _block(order: str, kind: int, body: bytes) -> bytes:
    body += b"\0" * (-len(body) % 4)
    size = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + size + body + size


def _pcapng(order: str, frame: bytes) -> bytes:
    section = _block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))
    options = struct.pack(order + "HHB3xHHqHH", 9, 1, 9, 14, 8, 1, 0, 0)
    interface = _block(order, 1, struct.pack(order + "HHI", 1, 0, 0) + options)
    packet = _block(order, 6, struct.pack(order + "5I", 0, 1, 2, len(frame), len(frame)) + frame)
    simple = _block(order, 3, struct.pack(order + "I", len(frame)) + frame)
    return section + interface + packet + _block(order, 5, b"statistics") + simple + section


SEEDS = (
    _pcap("<", 0xA1B2C3D4, 1, _UDP),
    _pcap(">", 0xA1B23C4D, 101, _TCP),
    _pcap("<", 0xA1B2C3D4, 113, b"\0\0\0\1\0\6" + bytes(8) + b"\x08\0" + _TCP),
    _pcapng("<", _UDP),
    _pcapng(">", _UDP),
    gzip.compress(_pcap("<", 0xA1B2C3D4, 1, _UDP), mtime=0),
)


def target(data: bytes) -> None:
    """One file."""
    try:
        file = CaptureFile(io.BytesIO(data))
    except NotACapture:
        return
    traffic, packets = Traffic((5060,)), 0
    for frames in file.frames():
        packets += len(frames)
        assert 0 < len(frames) <= MOST_PACKETS
        assert 0 <= frames.arrival_ns.min() <= frames.arrival_ns.max() <= LATEST_NS
        assert frames.arrival_ns.max() - frames.arrival_ns.min() < SLICE_NS
        assert (frames.start <= frames.stop).all() and frames.stop.max() <= len(frames.memory)
        part, messages = traffic.tell_apart(frames, 0)
        for one in (part, part.copy()) if len(part) else ():
            assert (one.block.start + one.block.length <= len(one.frames.memory)).all()
            rtp.parse(one.block)
        for message, before in messages:
            assert 5060 in (message.source[1], message.destination[1]) and before <= len(part.rows)
    assert packets + file.unread == file.packets and file.cut <= file.packets
