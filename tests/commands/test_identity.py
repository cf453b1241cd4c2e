"""`greffier agents` and `greffier token`: what they print, what they refuse, and with which line."""

import hashlib
from pathlib import Path

import pytest
from running_site import RunningSite

from agent.model.identity import Agent
from agent.store.directory import Directory, DirectoryReader
from agent.store.journal import read


@pytest.fixture
def site(tmp_path: Path) -> RunningSite:
    """A configured site of which nothing runs."""
    return RunningSite(tmp_path)


def test_agents_are_added_listed_and_removed(site: RunningSite) -> None:
    site.greffier("agents", "add", "Marie Dupont", "--extension", "2001", "-e", "2011", "--supervisor")
    assert "already that of 'Marie Dupont'" in site.greffier("agents", "add", "Eve", "-e", "2001", status=2)
    listed = site.greffier("agents", "list")
    assert "Marie Dupont" in listed and "2001, 2011" in listed and "Eve" not in listed
    made = site.greffier("token", "add", "agent:2001").strip()
    assert "1 tokens are revoked" in site.greffier("agents", "remove", "Marie Dupont")
    assert DirectoryReader(site.settings.directory_path).find(made, 1) is None
    assert "no agent" in site.greffier("agents", "remove", "Marie Dupont", status=2)


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("Ann,2001,no\n", 1, "the first line is name,extensions,supervisor"),
        ("", 1, "the first line is"),
        ("name,extensions,supervisor\nAnn,2001,no\n\nBob,2002\n", 4, "3 columns"),
        ("name,extensions,supervisor\nAnn,2001,no\nBob,2001,no\n", 3, "already that of 'Ann'"),
        ("name,extensions,supervisor\nAnn,2001,no\nBob,2002,perhaps\n", 3, "`yes` or `no`"),
        ('name,extensions,supervisor\n"Ann\nLee",2001,no\nBob,20!02,no\n', 2, "printable"),
        ("name,extensions,supervisor\nAnn,2001,no\nBob,20!02,no\n", 3, "is no extension"),
        ('name,extensions,supervisor\nAnn,2001,no\nBob,"2002"x,no\n', 3, "expected after"),
    ],
)
def test_a_csv_is_taken_all_or_not_at_all(site: RunningSite, text: str, line: int, why: str) -> None:
    file = site.folder / "agents.csv"
    file.write_text(text)
    said = site.greffier("agents", "import", file, status=2)
    assert f"line {line}:" in said and why in said and "nothing was added" in said
    assert Directory(site.settings.directory_path).agents() == []


def test_a_csv_as_office_programs_write_it_is_taken(site: RunningSite) -> None:
    file = site.folder / "agents.csv"
    file.write_bytes('\ufeffName,Extensions,Supervisor\r\nZoé,2001 2011,\r\n"Lee, Ann",2002,YES\r\n'.encode())
    assert "2 agents" in site.greffier("agents", "import", file)
    known = Directory(site.settings.directory_path).agents()
    assert known == [Agent("Lee, Ann", ("2002",), True), Agent("Zoé", ("2001", "2011"))]


def test_only_the_token_is_printed_and_it_can_be_taken_back(site: RunningSite) -> None:
    said = site.greffier("token", "add", "agent:2001", "desk-7", "--device", "phone", "--expires", "90 days")
    assert len(said.split()) == 1 and said.strip() not in site.greffier("token", "list")
    kept = Directory(site.settings.directory_path).tokens()[-1]
    assert (kept.device, kept.name, kept.expires_ns) == ("phone", "desk-7", kept.created_ns + 90 * 86400 * 10**9)
    listed = site.greffier("token", "list")
    assert "agent:2001" in listed and "desk-7" in listed and "phone" in listed and "revoked" not in listed
    assert "is revoked" in site.greffier("token", "revoke", kept.token_id)
    assert "revoked 20" in site.greffier("token", "list")
    for wrong in (["agent"], ["root"], ["agent:"], ["admin", "two words"], ["admin", "x", "--device", "crm"]):
        site.greffier("token", "add", *wrong, status=2)
    assert "90 s" in site.greffier("token", "add", "admin", "--expires", "soon", status=2)


