"""What happens to the log when something breaks: torn tails, spoiled bytes, a full disk, a killed writer."""

import errno
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.capture.format import RecordKind
from agent.capture.keys import CallKey
from agent.capture.reader import Cursor, Tampered, open_calls, open_record, scan
from agent.capture.writer import CaptureFailed, LogWriter

KEY = CallKey("0a" * 16, 0, b"k" * 32)
START = Cursor(0, 0)
MEDIA, END, RESUME = RecordKind.MEDIA, RecordKind.END, RecordKind.RESUME
SETTINGS = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def write(folder: Path, payloads: list[bytes]) -> list[int]:
    """A segment with these payloads; where each record ends."""
    writer = LogWriter(folder, 1 << 20, lambda: 1)
    for payload in payloads:
        writer.append(MEDIA, KEY, payload)
    writer.close()
    return [cursor.offset for cursor, _ in scan(folder, START) if cursor.segment == writer.segment]


def opened(folder: Path) -> list[bytes]:
    """All payloads that the log still gives, in order; a spoiled one that passes for sound is an error."""
    return [open_record(record, KEY.key) for _, record in scan(folder, START)]


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[[], Path]:
    count = iter(range(10**9))

    def make() -> Path:
        folder = tmp_path / f"log{next(count)}"
        folder.mkdir()
        return folder

    return make


def test_a_tail_torn_at_every_byte_keeps_all_before_it(fresh) -> None:
    folder = fresh()
    ends = write(folder, [b"first", b"", b"third one"])
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        assert opened(folder) == [b"first", b"", b"third one"][: sum(end <= length for end in ends)]
        assert (KEY.call_id in open_calls(folder)) == (length >= ends[0])


@SETTINGS
@given(st.lists(st.binary(max_size=300), min_size=1, max_size=6), st.data())
def test_a_torn_segment_does_not_hide_the_next(fresh, payloads: list[bytes], data: st.DataObject) -> None:
    folder = fresh()
    ends = write(folder, payloads)
    (path,) = folder.iterdir()
    length = data.draw(st.integers(0, ends[-1]))
    os.truncate(path, length)
    if data.draw(st.booleans()):
        path.write_bytes(path.read_bytes() + bytes(ends[-1] - length))  # a power cut may leave zeros
    write(folder, [b"after the restart"])
    assert opened(folder) == [*payloads[: sum(end <= length for end in ends)], b"after the restart"]


def test_a_bit_flipped_in_any_byte_costs_that_record_alone(fresh) -> None:
    folder = fresh()
    ends = write(folder, [b"one", b"the second", b"three"])
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    for at in range(ends[0], ends[1]):
        for bit in (0, 7):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :])
            assert opened(folder) == [b"one", b"three"], f"byte {at - ends[0]} of the record"


def test_a_change_with_a_matching_checksum_is_seen_with_the_key(fresh) -> None:
    from agent.capture.format import checksum

    folder = fresh()
    write(folder, [b"payload"])
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    for at in range(len(whole) - 4):
        spoiled = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 : -4]
        path.write_bytes(spoiled + checksum(spoiled))
        for _, record in scan(folder, START):
            with pytest.raises((Tampered, ValueError)):
                open_record(record, KEY.key)


@SETTINGS
@given(st.lists(st.binary(max_size=200) | st.just(b"GLOG" * 30), max_size=5), st.binary(max_size=400))
def test_garbage_between_records_is_skipped(fresh, payloads: list[bytes], garbage: bytes) -> None:
    folder = fresh()
    write(folder, payloads)
    (path,) = folder.iterdir()
    tail = fresh()
    write(tail, [b"behind"])
    path.write_bytes(path.read_bytes() + garbage + b"GLOG" + next(tail.iterdir()).read_bytes())
    assert opened(folder) == [*payloads, b"behind"]


@pytest.mark.parametrize("gap", range((1 << 18) - 6, (1 << 18) + 3))
def test_a_record_is_found_behind_long_damage_wherever_it_lies(fresh, gap: int) -> None:
    folder = fresh()
    write(folder, [b"behind"])
    (path,) = folder.iterdir()
    path.write_bytes(bytes(gap) + path.read_bytes())
    assert opened(folder) == [b"behind"]


def test_a_damaged_length_neither_exhausts_memory_nor_hides_what_follows(fresh) -> None:
    folder = fresh()
    ends = write(folder, [b"one", b"two", b"three"])
    (path,) = folder.iterdir()
    whole = bytearray(path.read_bytes())
    for length in (0, 1, 200, 16 << 20, 0xFFFFFFFF):
        whole[ends[0] + 40 : ends[0] + 44] = length.to_bytes(4, "big")
        path.write_bytes(whole)
        assert opened(folder) == [b"one", b"three"]
        assert set(open_calls(folder)) == {KEY.call_id}


