"""A TCP stream gives the same messages however it is cut up; what cannot be followed ends it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sip.errors import SipError
from agent.sip.framing import MAX_HEAD_BYTES, MAX_MESSAGE_BYTES, StreamFramer

ONE = b"INVITE sip:a SIP/2.0\r\nContent-Type: application/sdp\r\nContent-Length: 7\r\n\r\nv=0\r\n\r\n"
TWO = b"BYE sip:a SIP/2.0\nl : 0\n\n"
THREE = b"OPTIONS sip:a SIP/2.0\r\nVia: x\r\n\r\n"


@given(st.lists(st.sampled_from([ONE, TWO, THREE]), max_size=6), st.lists(st.integers(1, 60), min_size=1, max_size=40))
def test_any_cut_gives_the_same_messages(messages: list[bytes], cuts: list[int]) -> None:
    stream, framer, got, at = b"".join(messages), StreamFramer(), [], 0
    while at < len(stream):
        size = cuts[at % len(cuts)]
        got += framer.feed(stream[at : at + size])
        at += size
    # the line ends after a body that ends in one belong to no message
    assert [m.strip() for m in got] == [m.strip() for m in messages]


def test_a_keep_alive_is_counted_and_wants_an_answer() -> None:
    framer = StreamFramer()
    assert framer.feed(b"\r\n\r\n" + THREE + b"\r\n\r\n") == [THREE]
    assert framer.pings == 2


def test_a_body_without_a_length_reaches_as_far_as_it_has_come() -> None:
    text = b"INVITE sip:a SIP/2.0\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n"
    assert StreamFramer().feed(text) == [text]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01", 400),
        (b"INVITE sip:a SIP/2.0\r\n" + b"X: y\r\n" * MAX_HEAD_BYTES, 513),
        (f"INVITE sip:a SIP/2.0\r\nContent-Length: {MAX_MESSAGE_BYTES}\r\n\r\n".encode(), 513),
        (b"INVITE sip:a SIP/2.0\r\nContent-Length: 999999999\r\n\r\n", 513),
    ],
)
def test_a_stream_that_cannot_be_followed_is_refused(data: bytes, status: int) -> None:
    with pytest.raises(SipError) as error:
        StreamFramer().feed(data)
    assert error.value.status == status


def test_messages_before_a_stream_goes_wrong_are_not_lost() -> None:
    framer = StreamFramer()
    assert framer.feed(THREE + TWO + b"\x16\x03\x01") == [THREE, TWO]
    for data in (b"", THREE):
        with pytest.raises(SipError):
            framer.feed(data)
    assert framer.pending == 0


@given(st.binary(max_size=600))
def test_noise_raises_sip_error_or_waits(noise: bytes) -> None:
    framer = StreamFramer()
    try:
        messages = framer.feed(noise)
    except SipError:
        return
    assert sum(map(len, messages)) + framer.pending <= len(noise)
