"""Frames by column against a reader of one frame at a time: the same payloads, addresses and counts."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packets import (
    INNER,
    MAC,
    PLAIN,
    RTP,
    WRAPPED,
    Seen,
    ethernet,
    gre,
    ipv4,
    ipv6,
    plain_reader,
    read,
    tcp,
    udp,
)

from agent.media.endpoint import KeyTable, key
from agent.media.frames import ETHERNET, IPV4, IPV6, RAW_IP, TCP, UDP

MIRRORED = Seen(key("192.168.1.1", 4000), key("192.168.1.2", 20000), RTP)
FOUR = Seen(key("10.0.0.1", 4000), key("10.0.0.2", 20000), RTP)
SIX = Seen(key("fd00::1", 4000), key("fd00::2", 20000), RTP)


@pytest.mark.parametrize(
    ("kind", "frame", "expected"),
    [
        (IPV4, PLAIN, FOUR),
        (ETHERNET, ethernet(IPV4, PLAIN), FOUR),
        (ETHERNET, ethernet(IPV4, PLAIN) + b"\0" * 9, FOUR),
        (ETHERNET, ethernet(IPV4, PLAIN, [0x8100]), FOUR),
        (ETHERNET, ethernet(IPV4, PLAIN, [0x88A8, 0x8100]), FOUR),
        (0x8100, struct.pack(">HH", 42, IPV4) + PLAIN, FOUR),
        (RAW_IP, PLAIN, FOUR),
        (RAW_IP, ipv6(udp(4000, 20000, RTP), UDP), SIX),
        (IPV4, ipv4(udp(4000, 20000, RTP), UDP, options=b"\x01" * 8), FOUR),
        (IPV6, ipv6(udp(4000, 20000, RTP), UDP), SIX),
        (IPV6, ipv6(udp(4000, 20000, RTP), UDP, extensions=[(0, b"\0" * 6), (60, b"\0" * 14)]), SIX),
        (IPV4, ipv4(tcp(4000, 20000, RTP), TCP), Seen(FOUR.source, FOUR.destination, RTP, TCP)),
        (IPV4, ipv4(tcp(4000, 20000, RTP, b"\x01" * 12), TCP), Seen(FOUR.source, FOUR.destination, RTP, TCP)),
        (IPV4, ipv4(gre(0x88BE, INNER), 47), MIRRORED),
        (IPV4, ipv4(gre(0x88BE, b"\0" * 8 + INNER, 0x1000, 1), 47), MIRRORED),
        (IPV4, ipv4(gre(0x22EB, b"\0" * 12 + INNER, 0x1000, 1), 47), MIRRORED),
        (IPV4, ipv4(gre(0x22EB, b"\0" * 11 + b"\1" + b"\0" * 8 + INNER, 0x1000, 1), 47), MIRRORED),
        (IPV4, ipv4(gre(0x6558, INNER, 0x2000, 1), 47), MIRRORED),
        (IPV6, ipv6(gre(IPV4, PLAIN), 47), FOUR),
        (IPV4, ipv4(udp(5555, 4789, b"\x08\0\0\0\0\0\x63\0" + INNER), UDP), MIRRORED),
        (IPV6, ipv6(udp(5555, 4789, b"\x08\0\0\0\0\0\x63\0" + INNER), UDP), MIRRORED),
    ],
)  # fmt: skip
def test_each_way_of_wrapping_is_unwrapped(kind: int, frame: bytes, expected: Seen) -> None:
    seen, got = read([(kind, frame), (IPV4, PLAIN), (kind, frame)], slack=b"\xff" * 3)
    assert seen == {0: expected, 1: FOUR, 2: expected}
    assert (got.fragments, got.malformed) == (0, 0)


@pytest.mark.parametrize(
    ("frame", "fragments", "malformed"),
    [
        ((IPV4, ipv4(udp(1, 2, RTP), UDP, fragment=0x2000)), 1, 0),
        ((IPV4, ipv4(RTP, UDP, fragment=100)), 1, 0),
        ((IPV6, ipv6(udp(1, 2, RTP), 44)), 1, 0),
        ((IPV4, PLAIN[:-1]), 0, 1),
        ((IPV4, PLAIN[:25]), 0, 1),
        ((IPV4, PLAIN[:19]), 0, 1),
        ((IPV6, ipv6(udp(1, 2, RTP), UDP)[:39]), 0, 1),
        ((IPV4, b"\x43" + PLAIN[1:]), 0, 1),
        ((IPV4, b"\x65" + PLAIN[1:]), 0, 1),
        ((ETHERNET, MAC), 0, 1),
        ((0x0806, b"\0" * 28), 0, 0),
        ((IPV4, ipv4(b"\0" * 8, 1)), 0, 0),
        ((IPV4, ipv4(gre(0x88BE, b"", 0x1000, 1), 47)), 0, 1),
    ],
)
def test_what_is_no_payload_is_counted_and_left_out(frame, fragments: int, malformed: int) -> None:
    seen, got = read([frame, (IPV4, PLAIN)])
    assert seen == {1: FOUR}
    assert (got.fragments, got.malformed) == (fragments, malformed)


def test_tunnels_in_tunnels_end() -> None:
    frame = PLAIN
    for _ in range(5):
        frame = ipv4(gre(IPV4, frame), 47)
    seen, got = read([(IPV4, frame)])
    assert not seen and got.malformed == 1


@st.composite
def mangled(draw: st.DrawFn) -> tuple[int, bytes]:
    """A frame, perhaps cut, perhaps with bytes changed."""
    kind, data = draw(st.sampled_from(WRAPPED))
    frame = bytearray(data)
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, min(len(frame) - 1, 90)))
        frame[place] = draw(st.one_of(st.integers(0, 255), st.sampled_from([0, 4, 6, 17, 45, 47, 0x45, 0x60])))
    return kind, bytes(frame[: draw(st.one_of(st.just(len(frame)), st.integers(1, len(frame))))])


@settings(max_examples=400, deadline=None)
@given(frames=st.lists(mangled() | st.tuples(st.just(IPV4), st.binary(min_size=1, max_size=80)), max_size=12))
def test_it_sees_what_a_plain_reader_sees(frames: list[tuple[int, bytes]]) -> None:
    if not frames:
        return
    seen, _ = read(frames)
    expected = {n: found for n, frame in enumerate(frames) if (found := plain_reader(*frame)) is not None}
    assert seen == expected


def test_keys_tell_addresses_apart_and_a_wildcard_is_its_port() -> None:
    hosts = ["10.0.0.1", "10.0.0.2", "fd00::1", "fd00::2", "::1", "127.0.0.1"]
    keys = {key(host, port) for host in hosts for port in (5060, 65535)}
    assert len(keys) == 2 * len(hosts)
    assert key("0.0.0.0", 5060) == key("::", 5060) == 5060
    seen, _ = read([(IPV6, ipv6(udp(4000, 20000, RTP), UDP, source="::", destination="::"))])
    assert seen == {0: Seen(4000, 20000, RTP)}


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.booleans(), st.integers(0, 40).map(lambda n: n * 7_919_000_003 - (n % 3 << 62))), max_size=3000
    )
)
def test_the_table_finds_what_a_dictionary_finds(steps: list[tuple[bool, int]]) -> None:
    table, plain = KeyTable(), {}
    for number, (add, one) in enumerate(steps):
        if add and one not in plain:
            table.add(one, number)
            plain[one] = number
        elif not add and one in plain:
            table.remove(one)
            del plain[one]
    asked = sorted({one for _, one in steps} | {1, 2, 3})
    assert table.find(np.array(asked, np.int64)).tolist() == [plain.get(one, -1) for one in asked]
    assert len(table) == len(plain)


def test_the_table_outlives_many_comers_and_goers() -> None:
    table = KeyTable()
    for n in range(20000):
        table.add(n * 2, n)
        if n >= 50:
            table.remove((n - 50) * 2)
    assert table.find(np.arange(39900, 40002)).tolist() == [
        n // 2 if n % 2 == 0 and n <= 39998 else -1 for n in range(39900, 40002)
    ]
