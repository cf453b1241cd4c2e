"""The register: what the configuration says is in it, what the journal knows is counted, and no secret is."""

import json
import re
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.cli import app
from agent.compliance.accesses import accesses
from agent.compliance.controls import CONTROLS, shown, values_of
from agent.compliance.register import fingerprint, processings
from agent.compliance.words import WORDS, Language
from agent.config import Settings, load
from agent.store.journal import Journal, read
from agent.vault.age import new_identity

ROOT = Path(__file__).parents[2]
CONFIG = """
[site]
name = "lyon"
state_dir = "state"
run_dir = "run"
keys_dir = "keys"
[persons]
controller = "Example & Fils, Lyon"
[destination.cloud]
kind = "s3"
endpoint_url = "https://s3.example.net"
bucket = "recordings"
credentials_file = "s3.toml"
object_lock = "compliance"
[destination.archive]
kind = "pull"
[purpose.evidence]
basis = "contract"
trigger = "on_demand"
artifacts = ["audio", "transcript"]
recipients_file = "evidence.txt"
destination = "cloud"
local_retention = "7 days"
central_retention = "5 years"
[purpose.analytics]
basis = "legitimate interest"
trigger = "percent"
percent = 20
artifacts = ["transcript"]
pseudonymise = true
consent = true
recipients_file = "evidence.txt"
destination = "archive"
local_retention = "12 h"
[purpose.assistance]
basis = "legitimate interest"
trigger = "all"
live = true
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "evidence.txt").write_text(new_identity().recipient + "\n")
    (tmp_path / "s3.toml").write_text('access_key_id = "AKIAOPEN"\nsecret_access_key = "never-to-be-seen"\n')
    (tmp_path / "greffier.toml").write_text(CONFIG)
    made = load(tmp_path / "greffier.toml")
    journal = Journal(made.journal_dir, "cli", time.time_ns)
    for _ in range(3):
        journal.append("searched", purpose="analytics", actor="cli:ann", found=2)
    journal.append("person.access", actor="cli:bob")
    journal.append("gate", call_id="0" * 32, purpose="evidence", verb="pause")
    return made


def page_of(settings: Settings, tmp_path: Path, *words: str) -> str:
    done = CliRunner().invoke(
        app,
        ["compliance", "report", "--config", str(tmp_path / "greffier.toml"), "-o", str(tmp_path / "r.html"), *words],
    )
    assert done.exit_code == 0, done.output
    return (tmp_path / "r.html").read_text(encoding="utf-8")


def test_every_purpose_has_its_record(settings: Settings) -> None:
    evidence, analytics, assistance = processings(settings)
    assert (evidence.basis, evidence.data, evidence.to) == (
        "contract",
        ("audio", "transcript"),
        "cloud: s3 s3.example.net/recordings",
    )
    assert (evidence.local_s, evidence.central_s, evidence.withdrawable) == (7 * 86400, 157_788_000, False)
    assert analytics.trigger == "percent 20 %" and analytics.consent and analytics.pseudonymised
    assert {"card", "phone"} <= set(analytics.hidden) and analytics.to == "archive: GET /v1/feed"
    assert assistance.live and assistance.data == () and assistance.readers == ()
    recipient = settings.purposes()[0].recipients[0]
    assert evidence.readers == (fingerprint(recipient),) and recipient not in str(evidence)


def test_accesses_are_counted_by_act_and_person(settings: Settings) -> None:
    found = {(one.act, one.by): one.count for one in accesses(read(settings.journal_dir), 0)}
    assert found == {("searched", "cli:ann"): 3, ("person.access", "cli:bob"): 1}, "a pause is none"
    assert accesses(read(settings.journal_dir), time.time_ns() + 1) == []


def test_controls_show_the_value_in_force_and_the_lines_there_are(settings: Settings) -> None:
    by_clause = {(one.control.standard, one.control.clause): one for one in shown(settings, read(settings.journal_dir))}
    copy = by_clause["ISO/IEC 27701:2019", "7.3.8"]
    assert copy.lines == 1 and copy.last_ns is not None
    erased = by_clause["ISO/IEC 27701:2019", "7.3.6"]
    assert (erased.lines, erased.last_ns) == (0, None)
    assert by_clause["ISO/IEC 27001:2022 Annex A", "5.33"].values == {"destination.cloud.object_lock": "compliance"}
    assert dict(values_of(settings, "purpose.*.basis"))["purpose.evidence.basis"] == "contract"
    assert values_of(settings, "timestamp.url") == [("timestamp.url", "–")], "what is not configured is said to be so"


@pytest.mark.parametrize("path, test", [one.split("#") for c in CONTROLS for one in c.tests])
def test_every_test_that_is_named_exists(path: str, test: str) -> None:
    assert f"def {test}(" in (ROOT / path).read_text(encoding="utf-8")


def test_every_setting_that_is_named_exists_and_every_measure_has_its_words(settings: Settings) -> None:
    for control in CONTROLS:
        for words in WORDS.values():
            assert f"c_{control.what}" in words
        for dotted in control.settings:
            assert values_of(settings, dotted), dotted
    kinds = {kind for control in CONTROLS for kind in control.kinds}
    said = (ROOT / "docs" / "journal.md").read_text(encoding="utf-8")
    assert {kind for kind in kinds if f"`{kind}`" not in said} == set()
    assert WORDS[Language.FRENCH].keys() == WORDS[Language.ENGLISH].keys()


@pytest.mark.parametrize("language", ["fr", "en"])
def test_the_page_is_complete_in_itself_and_shows_no_secret(settings: Settings, tmp_path: Path, language: str) -> None:
    page = page_of(settings, tmp_path, "--language", language)
    assert f'lang="{language}"' in page and "Example &amp; Fils, Lyon" in page
    assert not re.search(r"<script|src=|href=|url\(", page)
    assert "never-to-be-seen" not in page and "AKIAOPEN" not in page
    assert all(f"<td>{lasting}" in page for lasting in ("7 ", "5 ", "12 h"))
    for word in ("evidence", "analytics", "assistance", "cli:ann", "art. 30", "3.3.1", "compliance"):
        assert word in page
    assert (tmp_path / "r.html").stat().st_mode & 0o007 == 0, "whoever else is on the box does not read it"


def test_programs_get_the_same(settings: Settings, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["compliance", "report", "--config", str(tmp_path / "greffier.toml"), "--json"])
    told = json.loads(done.output)
    assert [one["name"] for one in told["processings"]] == ["evidence", "analytics", "assistance"]
    assert len(told["controls"]) == len(CONTROLS)


def test_recipients_that_cannot_be_read_are_said(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "evidence.txt").unlink()
    done = CliRunner().invoke(app, ["compliance", "report", "--config", str(tmp_path / "greffier.toml")])
    assert done.exit_code == 1 and "the register cannot be made" in done.output
