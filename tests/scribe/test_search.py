"""Searchable as long as it lives: found by who may, nowhere in clear, forgotten with its transcript, whatever dies."""

import json
import shutil
import threading
import time
import unicodedata

import pytest
from holding import hold, lift
from typer.testing import CliRunner
from working import CALL, OTHER, Killed, Reader, dying_at, lines, opened, run, settle, tones

from agent.cli import app
from agent.config import ConfigError, load
from agent.courier.loop import Courier
from agent.retain.ntp import read_clocks
from agent.retain.trusted import confirm
from agent.scribe import engineroom, rewrite
from agent.scribe.loop import Scribe
from agent.search import index
from agent.search.cabinet import Cabinet
from agent.store.catalog import Catalog
from agent.store.indexed import Indexed
from agent.store.rows import RewriteRow

TEXT = "je voudrais résilier mon contrat"
REAL = engineroom.load
WORDS = ("résilier", "contrat", "voudrais")


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engineroom, "load", lambda *_: Reader("good", TEXT))


def searchable(site, *purposes: str) -> None:
    text = site.config.read_text().replace("searchable = true\n", "")
    for name in purposes:
        text = text.replace(f"[purpose.{name}]\n", f"[purpose.{name}]\nsearchable = true\n")
    site.config.write_text(text)
    site.settings = load(site.config)


def recorded(make_site, *calls: str, window: str = "1 h", purposes: tuple[str, ...] = ("training",)):
    site = make_site("auto", window=window)
    searchable(site, *purposes)
    for call_id in calls or (CALL,):
        site.tape(call_id, tones(4), keep_at=0)
    return site, run(site)


def greffier(site, *words: str, status: int = 0) -> str:
    done = CliRunner().invoke(app, [*words, "--config", str(site.config)], env={"COLUMNS": "200"})
    assert done.exit_code == status, done.output
    return " ".join(done.output.split())


def search(site, words: str = "resilier contrat", *more: str, purpose: str = "training", status: int = 0) -> str:
    return greffier(site, "search", words, "--purpose", purpose, *more, status=status)


def in_clear(site) -> list[str]:
    """Files below the site's folder that have a word of the text, however it is encoded."""
    needles = [
        form.encode(coding)
        for word in WORDS
        for form in (word, word.upper(), unicodedata.normalize("NFD", word), word.replace("é", "e"))
        for coding in ("utf-8", "utf-16-le", "latin-1", "utf-16-be")
        if coding != "latin-1" or unicodedata.is_normalized("NFC", form)
    ]
    files = [p for p in site.root.rglob("*") if p.is_file()]
    return [str(p.relative_to(site.root)) for p in files if any(n in p.read_bytes() for n in needles)]


def shard_files(site) -> list[str]:
    folders = (site.settings.search_dir, site.settings.searchkeys_dir)
    return sorted(p.name for folder in folders if folder.exists() for p in folder.rglob("*") if p.is_file())


def test_it_is_found_with_its_place_and_journalled_without_the_words(make_site) -> None:
    site, _ = recorded(make_site, CALL, OTHER)
    told = search(site, '"mon contrat" RESILIER')
    assert CALL[:12] in told and "résilier mon contrat" in told and "0:00.0" in told
    assert "customer p1" in told and "agent p2" in told
    (line,) = lines(site, "searched")
    assert line.purpose == "training" and line.fields["found"] == 2 and line.fields["actor"].startswith("cli:")
    assert sorted(line.fields["calls"]) == [CALL, OTHER]
    assert search(site, "chocolat") == "Nothing found."
    assert [line.fields["calls"] for line in lines(site, "searched")][-1] == []
    assert in_clear(site) == [], "nor in the journal, nor in any file"


def test_real_speech_is_found_by_what_was_recognised(make_site, monkeypatch, speech) -> None:
    monkeypatch.setattr(engineroom, "load", REAL)
    site = make_site("pocketsphinx", window="1 h")
    searchable(site, "training")
    site.tape(CALL, [speech("jfk.flac"), tones(1)[0]], keep_at=0)
    run(site)
    first = json.loads(opened(site, "training/transcript.json"))["segments"][0]
    word = max((w["text"] for w in first["words"]), key=len)
    told = search(site, word.upper())
    assert CALL[:12] in told and word in told and "customer p1" in told
    assert word.encode() not in b"".join(p.read_bytes() for p in site.settings.site.state_dir.rglob("*") if p.is_file())


