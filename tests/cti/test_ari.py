"""Asterisk REST Interface: WebSocket (RFC 6455) and events (docs.asterisk.org, rest-api/api-docs/events.json)."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pbx import server_frame as sent
from pbx import switched

from agent.config.cti import Cti
from agent.cti.ari import AriDialogue, AriWords
from agent.cti.dialogue import Credentials
from agent.cti.inbox import PeerError
from agent.cti.websocket import MAX_MESSAGE, Frame, FrameReader, Opcode, frame
from agent.cti.words import Words
from agent.model.cti import CallOf, ContextSaid, PressSaid
from agent.model.gate import GateVerb

CHANNEL = {
    "id": "1732531200.17",
    "name": "PJSIP/201-0000001a",
    "state": "Up",
    "caller": {"name": "", "number": "0612"},
    "connected": {"name": "Marie", "number": "201"},
    "accountcode": "",
    "channelvars": {"CAMPAIGN": "spring"},
}


def event(kind: str, **fields: object) -> bytes:
    body = {"type": kind, "application": "greffier", "timestamp": "2026-11-25T12:00:00.000+0100", "channel": CHANNEL}
    return sent(json.dumps({**body, **fields}).encode())


def welcome(request: bytes) -> bytes:
    (key,) = [line.split(b": ")[1] for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key")]
    return switched(key.decode())


def dialogue_of(section) -> AriDialogue:
    return AriDialogue(Words(section), Credentials("greffier", "s3cret"), lambda size: bytes(range(size)))


def said(section, *events: bytes) -> list:
    dialogue = dialogue_of(section)
    got = list(dialogue.feed(welcome(dialogue.hello()) + b"".join(events), 0))
    assert dialogue.ready
    return got


PAUSE = event("ChannelUserevent", eventname="Greffier", userevent={"Action": "pause", "Extension": "201"})


def test_the_handshake_of_rfc_6455(section) -> None:
    dialogue = dialogue_of(section("ari", 8088))
    request = dialogue.hello()
    assert request.startswith(b"GET /ari/events?app=greffier&subscribeAll=true HTTP/1.1\r\n")
    assert b"Authorization: Basic " + base64.b64encode(b"greffier:s3cret") in request
    whole = welcome(request)
    assert list(dialogue.feed(whole[:40], 0)) == [] and not dialogue.ready
    list(dialogue.feed(whole[40:], 0))
    assert dialogue.ready
    assert dialogue.ping() == frame(Opcode.PING, b"", bytes(range(4)))


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
        welcome(b"Sec-WebSocket-Key: another\r\n"),
        b"Asterisk Call Manager/7.0.3\r\n\r\n",
        b"HTTP/1.1 101 x\r\nA: " + b"b" * 100_000,
    ],
    ids=["401", "accept", "ami", "long"],
)
def test_who_answers_otherwise_is_left(section, answer: bytes) -> None:
    dialogue = dialogue_of(section("ari"))
    dialogue.hello()
    with pytest.raises(PeerError) as why:
        list(dialogue.feed(answer, 0))
    assert not dialogue.ready and "s3cret" not in str(why.value)


@given(
    st.lists(st.binary(max_size=300), max_size=6),
    st.lists(st.integers(1, 80), min_size=1, max_size=30),
    st.integers(1, 200),
)
def test_any_cut_and_any_fragments_give_the_same_messages(messages, cuts, piece) -> None:
    stream = b""
    for message in messages:
        parts = [message[n : n + piece] for n in range(0, len(message), piece)] or [b""]
        for number, part in enumerate(parts):
            stream += sent(part, 0 if number else 1, number == len(parts) - 1) + sent(b"still there?", 9)
    reader, got, at = FrameReader(), [], 0
    while at < len(stream):
        size = cuts[at % len(cuts)]
        got += reader.feed(stream[at : at + size])
        at += size
    assert [f.payload for f in got if f.opcode is Opcode.TEXT] == messages


@given(st.binary(max_size=2000))
def test_garbage_is_refused_and_never_kept(data: bytes) -> None:
    reader = FrameReader()
    try:
        list(reader.feed(data))
    except PeerError:
        return
    assert reader.pending <= MAX_MESSAGE


@pytest.mark.parametrize(
    "wrong",
    [
        b"\x81\x80abcd",  # a server must not mask
        b"\xc1\x00",  # an extension that was not agreed
        b"\x80\x00",  # goes on with nothing
        sent(b"a", final=False) + sent(b"b"),  # a message within a message
        b"\x09\x00",  # a ping in fragments
        b"\x89\x7e\x00\x80",  # a long ping
        b"\x83\x00",  # reserved
        b"\x82\x00",  # binary
        b"\x81\x7f" + (MAX_MESSAGE + 1).to_bytes(8),
        sent(b"a" * 60000, final=False) + sent(b"a" * 60000, 0, False) * 9,
        sent(b"", final=False) + sent(b"", 0, False) * 1001,
        sent(b"{"),
        sent(b"[]"),
        sent(b"[" * 100_000),
        sent(b"\x03\xe8", 8),
    ],
)
def test_what_breaks_the_rules_ends_the_connection(section, wrong: bytes) -> None:
    with pytest.raises(PeerError):
        said(section("ari"), wrong)


def test_a_ping_is_answered_with_the_same(section) -> None:
    pong = frame(Opcode.PONG, b"x1", bytes(range(4)))
    assert said(section("ari"), sent(b"x1", 9)) == [pong]
    assert pong == bytes([0x8A, 0x82]) + bytes(range(4)) + bytes([ord("x"), ord("1") ^ 1])
    assert list(FrameReader().feed(sent(b"y", 10))) == [Frame(Opcode.PONG, b"y")]


def test_what_events_say(section) -> None:
    some = section("ari", tags={"CAMPAIGN": "campaign"})
    spoken = [
        PAUSE,
        event("ChannelUserevent", eventname="Greffier", userevent={"action": "resume"}),
        event("ChannelUserevent", eventname="Billing", userevent={"action": "pause"}),
        event("ChannelVarset", variable="CAMPAIGN", value="autumn"),
        event("ChannelVarset", variable="CARD", value="4970"),
        event("ChannelEnteredBridge", bridge={"id": "b1"}),
        event("StasisStart", args=[]),
    ]
    assert said(some, *spoken) == [
        PressSaid(CallOf("201"), GateVerb.PAUSE, True),
        PressSaid(CallOf("201"), GateVerb.RESUME, False),
        ContextSaid(CallOf("201"), None, ("campaign=autumn",)),
        ContextSaid(CallOf("201"), None, ("campaign=spring",)),
    ]


def test_a_caller_that_shows_an_agents_number_turns_nothing_onto_that_agents_call(section) -> None:
    def meant(**changed: object) -> CallOf:
        channel = {**CHANNEL, "name": "PJSIP/trunk-0000002a", "caller": {"number": "202"}, **changed}
        pause = event("ChannelUserevent", eventname="Greffier", userevent={"Action": "pause"}, channel=channel)
        (press,) = said(section("ari"), pause)
        return press.call

    named = {"channelvars": {"SIPCALLID": "leg@trunk"}}
    assert meant() == CallOf(), "two agents are shown: nobody can tell"
    assert meant(caller={"number": "0612"}) == CallOf("201")
    assert meant(**named) == meant(connected={"number": "0612"}, **named) == CallOf(reference="leg@trunk")
    assert meant(name="PJSIP/203-0000002a", **named) == CallOf("203")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


@given(
    st.sampled_from(["ChannelUserevent", "ChannelVarset", "ChannelEnteredBridge", "x"]),
    st.dictionaries(st.sampled_from(["channel", "eventname", "userevent", "variable", "value", "type"]), json_values),
)
def test_events_of_any_shape_break_nothing(kind, fields) -> None:
    section = Cti(kind="ari", address="127.0.0.1:8088", agents="2*", credentials_file="none", tags={"a": "b"})
    AriWords(Words(section)).of({"type": kind, **fields})
