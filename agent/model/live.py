"""The sound of live calls on its way from the recorder to who listens: messages, their bytes, and how these are read.

Byte layout, order and test vectors: docs/live-audio.md. Pure. Positions are samples at `CLOCK_RATE` from the call's
media origin.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from agent.model.call import CLOCK_RATE, CODEC_NUMBERS, Codec, Direction, Role
from agent.model.wire import dump, load

MAGIC = b"GLIV"
VERSION = 1
MOST_BYTES = 1 << 20
"""Of one message: more is no message of ours."""
_LENGTH = struct.Struct(">I")
_HELLO = struct.Struct(">4sBI")
_SOUND = struct.Struct(">B16sHBQ")
_FORGET = struct.Struct(">B16sQ")
_DROPPED = struct.Struct(">B16sHQ")
_CALL = struct.Struct(">B16s")
_CODECS = {number: codec for codec, number in CODEC_NUMBERS.items()}
HELLO, CALL, SOUND, FORGET, DROPPED, OVER = range(1, 7)
"""Kinds of messages: the first byte of each."""


class Malformed(ValueError):
    """These bytes are no messages of this kind; whoever reads them must hang up."""


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message. `clock_rate`: of all positions."""

    version: int = VERSION
    clock_rate: int = CLOCK_RATE


@dataclass(frozen=True, slots=True)
class Voice:
    """One stream of a call: the channel of its party, and who that is as far as is known. It may change."""

    stream: int
    channel: int
    participant_id: str | None = None
    role: Role = Role.OTHER


@dataclass(frozen=True, slots=True)
class Conversation:
    """A call that is listened to, as it now stands: at its beginning, and again whenever anything of it changed."""

    call_id: str
    started_ns: int
    direction: Direction = Direction.UNKNOWN
    queue: str | None = None
    tags: tuple[str, ...] = ()
    voices: tuple[Voice, ...] = ()


@dataclass(frozen=True, slots=True)
class Sound:
    """A stretch of one stream that begins at `position`. `payload`: what the capture log has as payload of MEDIA."""

    call_id: str
    stream: int
    codec: Codec
    position: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Forget:
    """All that was said of the call at or after `since`, in whatever form, must be wiped from memory at once."""

    call_id: str
    since: int


@dataclass(frozen=True, slots=True)
class Dropped:
    """So many samples of a stream, before the next one that comes, were dropped: the listener was too slow."""

    call_id: str
    stream: int
    samples: int


@dataclass(frozen=True, slots=True)
class Over:
    """Nothing more comes of this call."""

    call_id: str


Message = Hello | Conversation | Sound | Forget | Dropped | Over


def pack(message: Message) -> bytes:
    """The bytes of a message, its length in front."""
    match message:
        case Hello():
            body = bytes([HELLO]) + _HELLO.pack(MAGIC, message.version, message.clock_rate)
        case Conversation():
            body = _CALL.pack(CALL, bytes.fromhex(message.call_id)) + dump(message)
        case Sound():
            return pack_sound(message.call_id, message.stream, message.codec, message.position, message.payload)
        case Forget():
            body = _FORGET.pack(FORGET, bytes.fromhex(message.call_id), message.since)
        case Dropped():
            body = _DROPPED.pack(DROPPED, bytes.fromhex(message.call_id), message.stream, message.samples)
        case Over():
            body = _CALL.pack(OVER, bytes.fromhex(message.call_id))
    return _LENGTH.pack(len(body)) + body


def pack_sound(call_id: str, stream: int, codec: Codec, position: int, payload: bytes | memoryview) -> bytes:
    """The bytes of a `Sound`."""
    head = _SOUND.pack(SOUND, bytes.fromhex(call_id), stream, CODEC_NUMBERS[codec], position)
    return b"".join((_LENGTH.pack(len(head) + len(payload)), head, payload))


SOUND_HEAD = _LENGTH.size + _SOUND.size
"""Bytes of a packed `Sound` before its payload."""


class Parser:
    """Reads messages from bytes as they come, however they are cut. Kinds that it does not know are passed over."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._greeted = False

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that are whole by now. Raises Malformed, after those before it."""
        self._held += data
        at = 0
        try:
            while len(self._held) - at >= _LENGTH.size:
                (length,) = _LENGTH.unpack_from(self._held, at)
                if not 0 < length <= MOST_BYTES:
                    raise Malformed(f"a message of {length} bytes: expected 1 to {MOST_BYTES}")
                if len(self._held) - at < _LENGTH.size + length:
                    break
                at += _LENGTH.size
                body = bytes(self._held[at : at + length])
                at += length
                if (message := self._read(body)) is not None:
                    yield message
        finally:
            del self._held[:at]

    def _read(self, body: bytes) -> Message | None:
        if self._greeted == (body[0] == HELLO):
            raise Malformed("the first message, and no other, is a greeting")
        self._greeted = True
        try:
            return _unpack(body)
        except (struct.error, ValueError) as error:
            raise Malformed(f"a message of kind {body[0]} that cannot be read") from error


def _unpack(body: bytes) -> Message | None:
    found: Message | None = None
    match body[0]:
        case 1:
            magic, version, rate = _HELLO.unpack(body[1:])
            if magic != MAGIC or version != VERSION or rate != CLOCK_RATE:
                raise ValueError("not of this version")
            found = Hello(version, rate)
        case 2:
            call = load(Conversation, body[_CALL.size :])
            if call.call_id != body[1 : _CALL.size].hex():
                raise ValueError("of two calls")
            found = call
        case 3:
            _, call_id, stream, codec, position = _SOUND.unpack_from(body)
            if codec not in _CODECS:
                raise ValueError("an unknown codec")
            found = Sound(call_id.hex(), stream, _CODECS[codec], position, body[_SOUND.size :])
        case 4:
            _, call_id, since = _FORGET.unpack(body)
            found = Forget(call_id.hex(), since)
        case 5:
            _, call_id, stream, samples = _DROPPED.unpack(body)
            found = Dropped(call_id.hex(), stream, samples)
        case 6:
            found = Over(_CALL.unpack(body)[1].hex())
    return found
