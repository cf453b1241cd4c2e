"""RTP headers of a block against a reader of one packet at a time."""

import numpy as np
from packets import rtp

from agent.media.block import PacketBlock
from agent.media.rtp import parse
from fuzz.draws import Draws

MOST = 16


def _seed(*packets: bytes) -> bytes:
    return b"\x02" + b"".join(len(p).to_bytes(2, "big") + p for p in packets)


SEEDS = (
    _seed(rtp(1, 160, b"x" * 160), rtp(2, 320, b"CSRC" * 2 + b"y" * 20, bits=2)),
    _seed(rtp(65535, 2**32 - 1, b"\xbe\xde\0\1abcd" + b"z" * 30 + b"\0\0\3", bits=0x30), b"\x80"),
    _seed(b"\x80\xc8" + bytes(30)),
    _seed(rtp(3, 0, b"CSRC\x10\0\0\1yyyyaudio\0\2", bits=0x31), b"\x40" + bytes(40), b"\xbf" + bytes(12)),
)  # fmt: skip


def plain_reader(data: bytes) -> tuple[int, int, int, int, bytes] | None:
    """Payload type, sequence, timestamp, SSRC and media; None when it is no RTP (RFC 3550 §5.1)."""
    if len(data) < 12 or data[0] >> 6 != 2 or 192 <= data[1] <= 223:
        return None
    begin, stop = 12 + 4 * (data[0] & 15), len(data)
    if data[0] & 0x10:
        if begin + 4 > stop:
            return None
        begin += 4 + 4 * int.from_bytes(data[begin + 2 : begin + 4], "big")
    if data[0] & 0x20:
        if data[-1] == 0:
            return None
        stop -= data[-1]
    if begin > stop:
        return None
    numbers = (int.from_bytes(data[a:b], "big") for a, b in ((2, 4), (4, 8), (8, 12)))
    return data[1] & 0x7F, *numbers, data[begin:stop]  # type: ignore[return-value]


def target(data: bytes) -> None:
    """Slack around the packets, then for each its length and itself."""
    draws = Draws(data)
    slack, packets = bytes(draws.number(1) % 16), []
    while draws.left and len(packets) < MOST:
        packets.append(draws.take(draws.number(2) % 600))
    memory = np.frombuffer(slack + b"".join(packets) + slack, np.uint8)
    length = np.array([len(p) for p in packets], np.int64)
    start = np.cumsum(length) - length + len(slack)
    if not len(memory):
        return
    block = PacketBlock(memory, start, length, *(np.zeros(len(packets), np.int64) for _ in range(3)))
    h = parse(block)
    for n, packet in enumerate(packets):
        got = None
        if h.valid[n]:
            media = memory[h.start[n] : h.start[n] + h.size[n]].tobytes()
            assert h.start[n] >= start[n] and h.start[n] + h.size[n] <= start[n] + length[n]
            got = (int(h.payload_type[n]), int(h.sequence[n]), int(h.timestamp[n]), int(h.ssrc[n]), media)
        assert got == plain_reader(packet)
