"""`greffier retention`: what goes when, what a change would do, and a clock that is doubted until confirmed."""

import json
import time
from pathlib import Path

import pytest
from holding import hold
from running_site import RunningSite
from typer.testing import CliRunner

from agent.cli import app
from agent.commands import retention
from agent.model.artifact import Artifact, Delivery
from agent.model.purpose import ArtifactKind
from agent.retain.clock import Reading
from agent.retain.ntp import read_clocks
from agent.retain.trusted import confirm
from agent.store.journal import Journal, read
from agent.store.rows import CallRow, IndexedRow

DAY = 86_400 * 10**9
TODAY = time.time_ns() // DAY * DAY
CALL, HELD = "0192" + "0" * 28, "0193" + "1" * 28


class Site(RunningSite):
    """A configured site of which nothing runs, whose catalog says when what goes."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.box = self.catalog()
        for call_id in (CALL, HELD):
            self.box.start_call(CallRow(call_id, "r", "siprec", "g", "inbound", None, None, TODAY, TODAY, "bye",
                                        "finalised", 8000))  # fmt: skip
        confirm(self.box, Journal(self.settings.journal_dir, "cli", time.time_ns), "cli:root", read_clocks())

    def put(self, name: str, call: str, purpose: str, here_ns: int, centre_ns: int, delivery: Delivery) -> None:
        self.box.add_artifact(
            Artifact(name, call, purpose, ArtifactKind.AUDIO, f"{purpose}/{name}", "audio/ogg", 3 << 20, "p", "c",
                     TODAY, here_ns, centre_ns, "centre", Delivery.WAITING)
        )  # fmt: skip
        self.box.set_delivery(name, delivery, TODAY, "nobody answers" if delivery is Delivery.POISONED else "")

    def say(self, *words: object, status: int = 0) -> str:
        done = CliRunner().invoke(app, ["retention", *map(str, words)], env={"COLUMNS": "250"})
        assert done.exit_code == status, done.output
        return " ".join(done.output.split())

    def plan(self, *words: str) -> dict:
        done = CliRunner().invoke(app, ["retention", "plan", "--json", *words, "--config", str(self.config)])
        return json.loads(done.output)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path)
    made.put("a", CALL, "training", TODAY + 3 * DAY + 5, TODAY + 9 * DAY, Delivery.SENT)
    made.put("b", CALL, "training", TODAY + 3 * DAY + 7, TODAY + 9 * DAY, Delivery.SENT)
    made.put("c", CALL, "evidence", TODAY + 4 * DAY, 0, Delivery.WAITING)
    made.put("d", HELD, "evidence", TODAY - DAY, TODAY + DAY, Delivery.SENT)
    made.put("e", CALL, "evidence", TODAY - DAY, TODAY + DAY, Delivery.POISONED)
    hold(made.box, HELD)
    return made


def test_the_plan_says_what_goes_when_and_what_is_held_or_overdue(site: Site) -> None:
    found = site.plan()
    goes = [(g["place"], (g["day_ns"] - TODAY) // DAY, g["purpose"], g["artifacts"]) for g in found["goes"]]
    assert goes == [
        ("here", -1, "evidence", 1),
        ("here", 3, "training", 2),
        ("here", 4, "evidence", 1),
        ("centre", 9, "training", 2),
    ]
    assert found["goes"][1]["size_bytes"] == 6 << 20 and found["goes"][1]["calls"] == 1
    held = [(g["place"], (g["day_ns"] - TODAY) // DAY, g["artifacts"]) for g in found["held"]]
    assert held == [("here", -1, 1), ("centre", 1, 1)]
    assert [n["path"] for n in found["next"]] == ["evidence/e", "training/a", "training/b", "evidence/c"]
    (late,) = found["overdue"]
    assert late["path"] == "evidence/e" and late["why"] == "it is not at centre: nobody answers"
    assert {g["purpose"] for g in site.plan("--purpose", "training")["goes"]} == {"training"}
    said = site.say("plan", "--config", site.config)
    assert "evidence/e (here)" in said and "Held past" in said and "next: training/a" in said
    assert "no purpose" in site.say("plan", "--purpose", "x", "--config", site.config, status=2)


def test_what_others_delete_is_not_in_the_plan(site: Site, tmp_path: Path) -> None:
    text = site.config.read_text()
    site.config.write_text(text.replace("[destination.centre]\n", '[destination.centre]\nexpires = "them"\n'))
    assert {g["place"] for g in site.plan()["goes"]} == {"here"}


def simulated(site: Site, *edits: tuple[str, str]) -> dict:
    text = site.config.read_text()
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    new = site.config.with_name("new.toml")
    new.write_text(text)
    words = ["retention", "simulate", "--json", "--current", str(site.config), "--config", str(new)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    return json.loads(done.output)


def test_a_change_of_retention_is_for_new_calls(site: Site) -> None:
    found = simulated(site, ('local_retention = "2 days"', 'local_retention = "1 day"'),
                      ('central_retention = "5 years"', 'central_retention = "10 years"'))  # fmt: skip
    rows = {row["purpose"]: row for row in found["purposes"]}
    assert (rows["training"]["here"], rows["training"]["centre"]) == ("earlier", "same")
    assert (rows["evidence"]["here"], rows["evidence"]["centre"]) == ("same", "later")
    assert rows["assistance"]["here_s"] == [None, None] and found["at_once"] == []
    pace = (6 << 20) / 30
    assert rows["training"]["bytes_here"] == [int(pace * 2), int(pace)]
    before, after = site.plan(), site.plan()
    assert before["goes"] == after["goes"] and any("training: 2 artifacts here" in words for words in found["stays"])


def test_what_acts_on_what_there_is_is_said(site: Site) -> None:
    site.box.indexed.replace(None, "training/s1", IndexedRow("a", CALL, "training", "", "2026-11-01", 5), ())
    text = site.config.read_text()
    assert "# searchable" in text
    i = text.index("[purpose.training]")
    site.config.write_text(text[:i] + text[i:].replace("percent = 10\n", "percent = 10\nsearchable = true\n", 1))
    found = simulated(site, ("searchable = true\n", ""), ('kind = "folder"\n', 'kind = "folder"\nexpires = "them"\n'))
    assert any("1 texts leave the search index at once" in words for words in found["at_once"])
    assert any("2 artifacts at centre are not deleted by us any more" in words for words in found["at_once"])
    found = simulated(site, ("[destination.centre]", "[destination.hub]"), ('"centre"', '"hub"'))
    assert any("wait for centre, and would not leave" in words for words in found["at_once"])
    text = site.config.read_text()
    i, j = text.index("[purpose.training]"), text.index("[purpose.analytics]")
    found = simulated(site, (text[i:j], ""))
    assert {"training": "gone"}.items() <= {r["purpose"]: r["here"] for r in found["purposes"]}.items()
    assert any("masks and drops of its 2 artifacts" in words for words in found["at_once"])
    words = ("simulate", "--current", site.config, "--config", site.config.with_name("new.toml"))
    assert "masks and drops" in site.say(*words) and "gone" in site.say(*words)


def test_a_doubted_clock_is_said_and_confirmed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    now = read_clocks()
    ahead = Reading(now.utc_ns + 40 * DAY, now.boot_ns, now.boot_id)
    monkeypatch.setattr(retention, "read_clocks", lambda: ahead)
    assert "is doubted" in site.say("clock", "--config", site.config)
    assert site.plan()["clock"]["believed"] is False and "is doubted" in site.say("plan", "--config", site.config)
    assert "deadlines go by the clock" in site.say("clock", "--confirm", "--config", site.config)
    assert site.plan()["clock"]["believed"] is True
    assert [x.kind for x in read(site.settings.journal_dir)][-1] == "clock.confirmed"
