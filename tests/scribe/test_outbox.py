"""Files appear in the outbox whole or not at all."""

import errno
import os
from pathlib import Path

import pytest

from agent.scribe import outbox


def test_a_file_is_there_whole_under_its_name_only(tmp_path: Path) -> None:
    outbox.write(tmp_path, "training/x.audio.flac.age", b"cipher" * 1000)
    assert (tmp_path / "training/x.audio.flac.age").read_bytes() == b"cipher" * 1000
    assert [p.name for p in (tmp_path / "training").iterdir()] == ["x.audio.flac.age"]


def test_writing_again_replaces(tmp_path: Path) -> None:
    outbox.write(tmp_path, "a/x.age", b"one")
    outbox.write(tmp_path, "a/x.age", b"two")
    assert (tmp_path / "a/x.age").read_bytes() == b"two"


def test_partial_files_of_a_killed_scribe_are_swept(tmp_path: Path) -> None:
    outbox.write(tmp_path, "a/x.age", b"one")
    (tmp_path / "a/.y.age.partial").write_bytes(b"hal")
    assert outbox.sweep_partial(tmp_path) == 1
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["x.age"]


def test_a_full_disk_is_named_and_leaves_nothing(full_disk: Path) -> None:
    with pytest.raises(outbox.OutboxFull, match="no room for"):
        outbox.write(full_disk, "a/x.age", os.urandom(4 << 20))
    assert list(full_disk.glob("*/*")) == []
    outbox.write(full_disk, "a/y.age", b"small files still fit")


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a file where a folder should be")
    with pytest.raises(OSError) as caught:
        outbox.write(tmp_path, "a/x.age", b"x")
    assert caught.value.errno in (errno.ENOTDIR, errno.EEXIST) and not isinstance(caught.value, outbox.OutboxFull)
