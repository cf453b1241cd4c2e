"""Asterisk REST Interface: its events over a WebSocket, one JSON object each (docs.asterisk.org, "ARI", events.json).

`GET /ari/events?app=…&subscribeAll=true` with HTTP basic authentication; an account that may only read is enough.
"""

import base64
import json
from collections.abc import Iterator
from io import StringIO
from typing import Any
from urllib.parse import urlencode

from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    RejectConnection,
    Request,
    TextMessage,
)
from wsproto.utilities import RemoteProtocolError

from agent.cti.dialogue import Credentials
from agent.cti.inbox import PeerError
from agent.cti.words import Words, channel_user
from agent.model.cti import CallOf, Said

MAX_MESSAGE = 512 << 10
"""Characters."""
_CALL_IDS = ("SIPCALLID", "CHANNEL(pjsip,call-id)")


class AriDialogue:
    """One connection."""

    def __init__(self, words: Words, credentials: Credentials) -> None:
        self._said = AriWords(words)
        host, port = words.section.address
        basic = base64.b64encode(f"{credentials.username}:{credentials.secret}".encode())
        query = urlencode({"app": words.section.application, "subscribeAll": "true"})
        self._request = Request(
            host=f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
            target=f"/ari/events?{query}",
            extra_headers=[(b"Authorization", b"Basic " + basic)],
        )
        self._socket = WSConnection(ConnectionType.CLIENT)
        self._text = StringIO()
        self.ready = False

    def hello(self) -> bytes:
        """The handshake."""
        return self._socket.send(self._request)

    def feed(self, data: bytes, now_s: float) -> Iterator[Said | bytes]:
        """See `Dialogue`."""
        try:
            self._socket.receive_data(data)
        except (RemoteProtocolError, ValueError):  # the latter: headers that are not ASCII
            raise PeerError("an answer that is not to our handshake") from None
        for event in self._socket.events():
            yield from self._read(event)

    def ping(self) -> bytes:
        """Answered by a pong."""
        return self._socket.send(Ping()) if self.ready else b""

    @property
    def pending(self) -> int:
        """Characters of a message that is not whole."""
        return self._text.tell()

    def _read(self, event: Event) -> Iterator[Said | bytes]:
        match event:
            case AcceptConnection():
                self.ready = True
            case RejectConnection():
                raise PeerError(f"not let in: HTTP status {event.status_code}")
            case Ping():
                yield self._socket.send(event.response())
            case TextMessage():
                yield from self._piece(event)
            case BytesMessage():
                raise PeerError("a message that is not text")
            case CloseConnection():
                if self._socket.state is not ConnectionState.REMOTE_CLOSING:
                    raise PeerError(f"a frame that RFC 6455 does not allow ({int(event.code)})")
                yield self._socket.send(event.response())
                raise PeerError("closed by Asterisk")

    def _piece(self, piece: TextMessage) -> Iterator[Said]:
        if self.pending + len(piece.data) > MAX_MESSAGE:
            raise PeerError(f"a message of more than {MAX_MESSAGE} characters")
        self._text.write(piece.data)
        if piece.message_finished:
            text, self._text = self._text.getvalue(), StringIO()
            yield from self._said.of(_event(text))


def _event(text: str) -> dict[str, Any]:
    try:
        event = json.loads(text)
    except (ValueError, RecursionError):
        raise PeerError("an event that is not JSON") from None
    if not isinstance(event, dict):
        raise PeerError("an event that is no object")
    return event


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
