"""Transcribed again: a new version beside the old, once, and of nothing that was taken out since."""

import json
import shutil
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner
from working import CALL, Killed, Reader, dying_at, lines, manifest, opened, run, settle, tones

from agent.cli import app
from agent.model.artifact import Delivery
from agent.model.text import Segment
from agent.scribe import engineroom, rewrite
from agent.scribe.loop import Scribe
from agent.store.catalog import Catalog
from agent.store.journal import read
from agent.store.rows import RewriteRow
from agent.transcribe.engine import EngineError
from agent.transcribe.models import add

GOOD = Reader("good", "je voudrais résilier mon contrat")
BETTER = Reader("better", "je voudrais résilier ce contrat demain")


def greffier(site, *words: str, status: int = 0) -> str:
    done = CliRunner().invoke(app, [*words, "--config", str(site.config)], env={"COLUMNS": "200"})
    assert done.exit_code == status, done.output
    return " ".join(done.output.split())


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> None:
    """The usual engine reads one text, and whichever is named another."""
    monkeypatch.setattr(engineroom, "load", lambda *_: GOOD)
    monkeypatch.setattr(rewrite, "load", lambda *_: BETTER)


def recorded(make_site, window: str = "1 h"):
    site = make_site("auto", window=window)
    site.tape(CALL, tones(4), keep_at=0)
    return site, run(site)


def ask(scribe: Scribe, model: str = "better") -> None:
    scribe.catalog.rewrites.ask(RewriteRow(CALL, model, "cli:ann", time.time_ns()))


def said(site, name: str) -> str:
    return " ".join(s["text"] for s in json.loads(opened(site, name))["segments"])


def test_a_new_version_is_made_beside_the_old(make_site, tiny_whisper: Path) -> None:
    """With a real model, by the command, while the scribe runs."""
    site = make_site("pocketsphinx", window="1 h")
    site.tape(CALL, tones(4), keep_at=0)
    model = add(tiny_whisper, site.settings.models_dir, "better")
    scribe = run(site)
    stop = threading.Event()
    working = threading.Thread(target=lambda: [scribe.step() or time.sleep(0.05) for _ in iter(stop.is_set, True)])
    working.start()
    try:
        told = greffier(site, "transcribe", CALL[:12], "--model", "better")
    finally:
        stop.set()
        working.join()
    assert f"version 2 written by faster-whisper, better, sha256 {model.sha256[:16]}" in told
    assert f"evidence/{CALL}.transcript-2.json.age waiting" in told
    old, new = (json.loads(opened(site, f"evidence/transcript{n}.json")) for n in ("", "-2"))
    assert (old["engine"]["name"], new["engine"]["name"]) == ("pocketsphinx", "faster-whisper")
    assert new["engine"]["model_sha256"] == model.sha256
    body = manifest(site, "evidence/manifest-2.json")
    by = {Path(a["path"]).name.split(".", 1)[1]: a["written_by"] for a in body["artifacts"]}
    assert by["transcript.json.age"]["engine"] == "pocketsphinx" and by["audio.flac.age"] is None
    assert by["subtitles-2.vtt.age"]["model_sha256"] == by["transcript-2.json.age"]["model_sha256"] == model.sha256
    assert body["version"] == 2 and body["transcript"]["model"] == "better"
    assert manifest(site, "evidence/manifest.json")["transcript"]["engine"] == "pocketsphinx", "the first stays too"
    waiting = {a.path.split(".", 1)[1] for a in scribe.catalog.artifacts(purpose="evidence", delivery=Delivery.WAITING)}
    assert {"transcript.json.age", "transcript-2.json.age", "manifest-2.json.age"} <= waiting, "sent like others"
    greffier(site, "verify")
    shown = greffier(site, "show", CALL)
    assert "Transcribed again" in shown and "better" in shown and "en-us (test engine)" in shown
    assert [line.fields["model"] for line in lines(site, "transcribe.asked")] == ["better"]
    assert [line.fields["model_sha256"] for line in lines(site, "transcribed")] == [model.sha256]


@pytest.mark.usefixtures("engines")
def test_what_was_masked_is_not_heard_again_and_a_later_mask_takes_all_versions_back(make_site) -> None:
    site, scribe = recorded(make_site)
    greffier(site, "mask", CALL, "--from", "1", "--to", "2", "--reason", "card", "--purpose", "evidence")
    settle(scribe)
    greffier(site, "transcribe", CALL, "--no-wait")
    ask(scribe)
    settle(scribe)
    states = [(r.state, r.revision) for r in scribe.catalog.rewrites.of_call(CALL)]
    assert states == [("done", 3), ("done", 4)], "two is the mask's"
    document = json.loads(opened(site, "evidence/transcript-4.json"))
    assert document["absent"] == [[1.0, 2.0]] and document["engine"]["name"] == "better"
    assert all(w["end"] <= 1.0 or w["start"] >= 2.0 for s in document["segments"] for w in s["words"])
    assert "contrat" in said(site, "training/transcript-4.json"), "the others hear all of it"
    assert json.loads(opened(site, "evidence/transcript-3.json"))["engine"]["name"] == "good"
    greffier(site, "mask", CALL, "--from", "0", "--to", "1", "--reason", "card")
    settle(scribe)
    texts = [name for name in site.outbox() if name.startswith("evidence/transcript")]
    assert texts == ["evidence/transcript-5.json"]


@pytest.mark.usefixtures("engines")
def test_a_dropped_purpose_gets_no_new_text(make_site) -> None:
    site, scribe = recorded(make_site)
    greffier(site, "drop", CALL, "--reason", "withdrew", "--purpose", "training")
    ask(scribe)
    settle(scribe)
    assert {"evidence/transcript-3.json", "analytics/transcript-3.json"} <= set(site.outbox()), "two is the drop's"
    assert not any(name.startswith("training/") for name in site.outbox())


