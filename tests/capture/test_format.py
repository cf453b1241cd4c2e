"""The record format against its published vectors, and against every header and every broken byte."""

import json
import struct
import zlib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from agent.capture.format import (
    CODEC_NUMBERS,
    HEADER_BYTES,
    MAX_BODY,
    Malformed,
    RecordHeader,
    RecordKind,
    checksum,
    nonce,
    pack_header,
    unpack_header,
)
from agent.capture.reader import Cursor, open_calls, open_record, scan
from agent.model.call import Codec

VECTORS = json.loads((Path(__file__).parent / "vectors.json").read_text())
DOC = (Path(__file__).parents[2] / "docs" / "capture-log.md").read_text()
RECORDS = {v["name"]: v for v in VECTORS["records"]}

headers = st.builds(
    RecordHeader,
    st.sampled_from(RecordKind),
    st.binary(min_size=16, max_size=16).map(bytes.hex),
    st.integers(0, 2**16 - 1),
    st.integers(0, 2**16 - 1),
    st.sampled_from(list(CODEC_NUMBERS)),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**64 - 1),
    st.integers(0, MAX_BODY),
)


def header_of(vector: dict) -> RecordHeader:
    fields = dict(vector["header"])
    fields["kind"] = RecordKind[fields["kind"]]
    fields["codec"] = fields["codec"] and Codec(fields["codec"])
    return RecordHeader(**fields)


@pytest.mark.parametrize("name", RECORDS)
def test_vector(name: str) -> None:
    vector = RECORDS[name]
    data, head = bytes.fromhex(vector["record"]), header_of(vector)
    assert unpack_header(data) == head and pack_header(head) == data[:HEADER_BYTES]
    assert len(data) == head.record_bytes and checksum(data[:-4]) == data[-4:]
    if head.kind is not RecordKind.RESUME:
        sealed = AESGCM(bytes.fromhex(vector["key"])).encrypt(
            nonce(head.counter), bytes.fromhex(vector["payload"]), data[:HEADER_BYTES]
        )
        assert sealed == data[HEADER_BYTES:-4]
    assert vector["record"] in DOC.replace("\n", ""), "the document quotes its vectors"


@pytest.mark.parametrize("name", RECORDS)
def test_vector_from_the_document_alone(name: str) -> None:
    """An implementation written from the table of docs/capture-log.md with nothing of ours."""
    vector = RECORDS[name]
    h, data = vector["header"], bytes.fromhex(vector["record"])
    kinds = {"EVENT": 1, "DECISIONS": 2, "GATE": 3, "MEDIA": 4, "COUNTS": 5, "END": 6, "RESUME": 7}
    body_bytes = len(vector["payload"]) // 2 + (0 if h["kind"] == "RESUME" else 16)
    head = b"GLOG" + bytes([1, kinds[h["kind"]], {None: 0, "PCMU": 1, "PCMA": 2}[h["codec"]], 0])
    head += struct.pack(">HH", h["epoch"], h["stream"]) + bytes.fromhex(h["call_id"])
    head += struct.pack(">QIIQQ", h["position_samples"], h["lost_samples"], body_bytes, h["counter"], h["at_ns"])
    body = bytes.fromhex(vector["payload"])
    if h["kind"] != "RESUME":
        body = AESGCM(bytes.fromhex(vector["key"])).encrypt(bytes(4) + struct.pack(">Q", h["counter"]), body, head)
    assert head + body + struct.pack(">I", zlib.crc32(head + body)) == data


@pytest.mark.parametrize("vector", VECTORS["segments"], ids=lambda v: v["name"])
def test_damaged_segment_vector(vector: dict, tmp_path: Path) -> None:
    for number, parts in enumerate(vector["files"], 1):
        data = b"".join(bytes.fromhex(RECORDS[p]["record"]) if p in RECORDS else bytes.fromhex(p) for p in parts)
        (tmp_path / f"{number:010d}.glog").write_bytes(data)
    found = [record.head + record.sealed for _, record in scan(tmp_path, Cursor(0, 0))]
    assert found == [bytes.fromhex(RECORDS[name]["record"])[:-4] for name in vector["found"]]
    assert sorted(open_calls(tmp_path)) == vector["open_calls"]
    for _, record in scan(tmp_path, Cursor(0, 0)):
        if record.header.kind is not RecordKind.RESUME:
            open_record(record, bytes.fromhex(VECTORS["records"][0]["key"]))


@given(headers)
def test_headers_survive_the_way_through_bytes(header: RecordHeader) -> None:
    packed = pack_header(header)
    assert len(packed) == HEADER_BYTES == 60
    assert unpack_header(packed) == header


@given(st.binary(max_size=100) | headers.map(pack_header).flatmap(lambda b: st.builds(_spoil, st.just(b), st.data())))
def test_any_bytes_are_a_header_or_refused(data: bytes) -> None:
    try:
        header = unpack_header(data)
    except Malformed:
        return
    assert 0 <= header.length <= MAX_BODY


def _spoil(data: bytes, draw: st.DataObject) -> bytes:
    at = draw.draw(st.integers(0, len(data) - 1))
    return data[:at] + bytes([draw.draw(st.integers(0, 255))]) + data[at + 1 :]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("call_id", "AB" * 16),
        ("call_id", "ab"),
        ("call_id", "../x"),
        ("epoch", 65536),
        ("stream", -1),
        ("position_samples", -1),
        ("length", MAX_BODY + 1),
        ("at_ns", -1),
    ],
)
def test_fields_that_do_not_fit_are_refused(field: str, value: object) -> None:
    fields = {name: getattr(header_of(VECTORS["records"][0]), name) for name in RecordHeader.__slots__}
    with pytest.raises(ValueError):
        pack_header(RecordHeader(**{**fields, field: value}))
