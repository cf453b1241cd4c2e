"""Adding models: from folders and archives, safely, under a digest anyone can recompute."""

import io
import os
import shutil
import stat
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from agent.transcribe import archives
from agent.transcribe.models import ModelError, add, check, installed, remove

FILES = {
    "model.bin": b"weights",
    "config.json": b"{}",
    "tokenizer.json": b'{"model": {}}',
    "vocabulary.json": b"[]",
    "README.md": b"not taken",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "source" / "whisper-x"
    made.mkdir(parents=True)
    for name, content in FILES.items():
        (made / name).write_bytes(content)
    return made


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "models"


def names(path: Path) -> set[str]:
    return {p.name for p in path.iterdir()}


def test_add_a_folder(folder: Path, store: Path) -> None:
    model = add(folder, store)
    assert model.name == "whisper-x" and names(model.path) == set(FILES) - {"README.md"}
    assert installed(store) == (model,) and check(model)
    assert names(store) == {"whisper-x", "whisper-x.sha256"}, "nothing half-made stays behind"


def test_the_digest_is_what_coreutils_say(folder: Path, store: Path) -> None:
    model = add(folder, store)
    said = subprocess.run(
        "sha256sum $(ls | LC_ALL=C sort) | sha256sum", shell=True, cwd=model.path, capture_output=True, check=True
    )
    assert said.stdout.split()[0].decode() == model.sha256
    assert (store / "whisper-x.sha256").read_text() == f"{model.sha256}  whisper-x\n"


def test_links_in_a_folder_are_followed(folder: Path, store: Path, tmp_path: Path) -> None:
    blob = tmp_path / "blob"
    (folder / "model.bin").rename(blob)
    (folder / "model.bin").symlink_to(blob)
    model = add(folder, store)
    assert not (model.path / "model.bin").is_symlink() and check(model)


@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".zip"])
def test_add_an_archive(folder: Path, store: Path, tmp_path: Path, ending: str) -> None:
    kind = {".tar": "tar", ".tar.gz": "gztar", ".zip": "zip"}[ending]
    archive = Path(shutil.make_archive(str(tmp_path / "packed-1.0"), kind, folder.parent, "whisper-x"))
    model = add(archive, store)
    assert model.name == "packed-1.0" and model.sha256 == add(folder, store).sha256


def test_adding_again_changes_nothing_and_other_files_are_refused(folder: Path, store: Path) -> None:
    assert add(folder, store) == add(folder, store)
    (folder / "model.bin").write_bytes(b"other weights")
    with pytest.raises(ModelError, match="remove it first"):
        add(folder, store)
    remove("whisper-x", store)
    assert installed(store) == () and add(folder, store).name == "whisper-x"


def test_a_changed_byte_is_seen(folder: Path, store: Path) -> None:
    model = add(folder, store)
    (model.path / "config.json").write_bytes(b"[]")
    assert not check(model)


@pytest.mark.parametrize("missing", ["model.bin", "config.json", "tokenizer.json", "vocabulary.json"])
def test_a_folder_without_its_parts_is_refused(folder: Path, store: Path, missing: str) -> None:
    (folder / missing).unlink()
    with pytest.raises(ModelError, match=missing.replace(".", r"\.")):
        add(folder, store)
    assert names(store) == set()


def test_json_that_is_none_is_refused(folder: Path, store: Path) -> None:
    (folder / "tokenizer.json").write_bytes(b"<html>")
    with pytest.raises(ModelError, match=r"tokenizer\.json is not JSON"):
        add(folder, store)


def tar_with(path: Path, *entries: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in FILES.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for entry in entries:
            tar.addfile(entry, io.BytesIO(bytes(entry.size)))
    return path


def entry(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (entry("../model.bin"), "outside"),
        (entry("/etc/model.bin"), "outside"),
        (entry("a/../../b"), "outside"),
        (entry("vocabulary.txt", tarfile.SYMTYPE, "/etc/passwd"), "link or device"),
        (entry("vocabulary.txt", tarfile.LNKTYPE, "model.bin"), "link or device"),
        (entry("x", tarfile.CHRTYPE), "link or device"),
        (entry("deeper/model.bin"), "two folders"),
    ],
)
def test_hostile_tar_entries_are_refused(tmp_path: Path, store: Path, bad: tarfile.TarInfo, why: str) -> None:
    with pytest.raises(ModelError, match=why):
        add(tar_with(tmp_path / "m.tar", bad), store)
    assert names(store) == set() and not (tmp_path / "model.bin").exists()


def test_hostile_zip_entries_are_refused(tmp_path: Path, store: Path) -> None:
    for name, mode in (("../model.bin", 0), ("vocabulary.txt", stat.S_IFLNK | 0o777), ("..\\x", 0)):
        archive = tmp_path / "m.zip"
        with zipfile.ZipFile(archive, "w") as z:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            z.writestr(info, b"/etc/passwd")
        with pytest.raises(ModelError, match="refused"):
            add(archive, store)


def test_a_bomb_is_stopped_while_it_unpacks(folder: Path, store: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(archives, "MAX_BYTES", 1 << 20)
    (folder / "model.bin").write_bytes(bytes(3 << 20))
    archive = shutil.make_archive(str(tmp_path / "bomb"), "zip", folder)
    with pytest.raises(ModelError, match="unpacks to more"):
        add(Path(archive), store)
    monkeypatch.setattr(archives, "MAX_MEMBERS", 3)
    with pytest.raises(ModelError, match="more than 3 entries"):
        add(tar_with(tmp_path / "many.tar"), store)
    assert names(store) == set()


def test_what_is_no_model_at_all(tmp_path: Path, store: Path) -> None:
    (tmp_path / "noise").write_bytes(bytes(range(256)) * 16)
    (tmp_path / "cut.tar.gz").write_bytes(b"\x1f\x8b\x08" + bytes(range(64)))
    for name in ("noise", "absent", "cut.tar.gz"):
        with pytest.raises(ModelError, match=r"expected a model folder|cannot be added"):
            add(tmp_path / name, store)


@pytest.mark.parametrize("name", ["../up", "", ".hidden", "a b", "x.sha256", "a/b"])
def test_names_that_are_paths_are_refused(folder: Path, store: Path, name: str) -> None:
    if name:
        with pytest.raises(ModelError, match="cannot be a model's name"):
            add(folder, store, name)
    with pytest.raises(ModelError, match="no model named"):
        remove(name, store)


def test_the_last_one_added_is_last(folder: Path, store: Path) -> None:
    for number, name in enumerate(("zed", "alpha")):
        add(folder, store, name)
        os.utime(store / f"{name}.sha256", ns=(number, number))
    assert [m.name for m in installed(store)] == ["zed", "alpha"]