def test_only_searchable_purposes_and_each_for_itself(make_site) -> None:
    site, _ = recorded(make_site, purposes=("training", "analytics"))
    assert "purpose evidence is not searchable (those that are: training, analytics)" in search(
        site, purpose="evidence", status=2
    )
    assert {p.name for p in site.settings.search_dir.iterdir()} == {"training", "analytics"}
    assert len(shard_files(site)) == 4
    assert CALL[:12] in search(site, purpose="analytics")
    shutil.rmtree(site.settings.searchkeys_dir / "analytics")
    assert CALL[:12] in search(site), "what opens one opens no other"
    assert "keys of it are gone" in search(site, purpose="analytics", status=1)
    assert "no word to search for" in search(site, "…", status=2)


def test_nothing_is_made_where_nobody_asked(make_site) -> None:
    site, _ = recorded(make_site, purposes=())
    assert shard_files(site) == []
    site.config.write_text(site.config.read_text().replace('trigger = "all"\n', "", 1))
    bad = site.config.read_text() + '[purpose.listening]\ntrigger = "all"\nsearchable = true\n'
    site.config.write_text(bad)
    with pytest.raises(ConfigError, match="transcript"):
        load(site.config)


def test_narrowed_by_agent_and_time(make_site) -> None:
    site, _ = recorded(make_site)
    assert CALL[:12] in search(site, "contrat", "--agent", "2001")
    assert search(site, "contrat", "--agent", "2002") == "Nothing found."
    assert CALL[:12] in search(site, "contrat", "--since", "2026-01-01")
    assert search(site, "contrat", "--since", "2199-01-01") == "Nothing found."
    assert all("2001" not in str(line.fields) for line in lines(site, "searched"))


def test_calls_share_a_shard_and_leave_it_one_by_one(make_site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "MOST_CALLS", 2)
    more = [f"0192f0a0{n:024x}" for n in (3, 4, 5)]
    site, scribe = recorded(make_site, CALL, OTHER, *more)
    assert len(scribe.catalog.indexed.shards()) == 3 and len(shard_files(site)) == 6
    greffier(site, "drop", OTHER, "--reason", "withdrew", "--purpose", "training")
    told = search(site)
    assert OTHER[:12] in told or CALL[:12] in told
    assert f"{OTHER[:32]}" not in str(lines(site, "searched")[-1].fields["calls"]), "asked for is enough"
    settle(scribe)
    scribe._care()
    assert {r.call_id for r in scribe.catalog.indexed.shown("training", 0)} == {CALL, *more}
    (line,) = lines(site, "search.removed")
    assert (line.call_id, line.purpose, line.fields["reason"]) == (OTHER, "training", "masked or dropped")
    scribe._care()
    assert len(lines(site, "search.removed")) == 1


def test_masked_words_are_not_found_and_the_others_are(make_site) -> None:
    site, scribe = recorded(make_site)
    before = shard_files(site)
    greffier(site, "mask", CALL, "--from", "0.9", "--to", "1.5", "--reason", "card")
    assert search(site, "voudrais") == "Nothing found.", "not even before it is done"
    settle(scribe)
    scribe._care()
    (row,) = scribe.catalog.indexed.shown("training", time.time_ns())
    assert row.entry == next(
        a.artifact_id for a in scribe.catalog.artifacts(purpose="training") if "transcript-2" in a.path
    )
    assert set(shard_files(site)).isdisjoint(before), "under a new key"
    assert CALL[:12] in search(site, "voudrais")
    assert in_clear(site) == []


def test_forgotten_at_its_deadline_with_the_key(make_site, monkeypatch: pytest.MonkeyPatch) -> None:
    site, scribe = recorded(make_site)
    due_ns = max(a.local_deadline_ns for a in scribe.catalog.artifacts(purpose="training"))
    placed = hold(scribe.catalog, CALL)
    monkeypatch.setattr(time, "time_ns", lambda: due_ns)
    scribe._findable._index._clock_ns = lambda: due_ns
    scribe._care()
    assert CALL[:12] in search(site), "held"
    lift(scribe.catalog, placed)
    assert search(site) == "Nothing found.", "also while the scribe has not looked yet"
    scribe._care()
    assert shard_files(site) == [] and scribe.catalog.indexed.shards() == set()
    assert [line.fields["reason"] for line in lines(site, "search.removed")] == ["its local deadline passed"]


