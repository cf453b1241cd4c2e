"""Offers as gateways write them, and the answer a recorder gives to each line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model.call import Codec, MediaFormat
from agent.sip import answer, sdp
from agent.sip.errors import SipError
from agent.sip.formats import accepted
from agent.sip.sdp import Flow

OFFER = """v=0
o=- 20 1 IN IP4 192.0.2.9
s=-
c=IN IP4 192.0.2.9
t=0 0
m=audio 40000 RTP/AVP 8 0 101
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=ptime:20
a=sendonly
a=label:1
m=audio 40002 RTP/AVP 96 18
a=rtpmap:96 pcmu/8000/1
a=rtpmap:18 G729/8000
a=inactive
a=label: agent
m=video 40004 RTP/AVP 99
a=rtpmap:99 H264/90000
a=label:3
"""


def test_what_is_offered() -> None:
    one, two, video = sdp.read(OFFER.encode()).media
    assert one.codecs == (
        MediaFormat(8, Codec.PCMA),
        MediaFormat(0, Codec.PCMU),
        MediaFormat(101, Codec.TELEPHONE_EVENT, fmtp="0-15"),
    )
    assert (one.label, one.ptime_ms, one.flow, one.held, one.address) == ("1", 20, Flow.SENDONLY, False, "192.0.2.9")
    assert two.codecs == (MediaFormat(96, Codec.PCMU), MediaFormat(18, Codec.G729))
    assert two.label == "agent" and two.held and two.usable
    assert not video.usable


def test_answer_mirrors_the_offer_line_by_line() -> None:
    one, two, video = sdp.read(OFFER.encode()).media
    lines = [answer.accept(one, 21000), answer.accept(two, 21002), answer.refuse(video)]
    text = answer.write(lines, "192.0.2.1", 5, 2)
    back = sdp.read(text)
    assert [m.port for m in back.media] == [21000, 21002, 0]
    assert [m.label for m in back.media] == ["1", "agent", "3"]
    assert [m.flow for m in back.media[:2]] == [Flow.RECVONLY, Flow.INACTIVE]
    assert [c.payload_type for c in back.media[0].codecs] == [8, 101], "one codec is chosen, and the keys beside it"
    assert back.media[0].codecs[1].fmtp == "0-15"
    assert b"o=greffier 5 2 IN IP4 192.0.2.1" in text and b"m=video 0 RTP/AVP 99" in text


def test_answer_over_ipv6() -> None:
    one = sdp.read(OFFER.encode()).media[0]
    assert b"c=IN IP6 2001:db8::1" in answer.write([answer.accept(one, 2)], "2001:db8::1", 1, 1)


@pytest.mark.parametrize(
    ("line", "usable"),
    [
        ("m=audio 4000 RTP/SAVP 8", False),
        ("m=audio 4000 RTP/AVPF 0", True),
        ("m=audio 0 RTP/AVP 8", False),
        ("m=audio 4000 RTP/AVP 18", True),
        ("m=audio 4000 RTP/AVP 13", False),
        ("m=audio 4000 RTP/AVP 96", False),
        ("m=audio 4000/2 RTP/AVP 8 0", True),
        ("m=audio 4000 rtp/avp 8", True),
        ("m=image 4000 udptl t38", False),
    ],
)
def test_which_lines_can_be_recorded(line: str, usable: bool) -> None:
    assert sdp.read(f"v=0\r\nc=IN IP4 192.0.2.9\r\n{line}\r\n".encode()).usable is usable


def test_a_static_type_that_is_mapped_to_something_else_is_not_g711() -> None:
    text = b"v=0\r\nm=audio 4000 RTP/AVP 96\r\na=rtpmap:96 PCMA/16000\r\n"
    assert sdp.read(text).media[0].codecs == (MediaFormat(96, Codec.OTHER, 16000, name="PCMA"),)


@pytest.mark.parametrize("flow", ["recvonly", "inactive"])
def test_hold(flow: str) -> None:
    assert sdp.read(f"v=0\na={flow}\nm=audio 4000 RTP/AVP 8\n".encode()).media[0].held
    assert sdp.read(b"v=0\nc=IN IP4 0.0.0.0\nm=audio 4000 RTP/AVP 8\n").media[0].held


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b"v=0\r\ns=-\r\n", 488),
        (b"hello", 400),
        (b"v=0\r\nm=audio nine RTP/AVP 8\r\n", 400),
        (b"v=0\r\n" + b"m=audio 4000 RTP/AVP 8\r\n" * 17, 488),
        (b"v=0\r\n" + b"a=x\r\n" * 2000, 400),
        (b"v=0\r\n" + b"a" * 40000, 400),
    ],
)
def test_what_cannot_be_used(text: bytes, status: int) -> None:
    with pytest.raises(SipError) as error:
        sdp.read(text)
    assert error.value.status == status


@pytest.mark.parametrize(
    ("written", "ptime_ms"),
    [("20", 20), (" 20.5 ", 20), ("61", None), ("9", None), ("0000000200000", None), ("000000020" + "0" * 5000, None)],
)
def test_ptime_is_a_number_of_sense_or_not_there(written: str, ptime_ms: int | None) -> None:
    assert sdp.read(f"v=0\nm=audio 4000 RTP/AVP 8\na=ptime:{written}\n".encode()).media[0].ptime_ms == ptime_ms


@pytest.mark.parametrize(
    "line",
    [
        "8\na=label:" + "x" * 63 + " y",
        "96\na=rtpmap:96 \u00e9/8000",
        "96\na=rtpmap:96 PCMU/0/0",
        "96\na=rtpmap:96 opus/48000/80",
    ],
)
def test_what_we_answer_can_be_read_again(line: str) -> None:
    offer = sdp.read(f"{OFFER}m=audio 4000 RTP/AVP {line}\n".encode())
    lines = [answer.accept(m, 20000) if m.usable else answer.refuse(m) for m in offer.media]
    back = sdp.read(answer.write(lines, "192.0.2.1", 1, 1))
    assert [(m.usable, m.label, m.codecs) for m in back.media if m.port] == [
        (m.usable, m.label, accepted(m.codecs)) for m in offer.media if m.usable
    ]


@pytest.mark.parametrize("line", ["m=\u0130\u0130 4000 RTP/AVP 8", "m=audio 4000 \u00df 8", "m=audio \u0663 RTP/AVP 8"])
def test_an_m_line_that_is_not_ascii_is_malformed(line: str) -> None:
    with pytest.raises(SipError, match="m-line"):
        sdp.read(f"v=0\n{line}\n".encode())


@given(
    st.lists(
        st.sampled_from([*OFFER.splitlines(), "a=rtpmap:8 ", "m=audio 1 X", "c=", "a=", "a=ptime:x"]), max_size=25
    ),
    st.text(max_size=20),
)
def test_any_mixture_of_lines_is_read_or_refused(lines: list[str], noise: str) -> None:
    try:
        found = sdp.read("\n".join([*lines, noise]).encode())
    except SipError as error:
        assert error.status in (400, 488)
        return
    for media in found.media:
        assert 0 <= media.port <= 65535
        assert all(0 <= c.payload_type < 128 for c in media.codecs)
