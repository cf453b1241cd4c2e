"""Reads the capture log back: tolerant of torn tails and damage, without keys until a record is opened.

Byte layout and recovery rules: docs/capture-log.md. What lies within a segment's size when it is opened is final (one
writer, append only), so a record that fails there is damaged, and one that goes beyond it is still being written.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from agent.capture.format import (
    CRC_BYTES,
    HEADER_BYTES,
    MAGIC,
    SMALLEST_RECORD,
    Malformed,
    RecordHeader,
    RecordKind,
    checksum,
    nonce,
    unpack_header,
)
from agent.capture.writer import SEGMENT_SUFFIX

_PAGE = 1 << 18
_CALL_KEY_BYTES = 32

log = structlog.get_logger()


class Tampered(ValueError):
    """The record does not open with this key: its bytes, or the key, are not what they were."""


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """A place in the log: just after a record, or (0, 0) before all."""

    segment: int
    offset: int


@dataclass(frozen=True, slots=True)
class Record:
    """One record whose checksum holds. `head` is the header's bytes; `sealed` ciphertext with tag, or opaque bytes."""

    header: RecordHeader
    head: bytes
    sealed: bytes


@dataclass(frozen=True, slots=True)
class OpenCall:
    """A call that has records and no END. `last_resume` is its newest RESUME record; `records` counts all of them."""

    last_epoch: int
    last_resume: Record | None
    records: int = 0


def scan(folder: Path, start: Cursor) -> Iterator[tuple[Cursor, Record]]:
    """Every record from `start` on, each with the cursor just after it, up to the end of the newest segment.

    Damage is skipped up to the next record whose checksum holds, and logged. Raises OSError.
    """
    for number, path in _segments(folder, start.segment):
        offset = start.offset if number == start.segment else 0
        with _Segment.open(path) as segment:
            while (found := segment.next_record(offset)) is not None:
                at, record = found
                if at > offset:
                    log.warning("capture.damaged", segment=number, offset=offset, skipped_bytes=at - offset)
                offset = at + record.header.record_bytes
                yield Cursor(number, offset), record


def open_record(record: Record, key: bytes) -> bytes:
    """The payload. `key` is the call key of the record's epoch. Raises Tampered; ValueError for a RESUME record."""
    if record.header.kind is RecordKind.RESUME:
        raise ValueError("a RESUME record is sealed by the recorder for itself, not under the call key")
    if len(key) != _CALL_KEY_BYTES:
        raise Tampered(f"a call key has {_CALL_KEY_BYTES} bytes")
    try:
        return AESGCM(key).decrypt(nonce(record.header.counter), record.sealed, record.head)
    except (InvalidTag, ValueError):
        raise Tampered(f"a {record.header.kind.name} record does not open with the key of its call") from None


def open_calls(folder: Path) -> dict[str, OpenCall]:
    """Calls with records and no END, oldest first. Needs no key and does not read media. Raises OSError."""
    return calls_in(folder)[0]


def calls_in(folder: Path) -> tuple[dict[str, OpenCall], set[str]]:
    """As `open_calls`, and the ids of the calls whose END is in the log."""
    calls: dict[str, OpenCall] = {}
    ended: set[str] = set()
    for _, path in _segments(folder, 0):
        with _Segment.open(path) as segment:
            for record in segment.outline():
                head = record.header
                if head.kind is RecordKind.END:
                    ended.add(head.call_id)
                before = calls.get(head.call_id, OpenCall(0, None, 0))
                resume = record if head.kind is RecordKind.RESUME else before.last_resume
                epoch = max(before.last_epoch, head.epoch)
                calls[head.call_id] = OpenCall(epoch, resume, before.records + 1)
    return {call_id: call for call_id, call in calls.items() if call_id not in ended}, ended


def _segments(folder: Path, first: int) -> list[tuple[int, Path]]:
    found = ((int(path.stem), path) for path in folder.glob("*" + SEGMENT_SUFFIX) if path.stem.isdigit())
    return sorted((number, path) for number, path in found if number >= first)


class _Segment:
    """One segment as it was when opened, read by pages. A segment that was pruned meanwhile is empty."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._size = os.fstat(handle).st_size if handle >= 0 else 0
        self._page = b""
        self._page_at = 0

    @classmethod
    def open(cls, path: Path) -> "_Segment":
        try:
            return cls(os.open(path, os.O_RDONLY))
        except FileNotFoundError:
            return cls(-1)

    def __enter__(self) -> "_Segment":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._handle >= 0:
            os.close(self._handle)

    def next_record(self, offset: int) -> tuple[int, Record] | None:
        """The first sound record at or after `offset`, and where it begins."""
        at = offset
        while at + SMALLEST_RECORD <= self._size:
            if (record := self._record(at)) is not None:
                return at, record
            at = self._next_magic(at + 1)
        return None

    def outline(self) -> Iterator[Record]:
        """All records; media bodies are skipped unread (`sealed` empty) where another record follows."""
        offset = 0
        while True:
            header = self._header(offset)
            follows = header and header.kind is RecordKind.MEDIA and self._header(offset + header.record_bytes)
            if header and follows:
                yield Record(header, b"", b"")
                offset += header.record_bytes
                continue
            found = self.next_record(offset)
            if found is None:
                return
            yield found[1]
            offset = found[0] + found[1].header.record_bytes

    def _header(self, at: int) -> RecordHeader | None:
        try:
            header = unpack_header(self._read(at, HEADER_BYTES))
        except Malformed:
            return None
        return header if at + header.record_bytes <= self._size else None

    def _record(self, at: int) -> Record | None:
        header = self._header(at)
        if header is None:
            return None
        data = self._read(at, header.record_bytes)
        if len(data) != header.record_bytes or checksum(memoryview(data)[:-CRC_BYTES]) != data[-CRC_BYTES:]:
            return None
        return Record(header, data[:HEADER_BYTES], data[HEADER_BYTES:-CRC_BYTES])

    def _next_magic(self, at: int) -> int:
        while at < self._size:
            window = self._read(at, _PAGE)
            if (found := window.find(MAGIC)) >= 0:
                return at + found
            at += max(1, len(window) - len(MAGIC) + 1)
        return self._size

    def _read(self, at: int, count: int) -> bytes:
        count = max(0, min(count, self._size - at))
        inside = at - self._page_at
        if not 0 <= inside <= len(self._page) - count:
            self._page, self._page_at, inside = self._pread(at, max(count, _PAGE)), at, 0
        return self._page[inside : inside + count]

    def _pread(self, at: int, count: int) -> bytes:
        count = min(count, self._size - at)
        parts: list[bytes] = []
        while count > 0 and (part := os.pread(self._handle, count, at)):
            parts.append(part)
            at += len(part)
            count -= len(part)
        return b"".join(parts)
