"""Capture files: what was written is read, whatever the format, byte order and clock; and no bytes at all raise."""

import gzip
import io
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.media import pcapng
from agent.media.frames import ETHERNET, IPV4, RAW_IP
from agent.media.pcapfile import CaptureFile, NotACapture
from agent.media.pcaplinks import MOST_PACKETS, SLICE_NS

NS = 1_000_000_000
Record = tuple[int, bytes]
"""Time in ns, and the frame."""


def pcap(records: list[Record], order: str = "<", magic: int = 0xA1B23C4D, link: int = 1) -> bytes:
    unit = 1 if magic == 0xA1B23C4D else 1000
    body = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, link)]
    for at, data in records:
        body.append(struct.pack(order + "4I", at // NS, at % NS // unit, len(data), len(data)) + data)
    return b"".join(body)


def block(order: str, kind: int, body: bytes) -> bytes:
    body += b"\0" * (-len(body) % 4)
    size = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + size + body + size


def option(order: str, code: int, value: bytes) -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + b"\0" * (-len(value) % 4)


def section(order: str) -> bytes:
    return block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))


def interface(order: str, link: int = 1, options: bytes = b"", most: int = 0) -> bytes:
    return block(order, 1, struct.pack(order + "HHI", link, 0, most) + options)


def enhanced(order: str, ticks: int, data: bytes, number: int = 0) -> bytes:
    head = struct.pack(order + "5I", number, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data))
    return block(order, 6, head + data + b"\0" * (-len(data) % 4) + option(order, 1, b"note"))


def read(data: bytes) -> tuple[list[Record], CaptureFile]:
    file = CaptureFile(io.BytesIO(data))
    found: list[Record] = []
    for frames in file.frames():
        assert 0 < len(frames) <= MOST_PACKETS
        assert int(frames.arrival_ns.max() - frames.arrival_ns.min()) < SLICE_NS
        for start, stop, at in zip(frames.start, frames.stop, frames.arrival_ns, strict=True):
            found.append((int(at), frames.memory[start:stop].tobytes()))
    return found, file


records = st.lists(st.tuples(st.integers(0, 2**32 * NS - 1), st.binary(max_size=90)), max_size=30)


