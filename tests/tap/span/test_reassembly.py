"""SIP over TCP put together from segments: any cut, order and repetition gives the same messages."""

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.tap.span.message import Overheard
from agent.tap.span.reassembly import FIN, MOST_STREAMS, RST, SYN, Reassembly


def message(n: int, body: str = "") -> bytes:
    head = f"INFO sip:{n}@x SIP/2.0\r\nCall-ID: {n}\r\nContent-Length: {len(body)}\r\n\r\n"
    return (head + body).encode()


def segment(sequence: int, data: bytes, flags: int = 0, port: int = 40000) -> Overheard:
    return Overheard(0, "tcp", ("10.0.0.5", port), ("10.0.0.1", 5060), data, sequence & 0xFFFFFFFF, flags)


MESSAGES = [message(1), message(2, "x" * 700), message(3, "INVITE sip:no SIP/2.0\r\n\r\n"), message(4)]
STREAM = b"".join(MESSAGES)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(1, len(STREAM) - 1), max_size=12, unique=True),
    st.integers(0, 2**32 - 1),
    st.integers(0, 4),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_any_cut_and_order(cuts: list[int], first: int, shuffle: int, repeated: bool, rng: random.Random) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    parts = [(first + 1 + a, STREAM[a:b]) for a, b in pairwise(edges)]
    if repeated:  # sent again, cut otherwise
        parts += [(first + 1 + a, STREAM[a : a + 300]) for a in range(0, len(STREAM), 300)]
    keyed = sorted((n + rng.uniform(0, shuffle), n) for n in range(len(parts)))
    together = Reassembly()
    found = together.feed(segment(first, b"", SYN))
    for _, n in keyed:
        found += together.feed(segment(*parts[n]))
    assert found == MESSAGES


def test_a_connection_whose_beginning_was_missed_is_joined_at_a_message() -> None:
    together = Reassembly()
    assert together.feed(segment(500, b"the end of something\r\n\r\n")) == []
    assert together.feed(segment(9000, MESSAGES[0])) == [MESSAGES[0]]
    assert together.feed(segment(9000 + len(MESSAGES[0]), MESSAGES[1])) == [MESSAGES[1]]


def test_a_gap_that_stays_is_given_up_and_the_rest_is_read() -> None:
    together = Reassembly()
    together.feed(segment(0, b"", SYN))
    at, found = 1 + 800, []  # the first 800 bytes never come
    for n in range(60):
        data = message(n)
        found += together.feed(segment(at, data))
        at += len(data)
    assert found[-1] == message(59) and len(found) >= 27


def test_what_is_no_sip_is_left_and_what_is_reset_is_forgotten() -> None:
    together = Reassembly()
    together.feed(segment(0, b"", SYN))
    assert together.feed(segment(1, b"\x16\x03\x01 TLS of somebody" * 10)) == []
    together.feed(segment(300, b"", RST))
    together.feed(segment(7, b"", SYN))
    assert together.feed(segment(8, MESSAGES[0], FIN)) == [MESSAGES[0]]
    assert not together._streams


def test_many_connections_are_bounded() -> None:
    together = Reassembly()
    for port in range(MOST_STREAMS + 500):
        together.feed(segment(0, b"INVITE sip:x SIP/2.0\r\n", port=port))
    assert len(together._streams) == MOST_STREAMS


@given(
    st.lists(st.tuples(st.integers(0, 3000), st.binary(max_size=80), st.sampled_from([0, SYN, FIN, RST])), max_size=60)
)
def test_any_segments_are_survived(segments: list[tuple[int, bytes, int]]) -> None:
    together = Reassembly()
    for sequence, data, flags in segments:
        together.feed(segment(sequence, data, flags))
    held = sum(len(d) for s in together._streams.values() for d in s.early.values())
    assert held <= 64 << 10


@pytest.mark.parametrize("flags", [0, SYN])
def test_an_empty_segment_is_nothing(flags: int) -> None:
    assert Reassembly().feed(segment(5, b"", flags)) == []
