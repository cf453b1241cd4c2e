"""Writer and reader together: order, rotation, keys, counters, and the calls left open."""

import threading
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from agent.capture.format import MAX_BODY, RecordKind
from agent.capture.keys import CallKey
from agent.capture.reader import Cursor, Tampered, open_calls, open_record, scan
from agent.capture.writer import CaptureFailed, LogWriter
from agent.model.call import Codec

A, B = CallKey("0a" * 16, 0, b"a" * 32), CallKey("0b" * 16, 2, b"b" * 32)
START = Cursor(0, 0)
MEDIA, END, RESUME, EVENT = RecordKind.MEDIA, RecordKind.END, RecordKind.RESUME, RecordKind.EVENT


@pytest.fixture
def writer(tmp_path: Path):
    log = LogWriter(tmp_path, 1 << 20, lambda: 42)
    yield log
    log.close()


def test_what_is_appended_is_read_back_in_order(writer: LogWriter, tmp_path: Path) -> None:
    writer.append(EVENT, A, b'{"kind":"started"}')
    writer.append(MEDIA, B, bytes(range(160)), stream=3, codec=Codec.PCMU, position_samples=1 << 40, lost_samples=80)
    writer.append(MEDIA, A, np.arange(8000).astype(np.uint8)[100:200].data, codec=Codec.PCMA)
    writer.append(EVENT, A, b"")
    writer.append_opaque(RESUME, A, b"sealed elsewhere")
    records = [record for _, record in scan(tmp_path, START)]
    assert [r.header.kind for r in records] == [EVENT, MEDIA, MEDIA, EVENT, RESUME]
    assert open_record(records[0], A.key) == b'{"kind":"started"}'
    media = records[1].header
    assert (media.call_id, media.epoch, media.stream, media.codec) == (B.call_id, 2, 3, Codec.PCMU)
    assert (media.position_samples, media.lost_samples, media.at_ns, media.length) == (1 << 40, 80, 42, 176)
    assert open_record(records[1], B.key) == bytes(range(160))
    assert open_record(records[2], A.key) == np.arange(100, 200).astype(np.uint8).tobytes()
    assert open_record(records[3], A.key) == b""
    assert records[4].sealed == b"sealed elsewhere"
    with pytest.raises(ValueError, match="RESUME"):
        open_record(records[4], A.key)


@pytest.mark.parametrize("key", [B.key, b"", b"short", bytes(64)])
def test_another_key_opens_nothing(writer: LogWriter, tmp_path: Path, key: bytes) -> None:
    writer.append(EVENT, A, b"secret words")
    assert b"secret words" not in b"".join(p.read_bytes() for p in tmp_path.iterdir())
    ((_, record),) = scan(tmp_path, START)
    with pytest.raises(Tampered):
        open_record(record, key)


def test_reading_goes_on_from_every_cursor(writer: LogWriter, tmp_path: Path) -> None:
    for number in range(10):
        writer.append(MEDIA, A, bytes([number]))
    all_of_it = list(scan(tmp_path, START))
    for index, (cursor, _) in enumerate(all_of_it):
        assert list(scan(tmp_path, cursor)) == all_of_it[index + 1 :]
    writer.append(END, A, b"x")
    assert [r.header.kind for _, r in scan(tmp_path, all_of_it[-1][0])] == [END]


def test_segments_rotate_before_they_grow_too_long(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path, 4096, time.time_ns)
    for number in range(50):
        writer.append(MEDIA, A, bytes([number]) * 900)
    writer.append(MEDIA, A, bytes(10_000))
    writer.append(END, A, b"")
    assert writer.segment == len(list(tmp_path.glob("*.glog"))) > 10
    writer.close()
    sizes = {int(p.stem): p.stat().st_size for p in tmp_path.glob("*.glog")}
    assert sorted(s for s in sizes.values() if s > 4096) == [10_000 + 80]
    assert writer.durable == writer.appended == 52
    opened = [open_record(r, A.key)[:1] for _, r in scan(tmp_path, START)]
    assert opened == [*(bytes([n]) for n in range(50)), b"\0", b""]


def test_every_start_begins_a_segment_and_no_counter_comes_twice(tmp_path: Path) -> None:
    for _ in range(3):
        writer = LogWriter(tmp_path, 1 << 20, time.time_ns)
        for kind in (MEDIA, MEDIA, END, MEDIA, END):
            writer.append(kind, A, b"x")
            writer.append(MEDIA, B, b"x")
        writer.close()
        writer.close()
    assert [p.name for p in sorted(tmp_path.iterdir())] == [f"{n:010d}.glog" for n in (1, 2, 3)]
    used = [(r.header.call_id, r.header.counter) for _, r in scan(tmp_path, START)]
    assert len(used) == len(set(used)) == 30