@settings(deadline=None)
@given(records, st.sampled_from("<>"), st.sampled_from([0xA1B23C4D, 0xA1B2C3D4]), st.booleans())
def test_what_a_pcap_file_holds_is_read(written: list[Record], order: str, magic: int, zipped: bool) -> None:
    if magic == 0xA1B2C3D4:
        written = [(at // 1000 * 1000, data) for at, data in written]
    data = pcap(written, order, magic)
    found, file = read(gzip.compress(data) if zipped else data)
    assert found == written
    assert (file.packets, file.cut, file.unread, file.problem) == (len(written), 0, 0, "")


@settings(deadline=None)
@given(st.lists(st.tuples(records, st.sampled_from("<>"), st.sampled_from([b"", b"\x06", b"\x09", b"\x03", b"\x8a"]))))
def test_what_a_pcapng_file_holds_is_read_section_by_section(parts) -> None:
    data, expected = section("<"), []
    for written, order, resolution in parts:
        options = option(order, 9, resolution) if resolution else b""
        options += option(order, 14, struct.pack(order + "q", 3)) + option(order, 0, b"")
        data += (
            section(order) + interface(order, 1, b"") + block(order, 5, b"statistics") + interface(order, 1, options)
        )
        base = resolution[0] if resolution else 6
        per_second = 2 ** (base & 0x7F) if base & 0x80 else 10**base
        for at, frame in written:
            ticks = at * per_second // NS
            data += enhanced(order, ticks, frame, 1)
            expected.append((ticks * NS // per_second + 3 * NS, frame))
    found, file = read(data)
    assert found == expected and file.problem == ""


def test_simple_and_obsolete_blocks_are_read() -> None:
    order = ">"
    old = struct.pack(order + "HHIIII", 0, 7, 0, 5_000_000, 3, 3) + b"old\0"
    simple = struct.pack(order + "I", 90) + b"simple\0\0"
    data = section(order) + interface(order, most=6) + block(order, 2, old) + block(order, 3, simple)
    found, file = read(data)
    assert found == [(5 * NS, b"old"), (5 * NS, b"simple")]
    assert file.cut == 1 and file.problem == ""


def test_a_block_of_no_interest_may_be_longer_than_memory_is_given() -> None:
    secrets = b"\0" * (pcapng.CHUNK_BYTES * 3 + 40)
    head = section("<") + interface("<") + enhanced("<", 1, b"before")
    found, file = read(head + block("<", 10, secrets) + enhanced("<", 2, b"after"))
    assert [frame for _, frame in found] == [b"before", b"after"] and file.problem == ""
    found, file = read((head + block("<", 10, secrets))[:-40])
    assert [frame for _, frame in found] == [b"before"] and "ends within" in file.problem


@pytest.mark.parametrize(
    ("link", "head", "kind"),
    [
        (1, b"", ETHERNET),
        (101, b"", RAW_IP),
        (12, b"", RAW_IP),
        (0, b"\x02\0\0\0", RAW_IP),
        (108, b"\0\0\0\x02", RAW_IP),
        (113, b"\0\0\0\x01\0\x06" + b"\0" * 8 + b"\x08\0", IPV4),
        (113, b"\0\0\0\x01\0\x06" + b"\0" * 8 + b"\x81\0", 0x8100),
        (276, b"\x08\0" + b"\0" * 18, IPV4),
    ],
)
def test_each_link_type_is_unwrapped(link: int, head: bytes, kind: int) -> None:
    (frames,) = CaptureFile(io.BytesIO(pcap([(0, head + b"packet"), (1, head[:1])], link=link))).frames()
    assert frames.memory[frames.start[0] : frames.stop[0]].tobytes() == b"packet"
    assert frames.kind[0] == kind
    assert (frames.start <= frames.stop).all() and frames.stop[1] <= len(frames.memory)


def test_packets_of_unknown_links_and_packets_cut_short_are_counted() -> None:
    assert read(pcap([(0, b"bluetooth")] * 3, link=187))[1].unread == 3
    whole = pcap([(0, b"packet")])
    _, file = read(whole[:36] + struct.pack("<I", 90) + whole[40:])
    assert (file.packets, file.cut) == (1, 1)


@settings(deadline=None)
@given(st.data())
def test_a_file_cut_anywhere_gives_what_came_before(data) -> None:
    written = [(n * 1000, bytes([n]) * n) for n in range(8)]
    prefixes = [pcap(written[:n]) for n in range(9)]
    if data.draw(st.booleans()):
        blocks = [section("<"), interface("<"), *(enhanced("<", at // 1000, frame) for at, frame in written)]
        prefixes = [b"".join(blocks[:n]) for n in range(11)]
    whole = prefixes[-1]
    at = data.draw(st.integers(4, len(whole) - 1))
    found, file = read(whole[:at])
    assert found == written[: len(found)] and len(found) < len(written)
    assert file.problem.startswith("the file ends within") == (whole[:at] not in prefixes)
    zipped = gzip.compress(whole)
    found, file = read(zipped[: max(30, at * len(zipped) // len(whole))])
    assert found == written[: len(found)] and file.problem


@settings(deadline=None, max_examples=300)
@given(
    st.binary(max_size=300),
    st.sampled_from(
        [
            b"",
            pcap([(5, b"x" * 20)]),
            pcap([], ">", 0xA1B2C3D4, 113),
            section("<"),
            section(">") + interface(">"),
            section("<") + interface("<", 276, option("<", 9, b"\xff")) + enhanced("<", 2**64 - 1, b"x"),
            gzip.compress(pcap([(5, b"x" * 20)])),
            b"\x1f\x8b",
        ]
    ),
    st.integers(0, 60),
)
@example(b"\x06\0\0\0\x0c\0\0\0\x0c\0\0\0", section("<") + interface("<"), 0)
def test_no_bytes_raise(noise: bytes, sound: bytes, back: int) -> None:
    try:
        found, file = read(sound[: len(sound) - back] + noise)
    except NotACapture:
        return
    assert len(found) <= file.packets


def test_lengths_gone_wrong_end_the_reading_in_words() -> None:
    bad = struct.pack("<4I", 0, 0, 0x7FFFFFFF, 1)
    for data in (
        pcap([(0, b"good")]) + bad + b"\0" * 2000,
        section("<") + interface("<") + enhanced("<", 0, b"good") + struct.pack("<II", 6, 13) + b"\0" * 100,
        section("<") + interface("<") + enhanced("<", 0, b"good") + struct.pack("<II", 6, 0x7FFFFFF0) + b"\0" * 100,
        section("<") + interface("<") + enhanced("<", 0, b"good") + enhanced("<", 0, b"nobody's", 4),
    ):
        found, file = read(data)
        assert [frame for _, frame in found] == [b"good"] and file.problem.startswith("damaged")


def test_what_is_no_capture_is_refused() -> None:
    for data in (b"", b"PK\x03\x04", b"\xd4\xc3", gzip.compress(b"text"), b"a text, and no capture"):
        with pytest.raises(NotACapture, match="not a capture file"):
            CaptureFile(io.BytesIO(data))


def test_files_of_other_programs_are_read(tmp_path: Path) -> None:
    written = [(1_700_000_000 * NS + n * 20_000_000 + 123_000, bytes([n]) * 60) for n in range(50)]
    plain = tmp_path / "plain.pcap"
    plain.write_bytes(pcap(written))
    for kind in ("pcap", "nsecpcap", "pcapng"):
        made = tmp_path / kind
        subprocess.run(["editcap", "-F", kind, plain, made], check=True)
        assert read(made.read_bytes())[0] == written, kind
    made = tmp_path / "by-tcpdump"
    subprocess.run(["tcpdump", "-r", plain, "-w", made], check=True, capture_output=True)
    assert read(made.read_bytes())[0] == written
