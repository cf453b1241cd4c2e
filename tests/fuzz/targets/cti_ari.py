"""Asterisk's REST interface: a WebSocket says the same however it is cut, and what a plain reader has; any answer,
frame and event is followed or refused."""

import json
from codecs import getincrementaldecoder

from pbx import server_frame, switched

from agent.cti.ari import MAX_MESSAGE, AriDialogue, AriWords
from fuzz import said
from fuzz.draws import Draws

_CHANNEL = {"name": "PJSIP/trunk-0000001a", "caller": {"number": "202"}, "connected": {"number": "201"}}
_NAMED = {**_CHANNEL, "channelvars": {"SIPCALLID": "a@b", "CAMPAIGN": "spring"}}


def _event(kind: str, channel: dict = _CHANNEL, **fields: object) -> bytes:
    return json.dumps({"type": kind, "channel": channel, **fields}).encode()


_PAUSE = _event("ChannelUserevent", eventname="Greffier", userevent={"Action": "pause", "Extension": "201"})
_TAG = _event("ChannelUserevent", _NAMED, eventname="Greffier", userevent={"Action": "tag", "Tag": "vip;lang=fr"})
ANSWERED, FRAMES, EVENT = range(3)
SEEDS = (
    bytes([FRAMES, 5]) + server_frame(_PAUSE) + server_frame(b"x", 9) + server_frame(_TAG),
    bytes([FRAMES, 255]) + server_frame(_TAG[:40], final=False) + server_frame(b"", 9) + server_frame(_TAG[40:], 0),
    bytes([FRAMES, 1]) + server_frame(b"y", 10) + server_frame(b"\x03\xe8bye", 8),
    bytes([EVENT, 9]) + _event("ChannelVarset", _NAMED, variable="CAMPAIGN", value="autumn"),
    bytes([EVENT, 9]) + _event("ChannelEnteredBridge", _NAMED, bridge={"id": "b1"}),
    bytes([EVENT, 9]) + _event("ChannelUserevent", eventname="shop::pay", userevent={"Action": 1}),
    bytes([ANSWERED, 3]) + switched("dGhlIHNhbXBsZSBub25jZQ==") + server_frame(_PAUSE),
    bytes([ANSWERED, 3]) + b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
    bytes([ANSWERED, 3]) + b"HTTP/1.1 101 x\r\nConnection: \xff\r\nUpgrade: websocket\r\n\r\n",
)
WORDS = (
    b"\x81\x7e",
    b"\x89\x00",
    b"\x88\x02\x03\xe8",
    b'"channelvars": {',
    b'"SIPCALLID": "',
    b"\r\nUpgrade: websocket",
)


def target(data: bytes) -> None:
    """The first byte says what the others are (an answer to the handshake, frames, one event), the second the cuts."""
    draws = Draws(data)
    what = draws.choice((ANSWERED, FRAMES, EVENT))
    seed, rest = bytes([draws.number(1)]), draws.take(draws.left)
    stream = server_frame(rest) if what == EVENT else rest
    if what == ANSWERED:
        assert not _follow(said.cut(Draws(seed + stream)), answered=False)[0], "nobody can know our key"
        return
    whole = _follow([stream])
    assert _follow(said.cut(Draws(seed + stream))) == whole == _follow(said.finely(stream))
    expected = plain_reader(stream)
    assert whole[0][: len(expected)] == expected


def plain_reader(stream: bytes) -> list:
    """What is said, and pongs, up to the first frame that is not the simplest there is (RFC 6455 §5.2)."""
    words, found, text, opened = AriWords(said.words("ari")), [], b"", False
    while len(stream) >= 2:
        first, size, start = stream[:1], stream[1], 2
        if size == 126 and first[0] < 0x88:
            size, start = int.from_bytes(stream[2:4]), 4
            if size < 126:
                return found
        elif size > 125:  # a mask, a long ping, a longer message than the fuzzer makes
            return found
        payload, stream = stream[start : start + size], stream[start + size :]
        if len(payload) < size:
            return found
        if first == b"\x89":
            found.append((0x8A, payload))
        elif first in (b"\x81", b"\x01", b"\x80", b"\x00") and (first in (b"\x80", b"\x00")) == opened:
            text, opened = text + payload, not first[0] & 0x80
            try:
                getincrementaldecoder("utf-8")().decode(text, not opened)
                event = {} if opened else json.loads(text)
            except (ValueError, RecursionError):
                return found
            if not isinstance(event, dict):
                return found
            found += words.of(event)
            text = text if opened else b""
        elif first != b"\x8a":
            return found
    return found


def _follow(pieces, answered: bool = True) -> tuple[list, str]:
    dialogue = AriDialogue(said.words("ari"), said.CREDENTIALS)
    request = dialogue.hello()
    if answered:
        (line,) = [line for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key: ")]
        list(dialogue.feed(switched(line[19:].decode()), 0.0))
    assert dialogue.ready == answered
    what, why = said.follow(lambda piece: dialogue.feed(piece, 0.0), pieces)
    assert dialogue.pending <= MAX_MESSAGE and dialogue.ready == answered
    return [_unmasked(one) if isinstance(one, bytes) else one for one in what], why


def _unmasked(frame: bytes) -> tuple[int, bytes]:
    """A client's frame, without the mask that chance gave it (RFC 6455 §5.3)."""
    assert frame[1] & 0x80 and len(frame) == 6 + (frame[1] & 0x7F)
    return frame[0], bytes(byte ^ frame[2 + n % 4] for n, byte in enumerate(frame[6:]))
