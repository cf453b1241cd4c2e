"""What root writes where a service owns the folder: the service's to read, and no way for it to files of root's."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from agent.model.identity import Right
from agent.store.directory import Directory
from agent.store.journal import Journal
from agent.vault.lists import Entry, Hasher, write_list

SERVICE = 65534

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def state() -> Iterator[Path]:
    """A folder of the service's."""
    with TemporaryDirectory() as name:
        os.chown(name, SERVICE, SERVICE)
        yield Path(name)


@pytest.fixture
def roots() -> Iterator[Path]:
    """A folder of root's beside it."""
    with TemporaryDirectory() as name:
        yield Path(name)


def test_what_roots_commands_write_is_the_services(state: Path) -> None:
    Journal(state, "cli", lambda: 1).append("list.added")
    write_list(state / "lists" / "opt-out.txt", (Entry("0" * 32),))
    Hasher.made(state, "33")
    Directory(state / "directory.sqlite3").add_token(Right.ADMIN, 1)
    made = sorted(path.name for path in state.rglob("*"))
    assert made == ["cli.jsonl", "directory.sqlite3", "lists", "lists.key", "opt-out.txt"]
    assert {path.stat().st_uid for path in state.rglob("*")} == {SERVICE}
    assert os.geteuid() == os.getegid() == 0


def test_a_journal_that_an_earlier_version_made_as_root_is_handed_over(state: Path) -> None:
    (state / "cli.jsonl").touch(mode=0o640)
    Journal(state, "cli", lambda: 1)
    assert (state / "cli.jsonl").stat().st_uid == SERVICE


def test_a_link_in_the_services_folder_leads_root_nowhere(state: Path, roots: Path) -> None:
    (roots / "shadow").write_bytes(b"torn")
    (roots / "empty").touch()
    (state / "cli.jsonl").symlink_to(roots / "shadow")
    with pytest.raises(OSError):
        Journal(state, "cli", lambda: 1)
    for name in ("empty", "absent"):
        (state / "directory.sqlite3").unlink(missing_ok=True)
        (state / "directory.sqlite3").symlink_to(roots / name)
        with pytest.raises(sqlite3.Error):
            Directory(state / "directory.sqlite3").add_token(Right.ADMIN, 1)
    (state / "lists").symlink_to(roots)
    write_list(state / "lists" / "opt-out.txt", ())
    (state / "protect.jsonl").hardlink_to(roots / "shadow")
    Journal(state, "protect", lambda: 1)
    assert {path.name for path in roots.iterdir()} == {"empty", "shadow", "opt-out.txt"}
    assert {path.stat().st_uid for path in (roots, *roots.iterdir())} == {0}
    assert (roots / "empty").stat().st_size == 0
