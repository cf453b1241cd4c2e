"""The client's side of a WebSocket, without sockets: handshake, frames, pings (RFC 6455). Text only, no extensions."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum

import h11

from agent.cti.inbox import Inbox, PeerError

MAX_MESSAGE = 512 << 10
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_MAX_CONTROL = 125


class Opcode(IntEnum):
    """RFC 6455 §5.2."""

    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


@dataclass(frozen=True, slots=True)
class Frame:
    """One whole message, or one control frame."""

    opcode: Opcode
    payload: bytes


def frame(opcode: Opcode, payload: bytes, mask: bytes) -> bytes:
    """A frame as a client sends it, masked (§5.3); at most 125 bytes of payload, for we send nothing longer."""
    if len(payload) > _MAX_CONTROL:
        raise ValueError("payload of more than 125 bytes")
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + mask + bytes(b ^ mask[n % 4] for n, b in enumerate(payload))


class FrameReader:
    """What a server sends: frames put together to messages."""

    def __init__(self) -> None:
        self._inbox = Inbox(0, MAX_MESSAGE)
        self._head: tuple[bool, Opcode, int] | None = None
        self._parts: list[bytes] = []
        self._lead: bytes | None = None

    @property
    def pending(self) -> int:
        """Bytes that are kept."""
        return len(self._inbox) + sum(map(len, self._parts))

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Messages and control frames that are whole now. Raises PeerError where RFC 6455 §5 is not kept."""
        self._inbox.add(data)
        while (whole := self._next()) is not None:
            final, opcode, payload = whole
            if opcode >= Opcode.CLOSE:
                yield Frame(opcode, payload)
                continue
            if (opcode is Opcode.CONTINUATION) != bool(self._parts):
                raise PeerError("a fragment out of place")
            self._parts.append(payload)
            if final:
                message, self._parts = b"".join(self._parts), []
                yield Frame(Opcode.TEXT, message)

    def _next(self) -> tuple[bool, Opcode, bytes] | None:
        if self._head is None and not self._read_head():
            return None
        final, opcode, size = self._head or (True, Opcode.CLOSE, 0)
        payload = self._inbox.block(size)
        if payload is None:
            return None
        self._head = self._lead = None
        return final, opcode, payload

    def _read_head(self) -> bool:
        if self._lead is None:
            self._lead = self._inbox.block(2)
        if self._lead is None:
            return False
        first, second = self._lead
        if first & 0x70 or second & 0x80:
            raise PeerError("an extension that was not agreed, or a mask")
        try:
            opcode = Opcode(first & 0x0F)
        except ValueError:
            raise PeerError("an unknown frame") from None
        final, size = bool(first & 0x80), second & 0x7F
        if opcode is Opcode.BINARY or (opcode >= Opcode.CLOSE and (not final or size > _MAX_CONTROL)):
            raise PeerError("a frame that may not be")
        if size > _MAX_CONTROL:
            longer = self._inbox.block(2 if size == 126 else 8)
            if longer is None:
                return False
            size = int.from_bytes(longer, "big")
        if size + sum(map(len, self._parts)) > MAX_MESSAGE or len(self._parts) > 1000:
            raise PeerError(f"a message of more than {MAX_MESSAGE} bytes")
        self._head = (final, opcode, size)
        return True


class Handshake:
    """The request and its answer (§4.1). `key` are 16 random bytes."""

    def __init__(self, host: str, target: str, authorization: str, key: bytes) -> None:
        self._key = base64.b64encode(key)
        self._http = h11.Connection(h11.CLIENT)
        headers = [
            ("Host", host),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", self._key.decode()),
            ("Sec-WebSocket-Version", "13"),
            ("Authorization", authorization),
        ]
        self._request = h11.Request(method="GET", target=target, headers=headers)

    def request(self) -> bytes:
        """What is sent."""
        return (self._http.send(self._request) or b"") + (self._http.send(h11.EndOfMessage()) or b"")

    def feed(self, data: bytes) -> bytes | None:
        """Bytes after the answer once it has come whole, else None. Raises PeerError when we are not let in."""
        try:
            self._http.receive_data(data)
            event = self._http.next_event()
        except h11.RemoteProtocolError:
            raise PeerError("an answer that is not HTTP") from None
        if event is h11.NEED_DATA:
            return None
        if isinstance(event, h11.InformationalResponse) and event.status_code == 101:
            accepted = dict(event.headers).get(b"sec-websocket-accept", b"")
            digest = hashlib.sha1(self._key + _GUID, usedforsecurity=False).digest()
            if not hmac.compare_digest(accepted, base64.b64encode(digest)):
                raise PeerError("the answer is not to our handshake")
            return bytes(self._http.trailing_data[0])
        status = event.status_code if isinstance(event, h11.Response | h11.InformationalResponse) else 0
        raise PeerError(f"not let in: HTTP status {status}")


Random = Callable[[int], bytes]
"""So many random bytes."""