def test_gone_with_its_local_copy_and_when_no_longer_searchable(make_site) -> None:
    site, scribe = recorded(make_site, purposes=("training", "analytics"))
    for a in scribe.catalog.artifacts(purpose="training"):
        scribe.catalog.mark_local_deleted(a.artifact_id, 1)
    assert search(site) == "Nothing found."
    searchable(site, "training")
    scribe.purposes._seen = None
    scribe._care()
    assert shard_files(site) == []
    reasons = {line.purpose: line.fields["reason"] for line in lines(site, "search.removed")}
    assert reasons["training"] == "its transcript was deleted" and "not searchable" in str(reasons["analytics"])


def test_a_newer_version_takes_the_place_of_the_older(make_site, monkeypatch: pytest.MonkeyPatch) -> None:
    site, scribe = recorded(make_site)
    monkeypatch.setattr(rewrite, "load", lambda *_: Reader("better", "je voudrais tout arrêter"))
    scribe.catalog.rewrites.ask(RewriteRow(CALL, "better", "cli:ann", time.time_ns()))
    settle(scribe)
    assert search(site, "résilier") == "Nothing found." and CALL[:12] in search(site, "arreter")
    assert len(shard_files(site)) == 2


def test_what_lost_its_key_is_forgotten_and_recording_goes_on(make_site) -> None:
    """Keys on a medium that is gone after a restart."""
    site, _ = recorded(make_site)
    shutil.rmtree(site.settings.searchkeys_dir)
    site.tape(OTHER, tones(4), keep_at=0)
    scribe = run(site)
    scribe._care()
    assert [line.call_id for line in lines(site, "search.removed")] == [CALL]
    assert scribe.catalog.find_call(OTHER).state == "finalised"
    told = search(site)
    assert len(shard_files(site)) == 2 and OTHER[:12] in told


def test_the_couriers_sweep_and_the_index_agree(make_site, monkeypatch: pytest.MonkeyPatch) -> None:
    site, scribe = recorded(make_site, window="0 s")
    due_ns = max(a.local_deadline_ns for a in scribe.catalog.artifacts(purpose="training"))
    monkeypatch.setattr(time, "time_ns", lambda: due_ns)
    confirm(scribe.catalog, scribe.journal, "cli:root", read_clocks())
    Courier(site.settings, threading.Event()).sweep()
    scribe._care()
    assert shard_files(site) == [] and not any("training" in name for name in site.outbox())


STEPS = [(Cabinet, "put"), (Cabinet, "destroy"), (Indexed, "replace"), (Indexed, "forget"), (Catalog, "add_artifact")]


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_every_step_texts_are_in_once_and_out_once(make_site, monkeypatch, after: bool) -> None:
    monkeypatch.setattr("working.WRITES", STEPS)
    site, _ = recorded(make_site, OTHER)
    site.tape(CALL, tones(4), keep_at=0)
    greffier(site, "drop", OTHER, "--reason", "withdrew", "--purpose", "training")
    whole = site.root.with_name("whole")
    shutil.copytree(site.root, whole)
    moment, total = 1, None
    while total is None or moment <= total:
        shutil.rmtree(site.root)
        shutil.copytree(whole, site.root)
        with dying_at(moment, after=after) as count:
            try:
                work(site)
            except Killed:
                pass
            else:
                total = count[0]
        again = work(site)
        names = {name.rpartition("/")[2] for name in again.catalog.indexed.shards()}
        assert {n.partition(".")[0] for n in shard_files(site)} == names and len(shard_files(site)) == 2 * len(names)
        assert {r.call_id for r in again.catalog.indexed.shown("training", time.time_ns())} == {CALL}
        removed = [line.call_id for line in lines(site, "search.removed")]
        assert set(removed) == {OTHER} and len(removed) <= 2, "said again rather than never"
        told = search(site, "resilier")
        assert CALL[:12] in told and OTHER not in str(lines(site, "searched")[-1].fields)
        assert in_clear(site) == []
        moment += 1
    assert total is not None and total >= 8


def work(site) -> Scribe:
    scribe = Scribe(site.settings, threading.Event())
    settle(scribe)
    scribe._care()
    return scribe
