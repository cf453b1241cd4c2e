"""Whose a token is: by the directory, or by the tokens file of before there was one."""

import hashlib
import os
import sqlite3
from pathlib import Path

import pytest

from agent.desk.tokens import IdentityUnknown, TokenFile, Tokens, parse_tokens
from agent.model.identity import Right
from agent.store.directory import Directory, DirectoryReader, LastUse

OLD = "an-old-token"
DIGEST = hashlib.sha256(OLD.encode()).hexdigest()


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    """As the desk has them."""
    reader = DirectoryReader(tmp_path / "directory.sqlite3")
    return Tokens(reader, TokenFile(tmp_path / "tokens.txt"), LastUse(tmp_path / "desk" / "uses.sqlite3"), lambda: 10)


def test_admin_scope_and_comments() -> None:
    tokens = parse_tokens("# a comment\n\n" + "ab" * 32 + " admin # the console\n")
    assert [scope.right for scope in tokens.values()] == [Right.ADMIN]


@pytest.mark.parametrize(
    "line",
    [
        "x admin",
        "ab" * 32,
        "ab" * 32 + " agent:",
        "ab" * 32 + " root",
        "a b c",
        "zz" * 32 + " admin",
        "ab" * 32 + " supervisor",
        "ab" * 32 + " agent:20 01",
    ],
)
def test_a_broken_line_is_named(line: str) -> None:
    with pytest.raises(ValueError, match="line 2"):
        parse_tokens("#\n" + line)


def test_tokens_of_the_old_file_are_taken_still_until_it_says_otherwise(tmp_path: Path, tokens: Tokens) -> None:
    path = tmp_path / "tokens.txt"
    assert tokens.find(OLD) is None
    path.write_text(f"{DIGEST} agent:2001 # Marie\n")
    found = tokens.find(OLD)
    assert found is not None and found.actor(None) == "agent:2001" and found.own == {"2001"}
    assert tokens.find(OLD + "x") is None
    path.write_text(f"{DIGEST} agent:2001\nbroken\n")
    assert tokens.find(OLD) is None, "a broken file lets nobody in"
    path.unlink()
    assert tokens.find(OLD) is None


def test_what_was_imported_and_revoked_is_not_let_in_by_the_old_file(tmp_path: Path, tokens: Tokens) -> None:
    (tmp_path / "tokens.txt").write_text(f"{DIGEST} admin\n")
    directory = Directory(tmp_path / "directory.sqlite3")
    directory.add_digests([(DIGEST, Right.ADMIN, None, None, "desk", None)], 1)
    assert directory.add_digests([(DIGEST, Right.ADMIN, None, None, "desk", None)], 2) == 0
    assert tokens.find(OLD) is not None
    directory.revoke(DIGEST[:12], 3)
    assert tokens.find(OLD) is None


def test_a_directory_that_cannot_be_read_lets_nobody_in(tmp_path: Path, tokens: Tokens) -> None:
    path = tmp_path / "directory.sqlite3"
    made = Directory(path).add_token(Right.ADMIN, 1)
    (tmp_path / "tokens.txt").write_text(f"{DIGEST} admin\n")
    assert tokens.find(made) is not None
    path.unlink()
    path.write_bytes(os.urandom(8192))
    for token in (made, OLD):
        with pytest.raises(IdentityUnknown):
            tokens.find(token)


def test_the_day_of_use_is_remembered_and_its_loss_stops_nobody(tmp_path: Path, tokens: Tokens) -> None:
    directory = Directory(tmp_path / "directory.sqlite3")
    made = directory.add_token(Right.ADMIN, 1)
    assert tokens.find(made) and tokens.find("wrong") is None
    uses = tmp_path / "desk" / "uses.sqlite3"
    assert LastUse(uses).days() == {directory.tokens()[0].token_id: "1970-01-01"}
    uses.write_bytes(b"spoiled" * 1000)
    with pytest.raises(sqlite3.Error):
        LastUse(uses).days()
    again = directory.add_token(Right.ADMIN, 1)
    assert tokens.find(again) is not None
