"""Asterisk REST Interface: its events over a WebSocket, one JSON object each (docs.asterisk.org, "ARI", events.json).

`GET /ari/events?app=…&subscribeAll=true` with HTTP basic authentication; an account that may only read is enough.
"""

import base64
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from agent.cti.dialogue import Credentials
from agent.cti.inbox import PeerError
from agent.cti.websocket import Frame, FrameReader, Handshake, Opcode, Random, frame
from agent.cti.words import Words, channel_user
from agent.model.cti import CallOf, Said

_CALL_IDS = ("SIPCALLID", "CHANNEL(pjsip,call-id)")


class AriDialogue:
    """One connection."""

    def __init__(self, words: Words, credentials: Credentials, random: Random) -> None:
        self._said = AriWords(words)
        self._random = random
        host, port = words.section.address
        basic = base64.b64encode(f"{credentials.username}:{credentials.secret}".encode()).decode()
        query = urlencode({"app": words.section.application, "subscribeAll": "true"})
        host = f"[{host}]" if ":" in host else host
        self._handshake = Handshake(f"{host}:{port}", f"/ari/events?{query}", f"Basic {basic}", random(16))
        self._frames = FrameReader()
        self.ready = False

    def hello(self) -> bytes:
        """The handshake."""
        return self._handshake.request()

    def feed(self, data: bytes, now_s: float) -> Iterator[Said | bytes]:
        """See `Dialogue`."""
        if not self.ready:
            rest = self._handshake.feed(data)
            if rest is None:
                return
            self.ready, data = True, rest
        for message in self._frames.feed(data):
            yield from self._read(message)

    def ping(self) -> bytes:
        """Answered by a pong."""
        return frame(Opcode.PING, b"", self._random(4)) if self.ready else b""

    def _read(self, message: Frame) -> Iterator[Said | bytes]:
        if message.opcode is Opcode.CLOSE:
            raise PeerError("closed by Asterisk")
        if message.opcode is Opcode.PING:
            yield frame(Opcode.PONG, message.payload, self._random(4))
        if message.opcode is Opcode.TEXT:
            try:
                event = json.loads(message.payload)
            except (ValueError, RecursionError):
                raise PeerError("an event that is not JSON") from None
            if not isinstance(event, dict):
                raise PeerError("an event that is no object")
            yield from self._said.of(event)


class AriWords:
    """Understands `ChannelUserevent`, `ChannelVarset` and `ChannelEnteredBridge`."""

    def __init__(self, words: Words) -> None:
        self._words = words

    def of(self, event: dict[str, Any]) -> list[Said]:
        """What an event says; whatever is not of the type that is documented counts as missing."""
        kind, channel = event.get("type"), _object(event.get("channel"))
        call = self._call(channel)
        if kind == "ChannelUserevent":
            fields = {name.lower(): value for name, value in _texts(event.get("userevent")).items()}
            return self._words.user_event(_text(event.get("eventname")), fields, call)
        if kind == "ChannelVarset" and self._words.wants_variables:
            return self._words.variables([(_text(event.get("variable")), _text(event.get("value")))], call)
        if kind == "ChannelEnteredBridge" and self._words.wants_variables:
            return self._words.variables(_texts(channel.get("channelvars")).items(), call)
        return []

    def _call(self, channel: dict[str, Any]) -> CallOf:
        numbers = [_text(_object(channel.get(side)).get("number")) for side in ("caller", "connected")]
        variables = _texts(channel.get("channelvars"))
        found = next((variables[name] for name in _CALL_IDS if variables.get(name)), "")
        return self._words.call_of([channel_user(_text(channel.get("name")))], found, numbers)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _texts(value: Any) -> dict[str, str]:
    return {name: text for name, text in _object(value).items() if isinstance(text, str)}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
