"""Asterisk REST Interface: WebSocket (RFC 6455) and events (docs.asterisk.org, rest-api/api-docs/events.json)."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pbx import server_frame as sent
from pbx import switched

from agent.config.cti import Cti
from agent.cti.ari import MAX_MESSAGE, AriDialogue, AriWords
from agent.cti.dialogue import Credentials
from agent.cti.inbox import PeerError
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


def unmasked(data: bytes) -> tuple[int, bytes]:
    """First byte and payload of a client's frame, which must be masked (§5.3)."""
    assert data[1] & 0x80 and len(data) == 6 + (data[1] & 0x7F)
    return data[0], bytes(byte ^ data[2 + n % 4] for n, byte in enumerate(data[6:]))


def dialogue_of(section) -> AriDialogue:
    return AriDialogue(Words(section), Credentials("greffier", "s3cret"))


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
    assert unmasked(dialogue.ping()) == (0x89, b"")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
        welcome(b"Sec-WebSocket-Key: another\r\n"),
        b"Asterisk Call Manager/7.0.3\r\n\r\n",
        b"HTTP/1.1 101 x\r\nA: " + b"b" * 100_000,
        b"HTTP/1.1 101 x\r\nConnection: \xff\r\n\r\n",
    ],
    ids=["401", "accept", "ami", "long", "ascii"],
)
def test_who_answers_otherwise_is_left(section, answer: bytes) -> None:
    dialogue = dialogue_of(section("ari"))
    dialogue.hello()
    with pytest.raises(PeerError) as why:
        list(dialogue.feed(answer, 0))
    assert not dialogue.ready and "s3cret" not in str(why.value)


@given(
    st.lists(st.sampled_from(["pause", "resume"]), max_size=6),
    st.lists(st.integers(1, 80), min_size=1, max_size=30),
    st.integers(1, 200),
)
def test_any_cut_and_any_fragments_give_the_same_messages(verbs, cuts, piece) -> None:
    dialogue = dialogue_of(any_section())
    stream, got, at = welcome(dialogue.hello()), [], 0
    for verb in verbs:
        said = {"Action": verb, "Extension": "201", "Reason": "dictée €"}
        body = {"type": "ChannelUserevent", "eventname": "Greffier", "userevent": said}
        message = json.dumps(body, ensure_ascii=False).encode()
        parts = [message[n : n + piece] for n in range(0, len(message), piece)]
        for number, part in enumerate(parts):
            stream += sent(part, 0 if number else 1, number == len(parts) - 1) + sent(b"still there?", 9)
    while at < len(stream):
        size = cuts[at % len(cuts)]
        got += dialogue.feed(stream[at : at + size], 0)
        at += size
    presses = [one for one in got if isinstance(one, PressSaid)]
    assert [(one.verb.value, one.reason) for one in presses] == [(verb, "dictée €") for verb in verbs]
    assert all(unmasked(one) == (0x8A, b"still there?") for one in got if isinstance(one, bytes))


def any_section() -> Cti:
    return Cti(kind="ari", address="127.0.0.1:8088", agents="2*", credentials_file="none", tags={"a": "b"})


@given(st.binary(max_size=2000))
def test_garbage_is_refused_and_never_kept(data: bytes) -> None:
    dialogue = dialogue_of(any_section())
    try:
        list(dialogue.feed(welcome(dialogue.hello()) + data, 0))
    except PeerError:
        return
    assert dialogue.pending <= MAX_MESSAGE


def test_fragments_that_never_end_are_not_kept(section) -> None:
    dialogue = dialogue_of(section("ari"))
    list(dialogue.feed(welcome(dialogue.hello()) + sent(b"", final=False) + sent(b"", 0, False) * 10_000, 0))
    assert dialogue.pending == 0
    with pytest.raises(PeerError, match="more than"):
        for _ in range(MAX_MESSAGE // 1000 + 1):
            list(dialogue.feed(sent(b"a" * 1000, 0, False), 0))
    assert dialogue.pending <= MAX_MESSAGE


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
        b"\x81\x7f" + bytes([0x80]) + bytes(7),  # a length that may not be
        b"\x81\x7f" + (1 << 62).to_bytes(8) + b"a" * (MAX_MESSAGE + 1),
        sent(b"a" * 60000, final=False) + sent(b"a" * 60000, 0, False) * 9,
        sent(b"\xff"),
        sent(b"{"),
        sent(b"[]"),
        sent(b"[" * 100_000),
        sent(b"\x03\xe8", 8),
        sent(b"\x03\xe8\xff", 8),
    ],
)
def test_what_breaks_the_rules_ends_the_connection(section, wrong: bytes) -> None:
    with pytest.raises(PeerError):
        said(section("ari"), wrong)


def test_a_ping_is_answered_with_the_same_and_a_close_with_a_close(section) -> None:
    (pong,) = said(section("ari"), sent(b"x1", 9), sent(b"y", 10))
    assert unmasked(pong) == (0x8A, b"x1")
    dialogue, got = dialogue_of(section("ari")), []
    with pytest.raises(PeerError, match="closed by Asterisk"):
        for one in dialogue.feed(welcome(dialogue.hello()) + sent(b"\x03\xe8bye", 8), 0):
            got.append(one)
    assert [unmasked(one) for one in got] == [(0x88, b"\x03\xe8bye")]


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
    AriWords(Words(any_section())).of({"type": kind, **fields})
