"""Killed at every write, or tampered with: each artifact once, each line once, nothing lost, nothing stops."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from working import Killed, dying_at

from agent.capture.format import RecordKind
from agent.capture.keys import CallKey
from agent.model.call import Codec
from agent.model.events import CallEnded
from agent.model.gate import GateMark, GateState
from agent.model.wire import dump
from agent.scribe.loop import Scribe
from agent.store.catalog import Catalog
from agent.store.journal import read
from agent.store.verify import verify_journal
from agent.vault import age
from agent.vault.signing import load_public

CALLS = [f"0192f0a0{n:024x}" for n in range(1, 9)]


def tone(seconds: float) -> np.ndarray:
    return (9000 * np.sin(np.arange(int(seconds * 8000)) / 3)).astype(np.int16)


def settle(scribe: Scribe) -> None:
    while scribe.step():
        pass


def unfinished(site) -> list[str]:
    rows = Catalog(site.settings.catalog_path).calls()
    return sorted(set(CALLS) - {row.call_id for row in rows if row.state == "finalised"})


def assert_told_once(site, calls: list[str]) -> None:
    """Files, rows and lines agree, each exactly once, and everything opens."""
    catalog = Catalog(site.settings.catalog_path)
    for call_id in calls:
        assert catalog.find_call(call_id).state == "finalised"
        rows = catalog.artifacts(call_id=call_id)
        lines = [line for line in read(site.settings.journal_dir, call_id)]
        derived = {str(line.fields["path"]): line.fields["cipher_sha256"] for line in lines if line.kind == "derived"}
        assert derived == {a.path: a.cipher_sha256 for a in rows}
        kinds = Counter(line.kind for line in lines)
        assert kinds["derived"] == len(rows) and kinds["callkey.destroyed"] == kinds["call.ended"] == 1
        assert kinds["call.started"] == 1 and kinds["decision"] == 4
        for a in rows:
            age.decrypt((site.settings.outbox_dir / a.path).read_bytes(), site.readers[a.purpose].secret)
    files = [p for p in site.settings.outbox_dir.rglob("*") if p.is_file()]
    assert len(files) == sum(len(catalog.artifacts(call_id=c)) for c in calls)
    assert list(site.settings.callkeys_dir.iterdir()) == []
    assert verify_journal(site.settings.journal_dir, load_public(site.root / "keys" / "site.pem.pub")) == []


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_every_write_each_thing_happens_once(make_site, after: bool) -> None:
    moment, total = 1, None
    while total is None or moment <= total:
        site = make_site("none", deferred_limit_s=0)
        site.tape(CALLS[0], [tone(0.2)], keep_at=0)
        with dying_at(moment, after=after) as count:
            try:
                settle(Scribe(site.settings, threading.Event()))
            except Killed:
                pass
            else:
                total = count[0]
        settle(Scribe(site.settings, threading.Event()))
        assert_told_once(site, CALLS[:1])
        moment += 2  # just before the odd and just after the odd: together, every moment there is
    assert total is not None and total > 40


@pytest.mark.slow
def test_kill_minus_nine_at_random_moments(make_site) -> None:
    site = make_site("pocketsphinx")
    for call_id in CALLS:
        site.tape(call_id, [tone(2), tone(2)], keep_at=8000)
    dice = random.Random(7)
    command = [sys.executable, "-m", "agent.scribe", "--config", str(site.config)]
    for _ in range(12):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=site.root)
        time.sleep(0.6 + dice.random() * 1.2)
        process.kill()
        process.wait()
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=site.root)
    patience = time.monotonic() + 80
    while unfinished(site) and time.monotonic() < patience:
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert_told_once(site, CALLS)


def test_the_process_stops_cleanly_and_refuses_a_broken_config(make_site, tmp_path: Path) -> None:
    site = make_site("none")
    command = [sys.executable, "-m", "agent.scribe", "--config", str(site.config)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=site.root)
    assert process.stderr is not None
    assert "scribe.ready" in process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 0
    (tmp_path / "bad.toml").write_text("[scribe]\nengin = 'auto'\n")
    done = subprocess.run(
        [*command[:-1], str(tmp_path / "bad.toml")], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 78 and "did you mean" in done.stderr


def test_records_under_a_wrong_key_are_told_and_left_out(make_site) -> None:
    site = make_site("none", deferred_limit_s=0)
    taped = site.tape(CALLS[0], [tone(1)], cause=None)
    forged = CallKey(CALLS[0], 0, os.urandom(32))
    site.restart_writer()
    site.writer.append(RecordKind.MEDIA, forged, bytes(8000), stream=0, codec=Codec.PCMA, position_samples=8000)
    mark = GateMark(CALLS[0], 0, "evidence", "keep", GateState.RECORDING, 0, "agent:9999")
    site.writer.append(RecordKind.GATE, forged, dump(mark))
    site.restart_writer()
    key = site.keys[CALLS[0]]
    site.end(taped.call, 8000, "bye", lambda kind, value: site.writer.append(kind, key, dump(value)))
    site.writer.sync()
    scribe = Scribe(site.settings, threading.Event())
    settle(scribe)
    told = [line.fields["record"] for line in read(site.settings.journal_dir) if line.kind == "tampered"]
    assert sorted(map(str, told)) == ["gate", "gate", "media"], "once when projected, once when finalised"
    assert scribe.catalog.find_call(CALLS[0]).state == "finalised"
    assert {p.name for p in site.settings.outbox_dir.iterdir()} == {"training", "analytics"}


def test_a_call_whose_start_is_spoiled_still_ends(make_site) -> None:
    site = make_site("none", deferred_limit_s=0)
    good = site.key(CALLS[0])
    forged = CallKey(CALLS[0], 0, os.urandom(32))
    site.writer.append(RecordKind.EVENT, forged, b"{}")
    site.restart_writer()
    site.writer.append(RecordKind.GATE, good, b"not json")
    site.writer.append(RecordKind.MEDIA, good, bytes(800), stream=5, codec=Codec.PCMU, position_samples=0)
    site.writer.append(RecordKind.MEDIA, good, bytes(800), stream=5, codec=Codec.PCMU, position_samples=2**50)
    site.writer.append(RecordKind.END, good, dump(CallEnded(CALLS[0], 5, "bye")))
    site.writer.sync()
    scribe = Scribe(site.settings, threading.Event())
    settle(scribe)
    assert scribe.catalog.find_call(CALLS[0]).state == "finalised"
    assert [line for line in read(site.settings.journal_dir) if line.kind == "tampered"]


def test_a_restart_between_start_and_end_knows_the_call(make_site) -> None:
    site = make_site("none", deferred_limit_s=0)
    taped = site.tape(CALLS[0], [tone(1), tone(1)], keep_at=0, cause=None)
    settle(Scribe(site.settings, threading.Event()))
    key = site.keys[CALLS[0]]
    site.end(taped.call, 8000, "bye", lambda kind, value: site.writer.append(kind, key, dump(value)))
    site.writer.sync()
    scribe = Scribe(site.settings, threading.Event())
    settle(scribe)
    assert scribe.catalog.find_call(CALLS[0]).duration_samples == 8000
    assert len(scribe.catalog.counts(CALLS[0])) == 2
    assert_told_once(site, CALLS[:1])