def test_who_has_a_key_in_use_beyond_the_end_of_its_call_cannot_repeat_a_counter(writer: LogWriter) -> None:
    in_use = writer.use(A)
    writer.append(END, in_use, b"x")
    writer.append(MEDIA, A, b"x")
    with pytest.raises(ValueError, match="does not fit"):
        writer.append(MEDIA, in_use, b"x")
    with pytest.raises(ValueError, match="does not fit"):
        writer.append_opaque(RESUME, in_use, b"x")
    assert writer.appended == 2


def test_counters_of_a_key_rise_by_one(writer: LogWriter, tmp_path: Path) -> None:
    for _ in range(5):
        writer.append(MEDIA, A, b"x")
        writer.append_opaque(RESUME, B, b"y")
    for key in (A, B):
        mine = [r.header.counter for _, r in scan(tmp_path, START) if r.header.call_id == key.call_id]
        assert mine == list(range(mine[0], mine[0] + 5))


def test_calls_without_an_end_are_open(writer: LogWriter, tmp_path: Path) -> None:
    writer.append(EVENT, A, b"x")
    writer.append(EVENT, B, b"x")
    writer.append_opaque(RESUME, B, b"old")
    writer.append(END, A, b"x")
    writer.append_opaque(RESUME, B, b"new")
    writer.append_opaque(RESUME, CallKey(B.call_id, 3, bytes(32)), b"newest")
    for _ in range(4):
        writer.append(MEDIA, B, bytes(8000))
    writer.append_opaque(RESUME, CallKey("0c" * 16, 0, bytes(32)), b"c")
    calls = open_calls(tmp_path)
    assert set(calls) == {B.call_id, "0c" * 16}
    assert calls[B.call_id].last_epoch == 3
    resume = calls[B.call_id].last_resume
    assert resume is not None and resume.sealed == b"newest"


def test_an_empty_folder_has_no_calls(tmp_path: Path) -> None:
    assert open_calls(tmp_path) == {} and list(scan(tmp_path, START)) == []
    (tmp_path / "0000000001.glog").touch()
    (tmp_path / "notes.glog").write_text("GLOG")
    assert open_calls(tmp_path) == {} and list(scan(tmp_path, START)) == []


def test_a_segment_pruned_while_reading_is_passed_over(tmp_path: Path) -> None:
    for _ in range(3):
        writer = LogWriter(tmp_path, 1 << 20, time.time_ns)
        writer.append(MEDIA, A, b"x")
        writer.close()
    reading = scan(tmp_path, START)
    assert next(reading)[0].segment == 1
    (tmp_path / "0000000002.glog").unlink()
    assert [cursor.segment for cursor, _ in reading] == [3]


def test_limits_are_kept_and_nothing_is_written_beyond_them(writer: LogWriter, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="limit"):
        writer.append(MEDIA, A, bytes(MAX_BODY - 15))
    with pytest.raises(ValueError, match="does not fit"):
        writer.append(MEDIA, A, b"", stream=70_000)
    with pytest.raises(ValueError, match="encrypted"):
        writer.append_opaque(MEDIA, A, b"clear!")
    assert list(scan(tmp_path, START)) == []
    writer.append(MEDIA, A, bytes(MAX_BODY - 16))
    ((_, record),) = scan(tmp_path, START)
    assert len(record.sealed) == MAX_BODY


def test_a_reader_beside_the_writer_sees_every_record_once(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path, 20_000, time.time_ns)
    seen: list[int] = []
    done = threading.Event()

    def follow() -> None:
        at = START
        while True:
            last = done.is_set()
            for cursor, record in scan(tmp_path, at):
                at = cursor
                seen.append(record.header.position_samples)
            if last:
                return
            time.sleep(0.001)

    reader = threading.Thread(target=follow)
    reader.start()
    for number in range(2000):
        writer.append(MEDIA, A, bytes(number % 700), position_samples=number)
    writer.sync()
    done.set()
    reader.join()
    writer.close()
    assert seen == list(range(2000))


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(CaptureFailed, match="cannot be written"):
        LogWriter(tmp_path / "absent", 1 << 20, time.time_ns)


def test_group_commit_makes_durable_without_being_asked(writer: LogWriter) -> None:
    writer.append(MEDIA, A, b"x")
    patience = time.monotonic() + 30
    while writer.durable < 1:
        assert time.monotonic() < patience
        time.sleep(0.05)


def test_records_written_together_are_the_same_records(tmp_path: Path) -> None:
    logs = []
    for name, gathered in (("one", False), ("many", True)):
        folder = tmp_path / name
        folder.mkdir()
        writer = LogWriter(folder, 20_000, lambda: 1)
        with writer.together() if gathered else nullcontext():
            for number in range(40):
                writer.append(MEDIA, A, bytes(1000), position_samples=number * 1000)
        assert writer.appended == 40
        writer.sync()
        logs.append([path.read_bytes() for path in sorted(folder.glob("*.glog"))])
        writer.close()
    assert len(logs[0]) > 1 and logs[0] == logs[1]
