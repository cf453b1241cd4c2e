"""`greffier policy` without a running agent: lists that hold no number, decisions tried and explained."""

from pathlib import Path

import pytest
from running_site import RunningSite


@pytest.fixture
def site(tmp_path: Path) -> RunningSite:
    """A configured site of which nothing runs."""
    return RunningSite(tmp_path)


NUMBER, SPELT = "+33612345678", "06 12 34 56 78"


def test_a_number_is_put_on_a_list_found_and_taken_off_and_stored_nowhere(site: RunningSite) -> None:
    for which, number in (("opt-out", NUMBER), ("protect", "2999")):
        assert "not on the list" in site.greffier("policy", which, "check", number, status=1)
        assert "on the list" in site.greffier("policy", which, "add", number, "--note", "letter of 3 November")
        assert "already" in site.greffier("policy", which, "add", number)
        shown = site.greffier("policy", which, "list")
        assert "letter of 3 November" in shown and number not in shown
    site.greffier("policy", "opt-out", "check", SPELT)
    assert "not on the list" in site.greffier("policy", "protect", "check", NUMBER, status=1), "lists are apart"
    files = [path for path in site.folder.rglob("*") if path.is_file()]
    assert any(path.name == "opt-out.txt" for path in files)
    for path in files:
        data = path.read_bytes()
        assert b"612345678" not in data, path
    hashed = site.settings.lists_dir.joinpath("opt-out.txt").read_text()[:10]
    site.greffier("policy", "opt-out", "remove", f"#{hashed}")
    assert "not on the list" in site.greffier("policy", "opt-out", "check", NUMBER, status=1)
    journal = site.settings.journal_dir.joinpath("cli.jsonl").read_text()
    assert [journal.count(f'"list.{what}"') for what in ("added", "removed")] == [2, 1]


def test_a_spoiled_list_is_said_and_not_repeated(site: RunningSite) -> None:
    site.settings.lists_dir.mkdir(parents=True)
    site.settings.lists_dir.joinpath("opt-out.txt").write_text("0612345678\n")
    said = site.greffier("policy", "opt-out", "list", status=1)
    assert "line 1" in said and "0612345678" not in said
