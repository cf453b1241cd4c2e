"""Payload types as media formats: what they mean, which is asked for, and what is said of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model.call import Codec, MediaFormat
from agent.sip.formats import STATIC, accepted, expected, fmtp, formats_of, preferred, rtpmap


@pytest.mark.parametrize(
    ("mapped", "parameters", "found"),
    [
        ("96 opus/48000/2", "96 useinbandfec=1", MediaFormat(96, Codec.OPUS, 48000, 2, "useinbandfec=1")),
        ("96 opus/48000", "", MediaFormat(96, Codec.OPUS, 48000)),
        ("96 G7221/16000", "", MediaFormat(96, Codec.OTHER, 16000, name="G7221")),
        ("96 g722/8000", "", MediaFormat(96, Codec.G722)),
        ("96 iLBC/8000", "96 mode=20", MediaFormat(96, Codec.ILBC, fmtp="mode=20")),
        ("96 AMR-WB/16000/1", "96 octet-align=1", MediaFormat(96, Codec.AMR_WB, 16000, fmtp="octet-align=1")),
        ("96 AMR-WB/8000", "", MediaFormat(96, Codec.OTHER, name="AMR-WB")),
        ("96 L16/16000/2", "", MediaFormat(96, Codec.L16, 16000, 2)),
        ("96 telephone-event/48000", "96 0-16", MediaFormat(96, Codec.TELEPHONE_EVENT, 48000, fmtp="0-16")),
        ("96 CN/16000", "", MediaFormat(96, Codec.COMFORT_NOISE, 16000)),
        ("96 PCMU/8000/2", "", MediaFormat(96, Codec.OTHER, channels=2, name="PCMU")),
    ],
)
def test_what_a_mapped_type_is(mapped: str, parameters: str, found: MediaFormat) -> None:
    assert formats_of(["96"], [mapped], [parameters]) == (found,)


def test_types_that_say_nothing_are_left_out_and_static_ones_need_nothing() -> None:
    assert formats_of(["96", "200", "x", "8", "8", "18"], [], []) == (STATIC[8], STATIC[18])


def test_what_can_be_decoded_is_preferred_and_keys_come_along() -> None:
    offered = formats_of(
        ["97", "96", "101", "102", "13"],
        ["97 EVS/16000", "96 opus/48000/2", "101 telephone-event/8000", "102 telephone-event/48000"],
        [],
    )
    assert preferred(offered) == offered[1]
    assert [f.payload_type for f in accepted(offered)] == [96, 102]
    assert [f.payload_type for f in expected(offered)] == [96, 97, 101, 102, 13]
    assert preferred(offered[:1]) == offered[0], "kept as it comes when there is nothing else"
    assert preferred(offered[2:]) is None and accepted(offered[2:]) == () == expected(offered[2:])


@given(
    st.integers(96, 127),
    st.sampled_from(["opus", "EVS", "PCMA", "AMR", "L16", "telephone-event"]),
    st.sampled_from([8000, 16000, 44100, 48000]),
    st.integers(1, 2),
)
def test_what_we_write_is_read_as_it_was(number: int, name: str, rate: int, channels: int) -> None:
    (one,) = formats_of([str(number)], [f"{number} {name}/{rate}/{channels}"], [f"{number} octet-align=1"])
    (again,) = formats_of([str(number)], [rtpmap(one)], [fmtp(one)])
    assert (again.codec, again.clock_rate, again.channels, again.name) == (
        one.codec,
        one.clock_rate,
        one.channels,
        one.name,
    )
    assert again.fmtp == ("octet-align=1" if one.codec in (Codec.AMR, Codec.TELEPHONE_EVENT) else "")


@given(st.lists(st.text(max_size=8), max_size=6), st.lists(st.text(max_size=30), max_size=4))
def test_any_text_is_read_or_passed_over(types: list[str], values: list[str]) -> None:
    for found in formats_of([*types, "96"], [*values, "96 x/8000"], values):
        assert 0 <= found.payload_type < 128 and found.clock_rate > 0
