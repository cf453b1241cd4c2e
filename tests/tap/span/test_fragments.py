"""Datagrams in fragments: whole again whatever the order, spoilt by what does not fit, and never too much of them."""

import random
import socket
import struct

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agent.media.block import Frames
from agent.media.frames import IPV4
from agent.tap.span import fragments
from agent.tap.span.fragments import Fragments
from agent.tap.span.traffic import Traffic

HOSTS = socket.inet_aton("10.0.0.5") + socket.inet_aton("10.0.0.1")


def piece(data: bytes, offset: int, more: bool, *, number: int = 7) -> bytes:
    place = offset // 8 | (0x2000 if more else 0)
    return struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(data), number, place, 64, 17, 0) + HOSTS + data


def cut(datagram: bytes, at: list[int], number: int = 7) -> list[bytes]:
    """Fragments that begin at these multiples of eight bytes."""
    begins = sorted({0, *(8 * n for n in at if 8 * n < len(datagram))})
    ends = [*begins[1:], len(datagram)]
    return [piece(datagram[a:b], a, b < len(datagram), number=number) for a, b in zip(begins, ends, strict=True)]


@given(
    st.binary(min_size=17, max_size=4000),
    st.lists(st.integers(1, 499), min_size=1, max_size=12),
    st.randoms(),
    st.data(),
)
def test_in_any_order_and_twice_a_datagram_is_whole_once(
    datagram: bytes, at: list[int], rng: random.Random, data: st.DataObject
) -> None:
    pieces = cut(datagram, [1, *at])
    rng.shuffle(pieces)
    together = Fragments()
    found = [got for one in pieces for _ in range(2) if (got := together.feed(1, one)) is not None]
    assert found == [(HOSTS, datagram)] and together.completed == 1
    contradicted = Fragments()
    one = data.draw(st.sampled_from(pieces[:-1]))
    for each in (*pieces[:-1], one[:-1] + bytes([one[-1] ^ 1]), pieces[-1]):
        assert contradicted.feed(1, each) is None


@given(st.lists(st.binary(max_size=60), max_size=30))
def test_whatever_comes_is_survived_and_bounded(packets: list[bytes]) -> None:
    together = Fragments()
    for number, packet in enumerate(packets):
        together.feed(number, packet)
        together.feed(number, b"\x45" + packet[1:])
        together.feed(number, piece(packet or b"x", 8 * number, True, number=number % 3))
    assert 0 <= together._held <= sum(map(len, packets)) * 3 + 60


def test_fragments_that_overlap_are_never_a_datagram() -> None:
    together = Fragments()
    for data, offset, more in (
        (b"a" * 16, 0, True),
        (b"b" * 16, 8, True),
        (b"c" * 8, 32, False),
        (b"d" * 16, 16, True),
    ):
        assert together.feed(1, piece(data, offset, more)) is None, "as many bytes as it is long, and a hole"


def test_what_never_becomes_whole_is_let_go() -> None:
    together = Fragments()
    for number in range(2000):
        together.feed(number, piece(bytes(8), 0, True, number=number))
    assert len(together._waiting) == fragments.MOST_DATAGRAMS and together._held == 8 * fragments.MOST_DATAGRAMS
    together.feed(10**11, piece(bytes(8), 0, True, number=1))
    assert len(together._waiting) == 1 and together._held == 8
    for number in range(200):
        for offset in range(0, 60000, 20000):
            together.feed(10**11, piece(bytes(20000), offset, True, number=number))
    assert together._held <= fragments.MOST_BYTES
    assert together.feed(10**11, piece(b"end", 65528, False, number=300)) is None


def test_sip_in_fragments_is_overheard_in_its_place() -> None:
    text = b"INVITE sip:x@y SIP/2.0\r\n" + b"X" * 3000
    first, *rest = cut(struct.pack(">4H", 5060, 5080, 8 + len(text), 0) + text, [185, 370])
    voice = struct.pack(">4H", 4000, 6000, 20, 0) + bytes(12)
    media = struct.pack(">BBHHHBBH", 0x45, 0, 40, 1, 0, 64, 17, 0) + HOSTS + voice
    other = cut(struct.pack(">4H", 9, 9, 3008, 0) + bytes(3000), [100], number=9)
    frames = [media, first, media, rest[1], *other, rest[0], media]
    length = np.array([len(f) for f in frames], np.int64)
    start = np.cumsum(length) - length
    block = Frames(
        np.frombuffer(b"".join(frames), np.uint8),
        start,
        start + length,
        np.full(len(frames), IPV4),
        np.arange(len(frames), dtype=np.int64),
    )
    traffic = Traffic((5060,))
    part, ((message, before),) = traffic.tell_apart(block, 100)
    assert (message.source, message.destination) == (("10.0.0.5", 5060), ("10.0.0.1", 5080))
    assert message.data == text and message.at_ns == 106 and before == 2 and len(part) == 3
    assert (traffic.fragments, traffic.messages) == (5, 1)
