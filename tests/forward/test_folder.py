"""A folder as destination: whole and checked or not at all, and honest words for what went wrong."""

import hashlib
import os
from pathlib import Path

import pytest
from servers import Counting

from agent.forward.destination import Poison, Retry, Terms, Unsupported
from agent.forward.folder import FolderDestination

KEY = "training/call.audio.opus.age"


class NoUpload:
    """Folders have no unfinished uploads."""

    upload_id = None

    def remember(self, upload_id: str | None) -> None:
        raise AssertionError(upload_id)


def source(tmp_path: Path, data: bytes = b"age" * 1000) -> tuple[Path, str, int]:
    path = tmp_path / "local.age"
    path.write_bytes(data)
    return path, hashlib.sha256(data).hexdigest(), len(data)


def put(destination: FolderDestination, local: tuple[Path, str, int]) -> None:
    path, digest, size = local
    destination.put(path, KEY, digest, size, NoUpload(), Terms())


def test_the_file_is_there_whole_and_a_second_time_does_no_harm(tmp_path: Path) -> None:
    centre = FolderDestination("centre", tmp_path / "centre", "lyon")
    local = source(tmp_path)
    put(centre, local)
    put(centre, local)
    assert [p for p in (tmp_path / "centre").rglob("*") if p.is_file()] == [tmp_path / "centre" / "lyon" / KEY]
    assert (tmp_path / "centre" / "lyon" / KEY).read_bytes() == local[0].read_bytes()
    centre.check()


def test_another_file_of_this_name_is_never_replaced(tmp_path: Path) -> None:
    target = tmp_path / "centre" / KEY
    target.parent.mkdir(parents=True)
    target.write_bytes(b"theirs")
    with pytest.raises(Poison, match="another file"):
        put(FolderDestination("centre", tmp_path / "centre"), source(tmp_path))
    assert target.read_bytes() == b"theirs"


def test_a_changed_or_missing_local_file_is_not_sent(tmp_path: Path) -> None:
    centre = FolderDestination("centre", tmp_path / "centre")
    path, digest, size = source(tmp_path)
    path.write_bytes(b"changed")
    with pytest.raises(Poison, match="SHA-256"):
        put(centre, (path, digest, size))
    path.unlink()
    with pytest.raises(Poison, match="cannot be read"):
        put(centre, (path, digest, size))
    assert not (tmp_path / "centre").exists()


def test_a_share_that_is_not_mounted_is_waited_for(tmp_path: Path) -> None:
    with pytest.raises(Retry, match="No such file"):
        put(FolderDestination("centre", tmp_path / "away" / "centre"), source(tmp_path))
    with pytest.raises(Retry):
        FolderDestination("centre", tmp_path / "away" / "centre").check()


def test_a_full_disk_is_waited_for_and_no_part_is_left(tmp_path: Path, full_disk: Path) -> None:
    with pytest.raises(Retry, match="No space"):
        put(FolderDestination("centre", full_disk / "centre"), source(tmp_path, os.urandom(4 << 20)))
    assert [p for p in full_disk.rglob("*") if p.is_file()] == []


def test_a_throttle_sees_every_byte_once_before_it_is_written(tmp_path: Path) -> None:
    throttle = Counting()
    centre = FolderDestination("centre", tmp_path / "centre", throttle=throttle)
    local = source(tmp_path, os.urandom((2 << 20) + 7))
    put(centre, local)
    assert throttle.taken == [1 << 20, 1 << 20, 7]
    put(centre, local)
    assert len(throttle.taken) == 3, "what is there is not sent again"


def test_what_is_destroyed_is_gone_and_nothing_else_and_no_share_that_is_away_counts_as_empty(tmp_path: Path) -> None:
    centre = FolderDestination("centre", tmp_path / "centre", "lyon")
    put(centre, source(tmp_path))
    folder = (tmp_path / "centre" / "lyon" / KEY).parent
    (folder / "other.age").write_bytes(b"other")
    (folder / ".call.audio.opus.age.partial").write_bytes(b"half")
    centre.destroy(KEY)
    centre.destroy(KEY)
    centre.destroy("nowhere/at/all")
    assert [p.name for p in folder.iterdir()] == ["other.age"]
    with pytest.raises(Retry, match="not there"):
        FolderDestination("centre", tmp_path / "away").destroy(KEY)
    with pytest.raises(Unsupported):
        centre.hold(KEY, True)