def test_the_tokens_file_of_before_is_imported_whole_or_not_at_all(site: RunningSite) -> None:
    assert "say which" in site.greffier("token", "import", status=2)
    site.config.write_text(site.config.read_text().replace("[desk]", '[desk]\ntokens_file = "desk-tokens.txt"'))
    path = site.etc / "desk-tokens.txt"
    digests = [hashlib.sha256(name.encode()).hexdigest() for name in ("one", "two")]
    path.write_text(f"{digests[0]} agent:2001 # Marie\nbroken\n")
    before = len(Directory(site.settings.directory_path).tokens())
    assert "line 2" in site.greffier("token", "import", status=2)
    assert len(Directory(site.settings.directory_path).tokens()) == before
    path.write_text(f"{digests[0]} agent:2001 # Marie\n{digests[1]} admin\n")
    assert "2 tokens imported" in site.greffier("token", "import")
    assert "0 tokens imported" in site.greffier("token", "import")
    found = DirectoryReader(site.settings.directory_path).find("one", 1)
    assert found is not None and found.extension == "2001"


def test_a_name_is_shown_as_it_is(site: RunningSite) -> None:
    file = site.folder / "agents.csv"
    file.write_text("name,extensions,supervisor\nBob [/sales],2002,no\n")
    site.greffier("agents", "import", file)
    site.greffier("agents", "add", "Ann [red]", "-e", "2001")
    listed = site.greffier("agents", "list")
    assert "Ann [red]" in listed and "Bob [/sales]" in listed
    assert "no agent 'C [/x]'" in site.greffier("agents", "remove", "C [/x]", status=2)


@pytest.mark.parametrize("expires", ["0 s", "101 years", "9999999999999 years"])
def test_a_token_is_good_for_a_time_that_makes_sense(site: RunningSite, expires: str) -> None:
    assert "100 years" in site.greffier("token", "add", "admin", "--expires", expires, status=2)


def test_a_directory_that_cannot_be_used_is_said_in_a_line(site: RunningSite) -> None:
    path = site.settings.directory_path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"no database" * 100)
    for words in (
        ["agents", "list"],
        ["agents", "add", "Ann", "-e", "1"],
        ["token", "list"],
        ["token", "add", "admin"],
    ):
        said = site.greffier(*words, status=1)
        assert "cannot be used" in said and "Traceback" not in said


def test_who_lets_whom_in_is_journalled_and_no_token_is(site: RunningSite) -> None:
    site.greffier("agents", "add", "Ann", "-e", "2001", "-e", "2011")
    made = site.greffier("token", "add", "agent:2001", "desk-7", "--device", "phone").strip()
    token_id = Directory(site.settings.directory_path).tokens()[-1].token_id
    site.greffier("token", "revoke", token_id)
    site.greffier("agents", "remove", "Ann")
    site.greffier("token", "revoke", "nobody's", status=2)
    lines = [
        (line.kind, line.fields) for line in read(site.settings.journal_dir) if line.kind[:5] in ("agent", "token")
    ]
    assert all(str(fields.pop("actor")).startswith("cli:") for _, fields in lines)
    assert lines[-4:] == [
        ("agents.added", {"agents": 1, "extensions": "2001 2011", "supervisor": False}),
        ("token.added", {"token": token_id, "scope": "agent:2001", "device": "phone", "name": "desk-7"}),
        ("token.revoked", {"token": token_id, "name": "desk-7"}),
        ("agents.removed", {"extensions": "2001 2011", "tokens": 0}),
    ]
    assert made not in site.settings.journal_dir.joinpath("cli.jsonl").read_text()