@pytest.mark.usefixtures("engines")
def test_without_its_key_a_call_is_forgotten_and_that_is_said(make_site) -> None:
    site, scribe = recorded(make_site, window="0 s")
    told = greffier(site, "transcribe", CALL, status=1)
    when = time.strftime("%Y-%m-%d", time.gmtime())
    assert f"was forgotten on {when}" in told and "its key is gone" in told
    ask(scribe)  # asked just before the window closed
    settle(scribe)
    (row,) = scribe.catalog.rewrites.of_call(CALL)
    assert (row.state, row.detail) == ("refused", rewrite.FORGOTTEN)
    assert [line.fields["why"] for line in lines(site, "transcribe.refused")] == [rewrite.FORGOTTEN]
    assert "refused: the call was forgotten" in greffier(site, "show", CALL)


@pytest.mark.usefixtures("engines")
def test_a_key_that_is_locked_for_now_is_waited_for(make_site) -> None:
    site, scribe = recorded(make_site)
    away = site.settings.identities_dir.with_name("away")
    site.settings.identities_dir.rename(away)
    site.settings.identities_dir.mkdir()
    scribe._finisher._keyring.close(CALL)
    ask(scribe)
    settle(scribe)
    assert [r.state for r in scribe.catalog.rewrites.of_call(CALL)] == ["asked"]
    site.settings.identities_dir.rmdir()
    away.rename(site.settings.identities_dir)
    scribe._finisher._not_before.clear()
    settle(scribe)
    assert [r.state for r in scribe.catalog.rewrites.of_call(CALL)] == ["done"]


def test_what_cannot_be_asked_for_is_refused_at_once(make_site) -> None:
    site = make_site("none", window="1 h", deferred_limit_s=3600)
    site.tape(CALL, tones(1), keep_at=0)
    scribe = run(site)
    assert "waits for its first text" in greffier(site, "transcribe", CALL, status=1)
    scribe.catalog.set_state(CALL, "finalised")
    scribe.catalog.corrections.keep(CALL, 1 << 62)
    assert "no model named best is installed (known: none)" in greffier(
        site, "transcribe", CALL, "--model", "best", status=2
    )


def test_a_model_that_went_meanwhile_is_told(make_site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engineroom, "load", lambda *_: GOOD)
    _, scribe = recorded(make_site)
    ask(scribe, "removed")
    settle(scribe)
    (row,) = scribe.catalog.rewrites.of_call(CALL)
    assert (row.state, row.detail) == ("refused", "no model named removed is installed")


@pytest.mark.usefixtures("engines")
class Failing(Reader):
    """Breaks once it has read so many stretches."""

    def __init__(self, stretches: int) -> None:
        super().__init__("failing", "bonjour")
        self.left = stretches

    def transcribe(self, pcm16k: np.ndarray, language: str, channel: int, offset_s: float) -> tuple[Segment, ...]:
        self.left -= 1
        if self.left < 0:
            raise EngineError("out of memory")
        return super().transcribe(pcm16k, language, channel, offset_s)


@pytest.mark.usefixtures("engines")
def test_what_was_made_before_an_engine_broke_is_told(make_site, monkeypatch: pytest.MonkeyPatch) -> None:
    site, scribe = recorded(make_site)
    greffier(site, "mask", CALL, "--from", "1", "--to", "2", "--reason", "x", "--purpose", "training")
    settle(scribe)
    monkeypatch.setattr(rewrite, "load", lambda *_: Failing(2))
    ask(scribe)
    settle(scribe)
    (row,) = scribe.catalog.rewrites.of_call(CALL)
    assert row.state == "refused" and row.detail.startswith("the engine failed; version 3 was made all the same for ")
    made = row.detail.rpartition(" for ")[2].split(", ")
    assert made and set(made) < {"evidence", "training", "analytics"}
    for purpose in ("evidence", "training", "analytics"):
        assert (f"{purpose}/transcript-3.json" in site.outbox()) is (purpose in made)
    assert "made all the same for" in greffier(site, "show", CALL)


@pytest.mark.usefixtures("engines")
@pytest.mark.parametrize("after", [False, True])
def test_killed_at_every_write_each_version_is_made_once(make_site, tmp_path: Path, after: bool) -> None:
    site, scribe = recorded(make_site)
    ask(scribe)
    whole = site.root.with_name("whole")
    shutil.copytree(site.root, whole)
    moment, total = 1, None
    while total is None or moment <= total:
        shutil.rmtree(site.root)
        shutil.copytree(whole, site.root)
        with dying_at(moment, after=after) as count:
            try:
                settle(Scribe(site.settings, threading.Event()))
            except Killed:
                pass
            else:
                total = count[0]
        again = Scribe(site.settings, threading.Event())
        settle(again)
        assert_written_once(site, again.catalog)
        moment += 2
    assert total is not None and total > 20


def assert_written_once(site, catalog: Catalog) -> None:
    (row,) = catalog.rewrites.of_call(CALL)
    assert (row.state, row.revision, row.share) == ("done", 2, 1.0)
    artifacts = catalog.artifacts(call_id=CALL)
    kinds = Counter(line.kind for line in read(site.settings.journal_dir, CALL))
    assert kinds["derived"] == len(artifacts) == len(site.outbox()) and kinds["transcribed"] == 1
    for purpose in ("evidence", "training", "analytics"):
        assert said(site, f"{purpose}/transcript-2.json").count("demain") == 2
        assert "demain" not in said(site, f"{purpose}/transcript.json")
        assert manifest(site, f"{purpose}/manifest-2.json")["transcript"]["engine"] == "better"
