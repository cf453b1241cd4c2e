"""SIP and media told apart in one block of frames: each message with its addresses, and the packets before it."""

import ipaddress
import struct

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.media.block import Frames
from agent.media.endpoint import key
from agent.media.frames import ETHERNET
from agent.tap.span.message import Overheard
from agent.tap.span.strays import Stray
from agent.tap.span.tally import Tally
from agent.tap.span.traffic import Traffic, together

HOSTS = ("10.0.0.1", "192.168.7.255", "fd00::1", "2001:db8::ff:2")
OFFSET_NS = 1_700_000_000_000_000_000

one_packet = st.tuples(
    st.sampled_from(["udp", "tcp"]),
    st.sampled_from([(0, 1), (1, 0), (2, 3)]),
    st.sampled_from([5060, 5070, 20000, 5061]),
    st.sampled_from([5060, 30000, 443]),
    st.binary(max_size=40),
    st.tuples(st.integers(0, 2**32 - 1), st.sampled_from([0x10, 0x18, 0x02, 0x11, 0x04])),
    st.sampled_from([(), (0x8100,), (0x88A8, 0x8100)]),
)
Packet = tuple[str, tuple[int, int], int, int, bytes, tuple[int, int], tuple[int, ...]]


def ethernet(packet: Packet) -> bytes:
    transport, ends, source, destination, data, (sequence, flags), tags = packet
    protocol = 17 if transport == "udp" else 6
    if transport == "udp":
        inner = struct.pack(">HHHH", source, destination, 8 + len(data), 0) + data
    else:
        inner = struct.pack(">HHIIBBHHH", source, destination, sequence, 9, 0x50, flags, 99, 0, 0) + data
    hosts = b"".join(ipaddress.ip_address(HOSTS[end]).packed for end in ends)
    if ends[0] < 2:
        body = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(inner), 7, 0, 64, protocol, 0) + hosts + inner
    else:
        body = struct.pack(">IHBB", 6 << 28, len(inner), protocol, 64) + hosts + inner
    head = b"".join(struct.pack(">HH", tag, 42) for tag in tags)
    return bytes(12) + head + struct.pack(">H", 0x0800 if ends[0] < 2 else 0x86DD) + body


def frames_of(packets: list[Packet]) -> Frames:
    frames = [ethernet(packet) for packet in packets]
    length = np.array([len(frame) for frame in frames], np.int64)
    start = np.cumsum(length) - length
    at = np.arange(len(frames), dtype=np.int64) * 1000
    return Frames(np.frombuffer(b"".join(frames), np.uint8), start, start + length, np.full(len(frames), ETHERNET), at)


@settings(deadline=None)
@given(st.lists(one_packet, min_size=1, max_size=25))
def test_messages_and_packets_come_in_order(packets: list[Packet]) -> None:
    traffic = Traffic((5060, 5070))
    part, messages = traffic.tell_apart(frames_of(packets), OFFSET_NS)
    said, media = [], []
    for number, (transport, ends, source, destination, data, (sequence, flags), _) in enumerate(packets):
        ours = (HOSTS[ends[0]], source), (HOSTS[ends[1]], destination)
        if {5060, 5070} & {source, destination}:
            of_tcp = (sequence, flags) if transport == "tcp" else (0, 0)
            if data or of_tcp[1] & 7:
                said.append((Overheard(number * 1000 + OFFSET_NS, transport, *ours, data, *of_tcp), len(media)))
        elif transport == "udp":
            media.append((key(*ours[1]), key(*ours[0]), data, number * 1000))
    assert list(messages) == said
    assert (traffic.packets, traffic.messages, traffic.malformed) == (len(packets), len(said), 0)
    every_other = part.take(np.arange(0, len(part), 2))
    copied = every_other.copy()
    for block, expected in (
        (part.block, media),
        (copied.block, media[::2]),
        (together([copied, part.copy()]), media[::2] + media),
    ):
        assert len(block) == len(expected)
        for n, (destination, source, data, at_ns) in enumerate(expected):
            got = block.memory[block.start[n] : block.start[n] + block.length[n]].tobytes()
            assert (block.destination[n], block.source[n], got, block.arrival_ns[n]) == (
                destination,
                source,
                data,
                at_ns,
            )
    for n in range(len(copied)):
        assert copied.found.ends(copied.frames.memory, n) == every_other.found.ends(
            every_other.frames.memory, int(every_other.rows[n])
        )


def test_the_most_frequent_strays_are_told_with_their_addresses() -> None:
    def packet(port: int, host: tuple[int, int], ssrc: int, payload_type: int = 8) -> Packet:
        data = struct.pack(">BBHII", 0x80, payload_type, 1, 2, ssrc) + b"sound"
        return ("udp", host, 20000, port, data, (0, 0), (0x8100,))

    noise: Packet = ("udp", (0, 1), 20000, 30000, b"no RTP", (0, 0), ())
    wanted = [packet(30000, (0, 1), 7)] * 9 + [packet(30000, (2, 3), 8, 0)] * 20
    packets = [*wanted, *[noise] * 30, *[packet(30002, (0, 1), 9)] * 4]
    part, _ = Traffic((5060,)).tell_apart(frames_of(packets), 0)
    strays = Tally()
    for _ in range(2):
        strays.note(part.frames, part.found, part.rows[:50])
    strays.note(part.frames, part.found, part.rows[-4:])
    assert strays.take() == [
        Stray((HOSTS[3], 30000), (HOSTS[2], 20000), 8, 0, 40),
        Stray((HOSTS[1], 30000), (HOSTS[0], 20000), 7, 8, 18),
        Stray((HOSTS[1], 30002), (HOSTS[0], 20000), 9, 8, 4),
    ]
    assert strays.take() == []
