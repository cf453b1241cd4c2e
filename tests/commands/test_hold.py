"""`greffier hold`: what is said is held, a number only as its keyed hash, and it takes two where the site says so."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from running_site import RunningSite
from typer.testing import CliRunner

from agent.cli import app
from agent.commands import hold as commands
from agent.model.artifact import Artifact, Delivery
from agent.model.purpose import ArtifactKind
from agent.store.journal import read
from agent.store.rows import CallRow, PartyRow
from agent.vault.numbers import number_hash
from agent.vault.secretfile import read_secret

CALL, OTHER = "0192" + "0" * 28, "0193" + "1" * 28
START = 1_790_000_000_000_000_000
NUMBER = "06 12 34 56 78"


class Site(RunningSite):
    """A configured site of which nothing runs, with two calls in its catalog."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.key = read_secret(self.etc / "keys" / "numbers.key")
        for call_id, number, start in ((CALL, "+33612345678", START), (OTHER, "2001", START + 10**13)):
            self.put(call_id, number, start)

    def put(self, call_id: str, number: str, start: int) -> None:
        catalog = self.catalog()
        catalog.start_call(CallRow(call_id, "r", "siprec", "g", "inbound", None, None, start, start + 5, "bye",
                                   "finalised", 8000))  # fmt: skip
        party = PartyRow(call_id, "p", "customer", number_hash(self.key, number), start, None, 0)
        catalog.set_parties(call_id, [party])
        catalog.add_artifact(
            Artifact(f"{call_id}-a", call_id, "training", ArtifactKind.AUDIO, f"training/{call_id}.audio.opus.age",
                     "audio/ogg", 3, "p", "c", start, START, 0, None, Delivery.LOCAL_ONLY)
        )  # fmt: skip

    def hold(self, *words: object, typed: str | None = None, status: int = 0) -> str:
        arguments = [*map(str, ("hold", *words)), "--config", str(self.config)]
        done = CliRunner().invoke(app, arguments, input=typed, env={"COLUMNS": "250"})
        assert done.exit_code == status, done.output
        return " ".join(done.output.split())

    def held(self) -> set[str]:
        return {call for call in (CALL, OTHER) if self.catalog().legal_holds.is_held(call)}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """What commands print is not cut to the width of whatever terminal there is."""
    monkeypatch.setattr(commands.console, "width", 200)


@pytest.fixture
def at_keyboard(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda name: monkeypatch.setattr(commands, "person", lambda: f"cli:{name}")


def test_a_number_is_typed_and_only_its_hash_kept_however_it_is_written(site: Site) -> None:
    said = site.hold("add", "--case", "7", "--number", "-", "--reason", "court", typed=f"{NUMBER}\n")
    assert "now 1 calls, 1 artifacts here" in said and site.held() == {CALL}
    later = "0194" + "2" * 28
    site.put(later, "0033612345678", START + 1)
    assert site.catalog().legal_holds.is_held(later, "training"), "a call that comes later, written otherwise"
    state = site.settings.site.state_dir
    for path in (p for p in state.rglob("*") if p.is_file()):
        assert b"612345678" not in path.read_bytes() and b"34 56" not in path.read_bytes(), path
    (line,) = [line for line in read(site.settings.journal_dir) if line.kind == "hold"]
    assert line.fields["case"] == "7" and len(line.fields["numbers"]) == 3
    (row,) = json.loads(site.hold("list", "--json"))
    assert (row["case"], row["calls"], row["here"], row["centre"]) == ("7", 2, 2, [])


def test_all_that_is_said_must_fit_and_something_must_be_said(site: Site) -> None:
    add = ("add", "--case", "7", "--reason", "court")
    assert "say what is held" in site.hold(*add, status=2)
    assert "no purpose" in site.hold(*add, "--purpose", "nonsense", status=2)
    assert "over already" in site.hold(*add, "--call", CALL, "--until", "2020-01-01", status=2)
    assert "before" in site.hold(*add, "--from", "2026-11-02", "--to", "2026-11-01", status=2)
    assert "expected a duration" in site.hold(*add, "--from", "whenever", status=2)
    assert "number is needed" in site.hold(*add, "--number", "-", typed="\n", status=2)
    assert "no call" in site.hold(*add, "--call", "ffff", status=1)
    assert site.held() == set() and "No hold" not in site.hold("list")
    site.hold(*add, "--number", NUMBER, "--from", "2030-01-01")
    assert site.held() == set()
    site.hold(*add, "--call", CALL[:4], "--call", OTHER[:4], "--purpose", "training")
    assert site.held() == {CALL, OTHER} and not site.catalog().legal_holds.is_held(CALL, "evidence")
    assert "released" in site.hold("release", "7", "--reason", "over") and site.held() == set()
    assert "no hold of case" in site.hold("release", "7", "--reason", "over", status=1)
    assert "ended" in site.hold("list", "--all")


def test_the_command_of_before_says_the_new_one(site: Site) -> None:
    assert f"greffier hold add --case REF --call {CALL}" in site.hold(CALL, "--reason", "court", status=2)


def test_it_takes_two_to_release(site: Site, at_keyboard: Callable[[str], None]) -> None:
    site.config.write_text(site.config.read_text() + "\n[retention]\ntwo_person = true\n")
    at_keyboard("ann")
    site.hold("add", "--case", "7", "--call", CALL, "--reason", "court")
    release = ("release", "7", "--reason", "the case is closed")
    assert "second person" in site.hold(*release) and site.held() == {CALL}
    assert "asked for it yourself" in site.hold(*release, status=1) and site.held() == {CALL}
    assert "cli:ann wants it released" in site.hold("list")
    at_keyboard("bob")
    assert "1 released" in site.hold(*release) and site.held() == set()
    said = [(line.kind, line.fields["actor"]) for line in read(site.settings.journal_dir)]
    assert said[-2:] == [("hold.release.asked", "cli:ann"), ("hold.lifted", "cli:bob")]
    assert list(read(site.settings.journal_dir))[-1].fields["first_actor"] == "cli:ann"


def test_who_is_at_the_keyboard_is_not_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "somebody-else")
    monkeypatch.delenv("SUDO_USER", raising=False)
    assert "somebody-else" not in commands.person()
    monkeypatch.setenv("SUDO_USER", "ann")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert commands.person() != "cli:ann", "only root can have come by sudo"
