"""Calls that wait for their text: none is lost to a kill, the recorder comes first, and how many wait is seen."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner
from working import CALL, OTHER, opened, run, settle, tones

from agent.cli import app
from agent.commands.calls import age
from agent.scribe.behind import NICE
from agent.store.catalog import Catalog
from agent.store.journal import read
from agent.store.rows import RewriteRow
from agent.store.waiting import WaitingCalls


def scribe(site) -> subprocess.Popen:
    command = [sys.executable, "-m", "agent.scribe", "--config", str(site.config)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=site.root)


def wait_for(what) -> None:
    patience = time.monotonic() + 90
    while not what():
        assert time.monotonic() < patience, "it never came"
        time.sleep(0.05)


@pytest.mark.slow
def test_killed_in_the_middle_of_a_transcription_it_is_finished_once(make_site, speech) -> None:
    site = make_site("pocketsphinx")
    spoken = np.tile(speech("jfk.flac"), 2)
    site.tape(CALL, [spoken, spoken], keep_at=0)
    for _ in range(2):
        process = scribe(site)
        assert any("engine.ready" in line for line in process.stderr)
        wait_for(lambda: "evidence/audio.flac" in site.outbox())
        time.sleep(1.0)
        process.kill()
        process.wait()
        assert not any("transcript" in name for name in site.outbox()), "it was in the middle of it"
        assert WaitingCalls(site.settings.catalog_path).look().calls == 1
    process = scribe(site)
    try:
        wait_for(lambda: Catalog(site.settings.catalog_path).find_call(CALL).state == "finalised")
    finally:
        process.kill()
        process.wait()
    artifacts = Catalog(site.settings.catalog_path).artifacts(call_id=CALL)
    told = list(read(site.settings.journal_dir, CALL))
    assert Counter(str(line.fields["path"]) for line in told if line.kind == "derived") == Counter(
        a.path for a in artifacts
    ), "each once"
    assert len(site.outbox()) == len(artifacts) and Counter(line.kind for line in told)["callkey.destroyed"] == 1
    for purpose in ("evidence", "training", "analytics"):
        document = json.loads(opened(site, f"{purpose}/transcript.json"))
        assert {s["party"] for s in document["segments"]} == {"p1", "p2"}


def test_the_scribe_stays_behind_however_it_is_started(make_site) -> None:
    site = make_site("none")
    process = scribe(site)
    try:
        before = os.getpriority(os.PRIO_PROCESS, 0)
        wait_for(lambda: os.getpriority(os.PRIO_PROCESS, process.pid) >= NICE > before)
        wait_for(lambda: Path(site.settings.catalog_path).exists())
        said = subprocess.run(["ionice", "-p", str(process.pid)], capture_output=True, text=True, check=True).stdout
        assert said.strip() == "idle"
    finally:
        process.kill()
        process.wait()


def calls(site) -> str:
    done = CliRunner().invoke(app, ["calls", "--config", str(site.config)], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    return " ".join(done.output.split())


def test_how_many_wait_how_long_and_why_is_shown(make_site) -> None:
    site = make_site("none")
    site.tape(CALL, tones(1), keep_at=0)
    site.tape(OTHER, tones(1), keep_at=0)
    working = run(site)
    now = WaitingCalls(site.settings.catalog_path).look()
    assert (now.calls, now.again, now.reasons) == (2, 0, ("transcription is switched off (scribe.engine)",))
    assert now.oldest_ns == min(c.ended_ns for c in working.catalog.calls() if c.ended_ns is not None)
    assert "2 wait for their text, the oldest for" in calls(
        site
    ) and "(transcription is switched off (scribe.engine))" in calls(site)
    site.configure("pocketsphinx")
    again = run(site)
    settle(again)
    again.catalog.rewrites.ask(RewriteRow(CALL, "better", "cli:ann", 1))
    now = WaitingCalls(site.settings.catalog_path).look()
    assert (now.calls, now.oldest_ns, now.again, now.reasons) == (0, None, 1, ())
    assert "wait for their text" not in calls(site) and "1 are to be transcribed again" in calls(site)


def test_ages_are_told_in_one_unit() -> None:
    assert [age(s) for s in (0, 119, 120, 7199, 7200, 172_800, 864_000)] == [
        *("0 s", "119 s", "2 min", "120 min", "2 h", "2 days", "10 days")
    ]