def test_a_spoiled_end_leaves_the_call_open(fresh) -> None:
    folder = fresh()
    writer = LogWriter(folder, 1 << 20, lambda: 1)
    writer.append(MEDIA, KEY, b"x")
    writer.append(END, KEY, b"bye")
    writer.append(MEDIA, CallKey("0b" * 16, 0, bytes(32)), b"x")
    writer.close()
    assert set(open_calls(folder)) == {"0b" * 16}
    (path,) = folder.iterdir()
    whole = bytearray(path.read_bytes())
    whole[81 + 65] ^= 1
    path.write_bytes(whole)
    assert set(open_calls(folder)) == {"0a" * 16, "0b" * 16}


def test_a_full_disk_is_loud_and_keeps_what_was_written(full_disk: Path) -> None:
    writer = LogWriter(full_disk, 1 << 20, time.time_ns)
    payload, count = random.Random(1).randbytes(5000), 0
    with pytest.raises(CaptureFailed, match="No space left"):
        for count in range(1000):  # noqa: B007  (how far it came is the point)
            writer.append(MEDIA, KEY, payload)
    assert count > 40
    for again in (lambda: writer.append(MEDIA, KEY, b""), writer.sync, writer.close):
        with pytest.raises(CaptureFailed, match="No space left"):
            again()
    assert opened(full_disk) == [payload] * count


LIMITED = """
import resource, sys, time
from pathlib import Path
from agent.capture.format import RecordKind
from agent.capture.keys import CallKey
from agent.capture.writer import CaptureFailed, LogWriter
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
writer = LogWriter(Path(sys.argv[1]), 1 << 20, time.time_ns)
key = CallKey("0a" * 16, 0, b"k" * 32)
try:
    while True:
        writer.append(RecordKind.MEDIA, key, bytes(3000))
except CaptureFailed as failed:
    print(writer.appended, failed)
"""


def test_a_file_that_may_not_grow_is_loud(fresh) -> None:
    folder = fresh()
    done = subprocess.run([sys.executable, "-c", LIMITED, folder], capture_output=True, text=True, check=True)
    appended, reason = done.stdout.splitlines()[-1].split(" ", 1)
    assert os.strerror(errno.EFBIG) in reason and opened(folder) == [bytes(3000)] * int(appended)


def test_an_error_of_the_sync_thread_reaches_the_next_append(fresh) -> None:
    writer = LogWriter(fresh(), 1 << 20, time.time_ns)
    writer.append(MEDIA, KEY, b"x")
    read_end, write_end = os.pipe()
    os.dup2(write_end, writer._fd)  # a pipe takes writes and refuses fdatasync, as a dying disk may
    with pytest.raises(CaptureFailed, match="durable"):
        writer.sync()
    with pytest.raises(CaptureFailed, match="durable"):
        writer.append(MEDIA, KEY, b"y")
    with pytest.raises(CaptureFailed, match="durable"):
        writer.close()
    os.close(read_end)
    os.close(write_end)


WRITING = """
import sys, time
from pathlib import Path
from agent.capture.format import RecordKind
from agent.capture.keys import CallKey
from agent.capture.writer import LogWriter
writer = LogWriter(Path(sys.argv[1]), 60_000, time.time_ns)
key = CallKey("0a" * 16, int(sys.argv[2]), b"k" * 32)
while True:
    for number in range(20):
        writer.append(RecordKind.MEDIA, key, bytes(700), position_samples=writer.appended)
    writer.sync()
    print(writer.durable, flush=True)
"""


def kill_at_random_moments(folder: Path, times: int, seed: int) -> None:
    moments = random.Random(seed)
    promised: dict[int, int] = {}
    for epoch in range(times):
        command = [sys.executable, "-c", WRITING, folder, str(epoch)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            first = child.stdout.readline()
            time.sleep(moments.random() * 0.1)
            child.send_signal(signal.SIGKILL)
            promised[epoch] = int([first, *child.stdout.read().splitlines()][-1])
    found: dict[int, list[int]] = {}
    for _, record in scan(folder, START):
        assert open_record(record, KEY.key) == bytes(700)
        found.setdefault(record.header.epoch, []).append(record.header.position_samples)
    for epoch, count in promised.items():
        assert found[epoch] == list(range(len(found[epoch]))) and len(found[epoch]) >= count
    assert open_calls(folder)[KEY.call_id].last_epoch == times - 1


def test_what_was_reported_durable_is_found_after_kill(fresh) -> None:
    kill_at_random_moments(fresh(), 3, seed=1)


@pytest.mark.slow
def test_what_was_reported_durable_is_found_after_many_kills(fresh) -> None:
    kill_at_random_moments(fresh(), 25, seed=2)
