"""The messages of the live socket: the published vectors, and any message through any cut."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model.call import CODEC_NUMBERS, Codec, Direction, Role
from agent.model.live import (
    MOST_BYTES,
    SOUND_HEAD,
    Conversation,
    Dropped,
    Forget,
    Hello,
    Malformed,
    Over,
    Parser,
    Sound,
    Voice,
    pack,
)

ID = "00112233445566778899aabbccddeeff"
BYTES = {
    v["name"]: v["bytes"] for v in json.loads((Path(__file__).parent / "live_vectors.json").read_text())["vectors"]
}
DOC = (Path(__file__).parents[2] / "docs" / "live-audio.md").read_text()
STREAMS = (Voice(0, 0, "p0", Role.CUSTOMER), Voice(1, 1, None, Role.AGENT))
MESSAGES = {
    "hello": Hello(),
    "call": Conversation(ID, 1790000776000000000, Direction.INBOUND, "sales", ("lang=fr",), STREAMS),
    "sound": Sound(ID, 1, Codec.PCMA, 8000, bytes(range(0x50, 0x60))),
    "forget": Forget(ID, 7200),
    "dropped": Dropped(ID, 1, 1600),
    "over": Over(ID),
}
ids = st.binary(min_size=16, max_size=16).map(bytes.hex)
places, numbers = st.integers(0, 2**64 - 1), st.integers(0, 2**16 - 1)
messages = st.one_of(
    st.builds(Sound, ids, numbers, st.sampled_from(list(CODEC_NUMBERS)), places, st.binary(max_size=64)),
    st.builds(Forget, ids, places),
    st.builds(Dropped, ids, numbers, places),
    st.builds(Over, ids),
    st.builds(Conversation, ids, st.integers(0, 2**63), queue=st.none() | st.text(max_size=9)),
)


@pytest.mark.parametrize("name", MESSAGES)
def test_vector(name: str) -> None:
    assert pack(MESSAGES[name]).hex() == BYTES[name]
    assert name == "call" or BYTES[name] in DOC
    greeting = b"" if name == "hello" else bytes.fromhex(BYTES["hello"])
    assert list(Parser().feed(greeting + bytes.fromhex(BYTES[name])))[-1] == MESSAGES[name]


@given(st.lists(messages, max_size=8), st.integers(1, 60))
def test_however_it_is_cut_the_messages_are_the_same(sent: list, cut: int) -> None:
    data = b"".join(pack(m) for m in [Hello(), *sent])
    parser, found = Parser(), []
    for at in range(0, len(data), cut):
        found += parser.feed(data[at : at + cut])
    assert found == [Hello(), *sent]


def test_where_the_payload_of_sound_begins() -> None:
    assert pack(MESSAGES["sound"])[SOUND_HEAD:] == MESSAGES["sound"].payload


@pytest.mark.parametrize(
    "data",
    [
        pack(Over(ID)),
        pack(Hello()) * 2,
        pack(Hello(version=2)),
        pack(Hello()) + bytes(4),
        pack(Hello()) + (MOST_BYTES + 1).to_bytes(4, "big"),
        pack(Hello()) + b"\0\0\0\x02\x04x",
        pack(Hello()) + bytes.fromhex(BYTES["sound"]).replace(b"\x00\x01\x02", b"\x00\x01\x63"),
        pack(Hello()) + pack(MESSAGES["call"]).replace(b'"00112233', b'"90112233'),
    ],
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        list(Parser().feed(data))


def test_an_unknown_kind_is_passed_over() -> None:
    assert list(Parser().feed(pack(Hello()) + b"\0\0\0\x02\x63x" + pack(Over(ID)))) == [Hello(), Over(ID)]
