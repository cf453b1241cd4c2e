"""Tokens: stored hashed, scoped, compared without telling."""

import pytest

from agent.desk.tokens import Scope, add_token, parse_tokens, scope_of


def test_a_token_is_shown_once_and_stored_only_as_a_digest(tmp_path):
    path = tmp_path / "tokens.txt"
    token = add_token(path, "agent:2001", "Marie")
    text = path.read_text()
    assert token not in text
    assert path.stat().st_mode & 0o777 == 0o600
    assert scope_of(token, parse_tokens(text)) == Scope("2001")
    assert scope_of(token + "x", parse_tokens(text)) is None


def test_admin_scope_and_comments():
    tokens = parse_tokens("# a comment\n\n" + "ab" * 32 + " admin # the console\n")
    assert list(tokens.values()) == [Scope(None)]


@pytest.mark.parametrize("line", ["x admin", "ab" * 32, "ab" * 32 + " agent:", "ab" * 32 + " root", "a b c"])
def test_a_broken_line_is_named(line):
    with pytest.raises(ValueError, match="line 2"):
        parse_tokens("#\n" + line)


def test_a_wrong_scope_adds_nothing(tmp_path):
    path = tmp_path / "tokens.txt"
    with pytest.raises(ValueError):
        add_token(path, "agent")
    assert not path.exists()
