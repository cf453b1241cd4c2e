"""A spoilt capture log: the same records as a reader that tries every byte, and none opens by a wrong key."""

import tempfile
from dataclasses import replace
from pathlib import Path

from agent.capture.format import (
    CODEC_NUMBERS,
    CRC_BYTES,
    HEADER_BYTES,
    Malformed,
    RecordHeader,
    RecordKind,
    checksum,
    pack_header,
    unpack_header,
)
from agent.capture.reader import Cursor, Tampered, open_calls, open_record, scan
from fuzz.draws import Draws

CALLS = ("00" * 16, "00112233445566778899aabbccddeeff")
MOST = 24
_KINDS, _CODECS = tuple(RecordKind), tuple(CODEC_NUMBERS)
SEEDS = (
    b"\x00\x00\x00\x05\x10\x11" + b"\x00\x03\x01\x40\x20\x21" + b"\x01\x06\x00\x00\x02\x03",
    b"\x02\x00\x04\x08GLOGabcd" + b"\x00\x05\x01\x10" + b"\x03\x20" + b"\x00\x03\x00\x20",
    b"\x04\x01\x00\x30\x02\x05" + b"\x00\x03\x01\x7f" + b"\x05" + b"\x00\x05\x01\x00",
)
_folder = tempfile.TemporaryDirectory(prefix="greffier-fuzz-")


def _record(draws: Draws, position: int) -> bytes:
    body = bytes(draws.number(1))
    head = RecordHeader(
        draws.choice(_KINDS), draws.choice(CALLS), 0, 1, draws.choice(_CODECS), position, 0, position, 42, len(body)
    )
    data = pack_header(head) + body
    return data + checksum(data)


def _log(draws: Draws) -> bytes:
    """Whole records, torn ones, records in the body of another, hostile headers with a right checksum, and noise."""
    log = b""
    for number in range(MOST):
        if not draws.left:
            break
        what = draws.number(1) % 6
        if what == 1:
            log = log[: len(log) - draws.number(1)]
        elif what == 2:
            log += draws.take(draws.number(1) % 64)
        elif what == 3 and log:
            at = draws.number(2) % len(log)
            log = log[:at] + bytes([log[at] ^ (draws.number(1) or 1)]) + log[at + 1 :]
        elif what == 4:
            head = bytearray(_record(draws, number)[:HEADER_BYTES])
            head[draws.number(1) % HEADER_BYTES] = draws.number(1)
            log += head + checksum(head)
        elif what == 5:
            inner = _record(draws, number)
            head = pack_header(replace(unpack_header(inner), kind=RecordKind.MEDIA, length=len(inner)))
            log += head + inner + checksum(head + inner)
        else:
            log += _record(draws, number)
    return log


def plain_scan(log: bytes) -> list[tuple[int, bytes]]:
    """End and bytes of every record, by trying every byte (docs/capture-log.md, "Reading and recovery")."""
    found, at = [], 0
    while at < len(log):
        try:
            end = at + unpack_header(log[at:]).record_bytes
        except Malformed:
            at += 1
            continue
        if end > len(log) or checksum(log[at : end - CRC_BYTES]) != log[end - CRC_BYTES : end]:
            at += 1
            continue
        found.append((end, log[at : end - CRC_BYTES]))
        at = end
    return found


def target(data: bytes) -> None:
    """A log of one segment."""
    log = _log(Draws(data))
    folder = Path(_folder.name)
    (folder / "0000000001.glog").write_bytes(log)
    expected = plain_scan(log)
    read = [(cursor.offset, record.head + record.sealed) for cursor, record in scan(folder, Cursor(0, 0))]
    assert read == expected
    if expected:
        after = len(data) % len(expected)
        rest = scan(folder, Cursor(1, expected[after][0]))
        assert [(c.offset, r.head + r.sealed) for c, r in rest] == expected[after + 1 :]
    for _, record in scan(folder, Cursor(0, 0)):
        assert pack_header(record.header)[:7] == record.head[:7]
        if record.header.kind is not RecordKind.RESUME:
            try:
                open_record(record, bytes(32))
            except Tampered:
                continue
            raise AssertionError("a forged record was opened")
    for call in open_calls(folder).values():
        assert call.last_resume is None or call.last_resume.header.kind is RecordKind.RESUME
