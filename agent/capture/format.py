"""The bytes of one record of the capture log: header, sealed body, checksum. Pure.

Byte layout, limits and test vectors: docs/capture-log.md. The header is the additional authenticated data of
AES-256-GCM (NIST SP 800-38D) under the call key; the CRC-32 lets a torn tail be seen without any key.
"""

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum

from agent.model.call import CODEC_NUMBERS as AUDIO_NUMBERS
from agent.model.call import Codec

MAGIC = b"GLOG"
VERSION = 1
MAX_BODY = 16 << 20
"""Bytes of body that a reader accepts: a damaged length cannot exhaust memory."""
TAG_BYTES = 16
CRC_BYTES = 4
_HEADER = struct.Struct(">4sBBBxHH16sQIIQQ")
_CRC = struct.Struct(">I")
HEADER_BYTES = _HEADER.size
SMALLEST_RECORD = HEADER_BYTES + CRC_BYTES
_NONCE = struct.Struct(">IQ")
_CALL_ID_BYTES = 16

CODEC_NUMBERS: dict[Codec | None, int] = {None: 0} | {codec: number for codec, number in AUDIO_NUMBERS.items()}
_CODECS = {number: codec for codec, number in CODEC_NUMBERS.items()}


class RecordKind(IntEnum):
    """What the body holds, once opened."""

    EVENT = 1
    DECISIONS = 2
    GATE = 3
    MEDIA = 4
    COUNTS = 5
    END = 6
    RESUME = 7
    """Sealed by the recorder for itself: the body is not under the call key."""
    KEY = 8


class Malformed(ValueError):
    """These bytes are not a record of this format."""


@dataclass(frozen=True, slots=True)
class RecordHeader:
    """The clear part of a record.

    `call_id` is 32 hexadecimal digits; `epoch` counts the keys of the call; `position_samples` and `lost_samples` are
    at 8000 Hz; `counter` is the nonce and rises by one with each record under one key; `at_ns` is UTC; `length` is the
    number of bytes of the body, the 16 of the tag included where there is one.
    """

    kind: RecordKind
    call_id: str
    epoch: int
    stream: int
    codec: Codec | None
    position_samples: int
    lost_samples: int
    counter: int
    at_ns: int
    length: int

    @property
    def record_bytes(self) -> int:
        """The whole record: header, body and checksum."""
        return HEADER_BYTES + self.length + CRC_BYTES


def call_id_bytes(call_id: str) -> bytes:
    """The 16 bytes of a call id. Raises ValueError unless it is 32 hexadecimal digits in lower case."""
    try:
        raw = bytes.fromhex(call_id)
    except ValueError:
        raw = b""
    if len(raw) != _CALL_ID_BYTES or raw.hex() != call_id:
        raise ValueError("a call id is 32 hexadecimal digits in lower case")
    return raw


def pack_header(header: RecordHeader) -> bytes:
    """The header's bytes. Raises ValueError for a field that does not fit its place."""
    return pack_fields(
        header.kind,
        header.codec,
        header.epoch,
        header.stream,
        call_id_bytes(header.call_id),
        header.position_samples,
        header.lost_samples,
        header.length,
        header.counter,
        header.at_ns,
    )


def pack_fields(
    kind: RecordKind,
    codec: Codec | None,
    epoch: int,
    stream: int,
    call: bytes,
    position_samples: int,
    lost_samples: int,
    length: int,
    counter: int,
    at_ns: int,
) -> bytes:
    """As `pack_header`, for the writer, who does it thousands of times a second; `call` is the 16 bytes of the id."""
    if not 0 <= length <= MAX_BODY:
        raise ValueError(f"a record body of {length} bytes; the limit is {MAX_BODY}")
    number = CODEC_NUMBERS[codec]
    try:
        return _HEADER.pack(
            MAGIC, VERSION, kind, number, epoch, stream, call, position_samples, lost_samples, length, counter, at_ns
        )
    except struct.error as error:
        raise ValueError(f"a header field does not fit its place: {error}") from None


def unpack_header(data: bytes) -> RecordHeader:
    """The header in the first HEADER_BYTES of `data`. Raises Malformed; says nothing about the body or the checksum."""
    if len(data) < HEADER_BYTES:
        raise Malformed(f"a header has {HEADER_BYTES} bytes, here are {len(data)}")
    magic, version, kind, codec, epoch, stream, call, position, lost, length, counter, at_ns = _HEADER.unpack_from(data)
    if magic != MAGIC:
        raise Malformed("no record begins here")
    if version != VERSION:
        raise Malformed(f"version {version} of the capture log; this program reads version {VERSION}")
    if length > MAX_BODY:
        raise Malformed(f"a body of {length} bytes; the limit is {MAX_BODY}")
    if codec not in _CODECS:
        raise Malformed(f"unknown codec number {codec}")
    try:
        known = RecordKind(kind)
    except ValueError:
        raise Malformed(f"unknown kind of record {kind}") from None
    return RecordHeader(known, call.hex(), epoch, stream, _CODECS[codec], position, lost, counter, at_ns, length)


def nonce(counter: int) -> bytes:
    """The 96-bit nonce of a counter: four zero bytes, then the counter."""
    return _NONCE.pack(0, counter)


def checksum(data: bytes | memoryview) -> bytes:
    """The four bytes that close a record whose header and body are `data`."""
    return _CRC.pack(zlib.crc32(data))
