"""`greffier sync` as people and scripts use it: what it shows, what it does, and who did it."""

import json
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import typer
from outbox_site import Site
from typer.testing import CliRunner

from agent.cli import app
from agent.commands.common import console
from agent.commands.sync import ahead, size
from agent.model.artifact import Delivery
from agent.store.journal import read

CONFIG = """
[site]
state_dir = "state"
run_dir = "run"
[courier]
outbox_budget = "10 kB"
[destination.centre]
kind = "folder"
path = "centre"
limit_mbit = 4
[purpose.training]
trigger = "all"
artifacts = ["audio"]
recipients_file = "r.txt"
destination = "centre"
disk_budget = "9 kB"
"""
PARIS = ZoneInfo("Europe/Paris")
Run = Callable[..., str]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "greffier.toml").write_text(CONFIG)
    made = Site(tmp_path)
    made.now_ns = time.time_ns()
    return made


@pytest.fixture
def run(site: Site, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run("status")` → what was said; another exit status is to be named."""
    monkeypatch.setattr(console, "width", 200)

    def command(*words: str, status: int = 0) -> str:
        done = CliRunner().invoke(app, ["sync", *words, "--config", str(site.root / "greffier.toml")])
        assert done.exit_code == status, done.output
        return " ".join(done.output.split())

    return command


def told(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("status", "--json"))
    return found


def test_status_says_what_waits_why_and_what_was_set_aside(site: Site, run: Run) -> None:
    for name in ("a", "b", "c"):
        site.put(name, 3000)
    site.put("old", 10, purpose="gone")
    site.catalog._base.run("UPDATE artifacts SET destination = 'elsewhere' WHERE purpose = 'gone'")
    site.catalog.set_delivery("b", Delivery.POISONED, site.now_ns, "access is denied")
    site.catalog.set_delivery("c", Delivery.SENT, site.now_ns)
    site.catalog.lanes.set_failing("centre", "nobody there", site.now_ns, site.now_ns + 5_000_000_000)
    centre, elsewhere = told(run)["destinations"]
    assert centre["kind"] == "folder" and centre["limit_mbit"] == 4 and centre["failing"]["why"] == "nobody there"
    assert centre["rate_mbit"] > 0 and centre["last_success"] is not None and centre["paused"] is None
    (waiting,) = centre["purposes"]
    assert (waiting["waiting"], waiting["bytes"], waiting["aside"]) == (1, 3000, 1)
    assert elsewhere["kind"] is None and elsewhere["purposes"][0]["waiting"] == 1
    assert told(run)["aside"] == [
        {"path": "training/b", "destination": "centre", "bytes": 3000, "attempts": 0, "why": "access is denied"}
    ]
    whole, training = sorted(told(run)["budgets"], key=lambda b: b["purpose"] or "")
    assert (training["used"], training["limit"], training["waits"]) == (9000, 9000, ["training"])
    assert whole["used"] == 9010 and whole["alarm"] and whole["waits"] == []
    said = run("status")
    for words in ("failing since", "nobody there", "access is denied", "no longer configured", "derivation waits"):
        assert words in said, said


def test_pause_and_resume_are_durable_and_say_who(site: Site, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "ann")
    assert "until `greffier sync resume`" in run("pause", "centre", "--reason", "line is needed")
    paused = told(run)["destinations"][0]["paused"]
    assert paused["by"] == "cli:ann" and paused["until"] is None and paused["reason"] == "line is needed"
    run("resume", "centre")
    assert told(run)["destinations"][0]["paused"] is None
    assert "is not paused" in run("resume", "centre", status=1)
    run("pause", "centre", "--until", "2 h")
    row = site.catalog.lanes.lane("centre")
    assert row.is_paused(time.time_ns()) and not row.is_paused(time.time_ns() + 7_300 * 10**9)
    assert "no [destination.center] (known: centre)" in run("pause", "center", status=2)
    assert "is no time" in run("pause", "centre", "--until", "soon", status=2)
    lines = [(x.kind, x.fields["actor"], x.fields["destination"]) for x in read(site.journal_dir)]
    assert lines == [("sync.paused", "cli:ann", "centre"), ("sync.resumed", "cli:ann", "centre"),
                     ("sync.paused", "cli:ann", "centre")]  # fmt: skip


def test_retry_makes_one_or_all_due(site: Site, run: Run) -> None:
    for name in ("a", "b"):
        site.put(name)
        site.catalog.retry_later(name, 1 << 61, "x")
    assert site.catalog.due_deliveries(site.now_ns) == []
    assert "nothing waits under" in run("retry", "training/z", status=1)
    assert "say which" in run("retry", status=2) and "say which" in run("retry", "training/a", "--all", status=2)
    assert json.loads(run("retry", "training/a", "--json")) == {"destinations": ["centre"]}
    assert [a.artifact_id for a in site.catalog.due_deliveries(site.now_ns)] == ["a"]
    run("retry", "--all")
    assert len(site.catalog.due_deliveries(site.now_ns)) == 2
    assert site.catalog.lanes.lane("centre").woken_ns > 0


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("19:00", "2026-11-30T19:00"),
        ("07:00", "2026-12-01T07:00"),
        ("2026-12-24 06:00", "2026-12-24T06:00"),
        ("2 h", "2026-11-30T14:00"),
    ],
)
def test_until_is_always_ahead(text: str, at: str) -> None:
    now = datetime(2026, 11, 30, 12, 0, tzinfo=PARIS)
    expected = datetime.fromisoformat(at).replace(tzinfo=PARIS)
    assert ahead(text, int(now.timestamp()) * 10**9, PARIS) == int(expected.timestamp()) * 10**9
    with pytest.raises(typer.Exit):
        ahead("2026-01-01", int(now.timestamp()) * 10**9, PARIS)


def test_sizes_are_as_people_write_them() -> None:
    assert [size(n) for n in (5, 2048, 5 << 20, 3 << 30, 7 << 40)] == [
        "5 B", "2.0 KiB", "5.0 MiB", "3.0 GiB", "7.0 TiB"]  # fmt: skip


def test_what_is_fetched_from_is_not_paused(site: Site, run: Run) -> None:
    config = site.root / "greffier.toml"
    config.write_text(config.read_text() + '[destination.feed]\nkind = "pull"\n')
    assert "it is fetched from" in run("pause", "feed", status=2)
    assert not site.catalog.lanes.lane("feed").is_paused(site.now_ns)
