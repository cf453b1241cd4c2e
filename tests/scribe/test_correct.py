"""Masks and drops after the fact: nothing of what was masked is anywhere, what had left is called back, each once."""

import itertools
import json
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from holding import hold, lift
from working import (
    CALL,
    CARD,
    OTHER,
    Killed,
    channels,
    dying_at,
    greffier,
    lines,
    manifest,
    marked,
    mask,
    opened,
    recorded,
    run,
    sent,
    settle,
    tones,
)

from agent.model.artifact import Delivery
from agent.model.purpose import ArtifactKind
from agent.scribe.loop import Scribe
from agent.store.journal import read
from agent.store.verify import verify_journal
from agent.vault import age
from agent.vault.manifest import check_manifest
from agent.vault.signing import load_public


def hears_the_secret(site, secret: bytes) -> list[str]:
    """Files on the disk, as they are and opened by any reader, in which a stretch of the secret is found."""
    found = []
    for path in (p for p in site.root.rglob("*") if p.is_file()):
        data = path.read_bytes()
        contents = [data]
        for reader in site.readers.values():
            try:
                plain = age.decrypt(data, reader.secret)
            except age.WrongKey:
                continue
            contents.append(plain)
            if path.name.endswith((".flac.age", ".wav.age")):
                contents.append(channels(plain).tobytes())
        found += [path.name for content in contents if secret in content]
    return found


def test_the_key_is_kept_for_a_while_and_never_longer_than_the_shortest_retention(make_site) -> None:
    site, _, scribe = recorded(make_site, window="5 h")
    assert scribe.catalog.find_call(CALL).state == "finalised"
    until_ns = scribe.catalog.corrections.kept_until(CALL)
    deadlines = [a.local_deadline_ns for a in scribe.catalog.artifacts(call_id=CALL)]
    assert until_ns == min(deadlines), "training stays an hour"
    site.restart_writer()
    site.tape(OTHER, tones(0.1), cause=None)
    settle(scribe)
    scribe._care()
    assert list(site.settings.callkeys_dir.iterdir()) and len(list(site.settings.capture_dir.glob("*.glog"))) == 1
    scribe._finisher._believed_ns = lambda: until_ns
    settle(scribe)
    assert [p.name.split(".")[0] for p in site.settings.callkeys_dir.iterdir()] == [OTHER]
    assert list(site.settings.kept_dir.iterdir()) == []
    assert [line.call_id for line in lines(site, "callkey.destroyed")] == [CALL]
    assert "nothing can be made without the span" in mask(site, status=1) and "greffier drop" in mask(site, status=1)


def test_where_nothing_was_made_that_could_be_corrected_the_key_goes_at_once(make_site) -> None:
    """A call that was paused all through, or whose listed party was named late."""
    site = make_site("pocketsphinx", window="1 h")
    site.tape(CALL, tones(1), paused=(0, 8000))
    scribe = run(site)
    assert {a.kind for a in scribe.catalog.artifacts(call_id=CALL)} == {ArtifactKind.MANIFEST}
    assert list(site.settings.callkeys_dir.iterdir()) == [] and scribe.catalog.corrections.kept() == {}


def test_without_a_window_the_key_goes_at_once(make_site) -> None:
    site, _, scribe = recorded(make_site, window="0 s")
    assert list(site.settings.callkeys_dir.iterdir()) == [] and not site.settings.kept_dir.exists()
    assert scribe.catalog.corrections.kept() == {}


def test_what_was_not_sent_is_made_again_without_the_span(make_site) -> None:
    site, taped, scribe = recorded(make_site)
    secret = taped.sent(0)[14000:14100].tobytes()
    assert "evidence/audio.flac" in site.outbox() and hears_the_secret(site, secret)
    assert "masked for evidence, training, analytics now" in mask(site)
    assert scribe.catalog.due_deliveries(1 << 62) == [], "and nothing goes out before it is done"
    settle(scribe)
    assert hears_the_secret(site, secret) == []
    text = {"transcript-2.json", "subtitles-2.vtt", "manifest-2.json"}
    expected = {f"evidence/{e}" for e in text | {"audio-2.flac"}} | {f"training/{e}" for e in text | {"audio-2.opus"}}
    assert set(site.outbox()) == expected | {f"analytics/{e}" for e in text}
    pcm = channels(opened(site, "evidence/audio-2.flac"))
    assert not pcm[:, CARD[0] : CARD[1]].any()
    assert np.array_equal(pcm[0, : CARD[0]], taped.sent(0)[: CARD[0]])
    assert np.array_equal(pcm[0, CARD[1] :], taped.sent(0)[CARD[1] :])
    body = manifest(site, "evidence/manifest-2.json")
    (absent,) = body["absent"]
    assert (absent["from_s"], absent["to_s"], absent["verb"], absent["reason"]) == (1.5, 2.5, "mask", "card")
    assert absent["actor"].startswith("cli:") and len(body["artifacts"]) == 3
    assert len(body["replaces"]) == 4 and not any(r["may_have_been_sent"] for r in body["replaces"])
    assert json.loads(opened(site, "evidence/transcript-2.json"))["absent"] == [[1.5, 2.5]]
    assert {a.kind for a in scribe.catalog.artifacts(call_id=CALL)}.isdisjoint({ArtifactKind.TOMBSTONE})
    assert [line.purpose for line in lines(site, "masked")] == ["evidence", "training", "analytics"]
    assert "mask" in greffier(site, "show", CALL) and "done" in greffier(site, "show", CALL)
    assert verify_journal(site.settings.journal_dir, load_public(site.root / "keys" / "site.pem.pub")) == []


def test_for_what_was_sent_a_tombstone_goes_out_and_a_new_version(make_site) -> None:
    site, _, scribe = recorded(make_site)
    sent(site, "audio.flac", "manifest.json")
    (claimed,) = [a for a in scribe.catalog.artifacts(call_id=CALL, purpose="evidence") if "transcript" in a.path]
    assert scribe.catalog.corrections.claim(claimed.artifact_id, 1)  # on its way, nobody knows how far
    before = {a.path: a for a in scribe.catalog.artifacts(call_id=CALL, purpose="evidence")}
    mask(site, "--purpose", "evidence")
    settle(scribe)
    data = opened(site, "evidence/tombstone-2.json")
    grave = check_manifest(data, load_public(site.root / "keys" / "site.pem.pub"))
    assert (grave["format"], grave["verb"], grave["reason"]) == ("greffier-tombstone-1", "mask", "card")
    named = {d["path"]: d["cipher_sha256"] for d in grave["destroy"]}
    left = [p for p in before if any(k in p for k in (".audio.", ".manifest.", ".transcript."))]
    assert named == {p: before[p].cipher_sha256 for p in left}
    due = {a.path: a for a in scribe.catalog.due_deliveries(1 << 62)}
    assert {Path(p).name.split(".", 1)[1] for p in due if p.startswith("evidence/")} == {
        *("tombstone-2.json.age", "audio-2.flac.age", "transcript-2.json.age", "subtitles-2.vtt.age"),
        "manifest-2.json.age",
    }  # fmt: skip
    assert due[f"evidence/{CALL}.tombstone-2.json.age"].destination == "central"
    replaced = manifest(site, "evidence/manifest-2.json")["replaces"]
    assert {r["path"] for r in replaced if r["may_have_been_sent"]} == set(left)
    assert not [p for p in site.outbox() if p.startswith("evidence/") and "-2." not in p]
    assert "training/audio.opus" in site.outbox(), "others are as they were"
    scribe.catalog.set_delivery(claimed.artifact_id, Delivery.POISONED, 5, "gone")
    assert scribe.catalog.artifact(claimed.artifact_id).delivery is Delivery.WITHDRAWN


def test_a_second_mask_makes_a_third_version_with_both(make_site) -> None:
    site, _, scribe = recorded(make_site)
    mask(site, "--purpose", "evidence")
    settle(scribe)
    greffier(site, "mask", CALL, "--from", "3", "--to", "3.5", "--reason", "name", "--purpose", "evidence")
    scribe = run(site)  # another process, after a restart
    absent = manifest(site, "evidence/manifest-3.json")["absent"]
    assert [(a["from_s"], a["to_s"]) for a in absent] == [(1.5, 2.5), (3.0, 3.5)]
    pcm = channels(opened(site, "evidence/audio-3.flac"))
    assert not pcm[:, 12000:20000].any() and not pcm[:, 24000:28000].any() and pcm[:, 20000:24000].any()
    assert [p for p in site.outbox() if p.startswith("evidence/")] and not [p for p in site.outbox() if "-2." in p]


def test_a_mask_on_a_live_call_holds_before_anything_is_derived(make_site) -> None:
    site = make_site("pocketsphinx", window="0 s")
    taped = site.tape(CALL, marked(), keep_at=0, cause=None)
    scribe = run(site)
    assert "once the call is over" in mask(site)
    settle(scribe)
    key = site.keys[CALL]
    site.end(taped.call, 32000, "bye", lambda kind, value: site.writer.append(kind, key, _dumped(value)))
    site.writer.sync()
    settle(scribe)
    assert not channels(opened(site, "evidence/audio.flac"))[:, CARD[0] : CARD[1]].any()
    assert manifest(site, "evidence/manifest.json")["absent"][0]["verb"] == "mask"
    assert scribe.catalog.find_call(CALL).state == "finalised" and list(site.settings.callkeys_dir.iterdir()) == []
    assert len(lines(site, "masked")) == 3 and not [p for p in site.outbox() if "-2" in p]


def _dumped(value: object) -> bytes:
    from agent.model.wire import dump

    return value if isinstance(value, bytes) else dump(value)


def test_a_mask_while_the_transcript_waits(make_site, tiny_whisper: Path) -> None:
    from agent.transcribe.models import add

    site = make_site("auto", window="1 h")
    site.tape(CALL, marked(), keep_at=0)
    scribe = run(site)
    assert scribe.catalog.find_call(CALL).state == "ended"
    mask(site, "--purpose", "evidence")
    settle(scribe)
    assert {p for p in site.outbox() if "evidence/" in p} == {"evidence/audio-3.flac", "evidence/manifest-3.json"}
    assert manifest(site, "evidence/manifest-3.json")["transcript"]["state"] == "deferred"
    add(tiny_whisper, site.settings.models_dir)
    scribe = run(site)
    last = manifest(site, "evidence/manifest-4.json")
    names = {Path(a["path"]).name.split(".")[1] for a in last["artifacts"]}
    assert last["transcript"]["state"] == "done" and names == {"audio-3", "transcript-3", "subtitles-3"}
    assert scribe.catalog.find_call(CALL).state == "finalised" and scribe.catalog.deferred() == []
    assert "training/manifest-2.json" in site.outbox()


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_every_write_of_a_mask_and_a_drop_each_thing_happens_once(make_site, after: bool) -> None:
    moment, total = 1, None
    while total is None or moment <= total:
        site = make_site("none", deferred_limit_s=0, window="1 h")
        site.tape(CALL, tones(0.2), keep_at=0)
        run(site)
        sent(site, "audio.flac")
        greffier(site, "mask", CALL, "--from", "0.05", "--to", "0.1", "--reason", "x", "--purpose", "evidence")
        greffier(site, "drop", CALL, "--reason", "withdrawn", "--purpose", "training")
        with dying_at(moment, after=after) as count:
            try:
                settle(Scribe(site.settings, threading.Event()))
            except Killed:
                pass
            else:
                total = count[0]
        scribe = run(site)
        told = Counter(line.kind for line in read(site.settings.journal_dir, CALL))
        rows = scribe.catalog.artifacts(call_id=CALL)
        assert told["derived"] == len(rows) and told["masked"] == told["dropped"] == 1
        audio = [a.path for a in rows if a.kind is ArtifactKind.AUDIO and a.purpose == "evidence"]
        assert len(audio) == 2 and len(rows) in (11, 12), "a manifest between may be left out"
        assert told["local.deleted"] == len([a for a in rows if not scribe.catalog.is_local(a.artifact_id)]) == 6
        here = {a.path for a in rows if scribe.catalog.is_local(a.artifact_id)}
        assert here == {p.relative_to(site.settings.outbox_dir).as_posix() for p in site.outbox().values()}
        assert len([a for a in rows if a.kind is ArtifactKind.TOMBSTONE]) == 1
        assert not scribe.catalog.corrections.open_rows() and scribe.catalog.find_call(CALL).state == "finalised"
        assert list(site.settings.callkeys_dir.iterdir()), "others may still be corrected"
        moment += 2
    assert total is not None and total > 20


def test_what_is_dropped_is_destroyed_what_left_is_called_back_and_what_the_law_obliges_stays(make_site) -> None:
    site, _, scribe = recorded(make_site)
    catalog = scribe.catalog
    audio = next(a for a in catalog.artifacts(call_id=CALL, purpose="training") if a.kind is ArtifactKind.AUDIO)
    catalog.set_delivery(audio.artifact_id, Delivery.SENT, 5)
    said = greffier(site, "drop", CALL, "--reason", "withdrew")
    assert "evidence is kept: its basis is contract" in said and "tombstones go out for 1 that had left" in said
    settle(scribe)
    assert {p for p in site.outbox() if p.startswith("training/")} == {"training/tombstone-2.json"}
    assert not [p for p in site.outbox() if p.startswith("analytics/")]
    assert "evidence/audio.flac" in site.outbox()
    grave = json.loads(opened(site, "training/tombstone-2.json"))["body"]
    assert [d["path"] for d in grave["destroy"]] == [audio.path] and grave["verb"] == "drop"
    (kept,) = lines(site, "drop.kept")
    assert (kept.purpose, kept.fields["basis"]) == ("evidence", "contract")
    assert sorted(line.purpose for line in lines(site, "dropped")) == ["analytics", "training"]
    assert list(site.settings.callkeys_dir.iterdir()), "evidence may still be masked"
    mask(site)
    settle(scribe)
    assert not [p for p in site.outbox() if p.startswith(("analytics/", "training/audio"))], "and nothing comes back"
    assert "evidence/audio-3.flac" in site.outbox()


def test_the_key_goes_with_the_last_that_needs_it(make_site) -> None:
    site = make_site("none", deferred_limit_s=0, window="1 h")
    site.tape(CALL, tones(0.5))
    scribe = run(site)
    assert list(site.settings.callkeys_dir.iterdir())
    greffier(site, "drop", CALL, "--reason", "withdrew")
    settle(scribe)
    assert site.outbox() == {} and list(site.settings.callkeys_dir.iterdir()) == []
    assert list(site.settings.kept_dir.iterdir()) == []


def test_a_legal_hold_stops_destruction_until_it_is_lifted(make_site) -> None:
    site, _, scribe = recorded(make_site)
    placed = hold(scribe.catalog, CALL)
    assert "legal hold" in mask(site, status=1)
    assert "training waits: a legal hold comes first. It is restricted" in greffier(
        site, "drop", CALL, "--reason", "withdrew"
    )
    settle(scribe)
    assert "training/audio.opus" in site.outbox() and len(lines(site, "drop.waits")) == 2
    assert "legal hold" in greffier(site, "show", CALL)
    due = scribe.catalog.due_deliveries(1 << 62)
    assert due and {a.purpose for a in due} == {"evidence"}, "what waits to be destroyed is not sent either"
    lift(scribe.catalog, placed)
    settle(scribe)
    assert not [p for p in site.outbox() if p.startswith("training/")] and len(lines(site, "dropped")) == 2


def test_a_held_purpose_waits_and_the_others_are_dropped_and_masked(make_site) -> None:
    site, _, scribe = recorded(make_site)
    placed = hold(scribe.catalog, CALL, "training")
    assert "training waits" in greffier(site, "drop", CALL, "--reason", "withdrew")
    settle(scribe)
    assert {p.split("/")[0] for p in site.outbox()} == {"evidence", "training"}
    mask(site, "--purpose", "evidence")
    settle(scribe)
    assert any("audio-" in p for p in site.outbox() if p.startswith("evidence/")), "a new revision"
    assert "legal hold (case 7)" in mask(site, "--purpose", "training", status=1)
    lift(scribe.catalog, placed)
    settle(scribe)
    assert {p.split("/")[0] for p in site.outbox()} == {"evidence"}


def test_the_key_of_a_held_call_is_kept_as_long_as_it_is_held(make_site) -> None:
    site, _, scribe = recorded(make_site, window="1 h")
    placed = hold(scribe.catalog, CALL)
    scribe._finisher._believed_ns = lambda: 1 << 61
    settle(scribe)
    assert list(site.settings.callkeys_dir.iterdir()) and lines(site, "callkey.destroyed") == []
    lift(scribe.catalog, placed)
    settle(scribe)
    assert not list(site.settings.callkeys_dir.iterdir()) and len(lines(site, "callkey.destroyed")) == 1


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_every_write_of_a_call_whose_key_is_kept(make_site, after: bool) -> None:
    moment, total = 1, None
    while total is None or moment <= total:
        site = make_site("none", deferred_limit_s=0, window="1 h")
        site.tape(CALL, tones(0.2), keep_at=0)
        with dying_at(moment, after=after) as count:
            try:
                settle(Scribe(site.settings, threading.Event()))
            except Killed:
                pass
            else:
                total = count[0]
        scribe = run(site)
        (until_ns,) = scribe.catalog.corrections.kept().values()
        assert [p.name for p in site.settings.kept_dir.iterdir()] == [CALL] and lines(site, "callkey.destroyed") == []
        assert scribe.catalog.find_call(CALL).state == "finalised"
        scribe._finisher._believed_ns = lambda until_ns=until_ns: until_ns
        with dying_at(1 + moment % 4, after=after):
            try:
                settle(scribe)
            except Killed:
                scribe = Scribe(site.settings, threading.Event())
        scribe._finisher._believed_ns = lambda until_ns=until_ns: until_ns
        settle(scribe)
        assert list(site.settings.callkeys_dir.iterdir()) == list(site.settings.kept_dir.iterdir()) == []
        assert len(lines(site, "callkey.destroyed")) == 1 and scribe.catalog.corrections.kept() == {}
        moment += 2


def test_a_disk_without_room_for_the_copy_lets_the_key_go(make_site, full_disk: Path) -> None:
    site = make_site("none", deferred_limit_s=0, window="1 h")
    site.settings.kept_dir.symlink_to(full_disk)
    (full_disk / "ballast").write_bytes(b"x" * (1000 << 10))
    site.tape(CALL, tones(20))
    scribe = run(site)
    assert scribe.catalog.find_call(CALL).state == "finalised" and scribe.catalog.corrections.kept() == {}
    assert list(site.settings.callkeys_dir.iterdir()) == [] and [p.name for p in full_disk.iterdir()] == ["ballast"]


def test_what_a_hold_covers_waits_for_room_with_its_key(make_site, full_disk: Path) -> None:
    site = make_site("none", deferred_limit_s=0, window="1 h")
    site.settings.kept_dir.symlink_to(full_disk)
    ballast = full_disk / "ballast"
    ballast.write_bytes(b"x" * (1000 << 10))
    site.tape(CALL, tones(20))
    scribe = Scribe(site.settings, threading.Event())
    placed = hold(scribe.catalog, CALL)
    settle(scribe)
    assert scribe.catalog.find_call(CALL).state == "ended" and len(lines(site, "outbox.full")) == 1
    assert list(site.settings.callkeys_dir.iterdir()) and lines(site, "callkey.destroyed") == []
    ballast.unlink()
    scribe = run(site)
    assert scribe.catalog.find_call(CALL).state == "finalised" and [p.name for p in full_disk.iterdir()] == [CALL]
    assert list(site.settings.callkeys_dir.iterdir())
    lift(scribe.catalog, placed)


@pytest.mark.parametrize("held", [True, False])
def test_a_clock_that_jumped_takes_no_key_of_what_a_hold_covers(make_site, held: bool) -> None:
    site = make_site("none", deferred_limit_s=0, window="1 h")
    site.tape(CALL, tones(0.2), keep_at=0)
    scribe = Scribe(site.settings, threading.Event())
    if held:
        hold(scribe.catalog, CALL)
    scribe._finisher._clock_ns = itertools.count(1 << 61).__next__
    settle(scribe)
    assert scribe.catalog.find_call(CALL).state == "finalised"
    assert bool(list(site.settings.callkeys_dir.iterdir())) is held is (CALL in scribe.catalog.corrections.kept())
    assert bool(lines(site, "callkey.destroyed")) is not held


def test_what_was_withdrawn_is_not_exported_even_where_it_still_lies(make_site, tmp_path: Path) -> None:
    site, _, scribe = recorded(make_site)
    for a in scribe.catalog.artifacts(call_id=CALL, purpose="evidence"):
        there = site.root / "central" / a.path
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_bytes((site.settings.outbox_dir / a.path).read_bytes())
    sent(site, "audio.flac", "transcript.json", "subtitles.vtt", "manifest.json")
    mask(site, "--purpose", "evidence")
    settle(scribe)
    key = tmp_path / "evidence.key"
    key.write_text(site.readers["evidence"].secret + "\n")
    said = greffier(site, "export", CALL, "--key", str(key), "--into", str(tmp_path / "x"))
    assert "4 artifacts were withdrawn" in said
    names = {p.name.split(".", 1)[1] for p in (tmp_path / "x").iterdir()}
    assert names == {"audio-2.flac", "transcript-2.json", "subtitles-2.vtt", "manifest-2.json", "tombstone-2.json"}
    told = [line for line in read(site.settings.journal_dir, CALL) if line.kind == "exported"]
    assert {f"{CALL}.{name}.age" for name in names} == {str(line.fields["path"]).split("/")[1] for line in told}
    assert {(line.purpose, bool(line.fields["actor"])) for line in told} == {("evidence", True)}
    key.write_text(site.readers["analytics"].secret + "\n")
    greffier(site, "export", CALL, "--key", str(key), "--into", str(tmp_path / "y"))
    assert {line.purpose for line in read(site.settings.journal_dir, CALL) if line.kind == "exported"} == {
        "evidence",
        "analytics",
    }


@pytest.mark.parametrize("words", ["nonsense", "1:2:3:4", "-5", "25:00:00"])
def test_a_time_that_is_none_is_refused(make_site, words: str) -> None:
    site = make_site("none")
    site.tape(CALL, tones(0.1), cause=None)
    run(site)
    said = greffier(site, "mask", CALL, f"--from={words}", "--to", "1", "--reason", "x", status=2)
    assert "is no time of a call" in said
    assert "must be after" in greffier(site, "mask", CALL, "--from", "2", "--to", "1", "--reason", "x", status=2)
    assert "known: evidence" in greffier(site, "drop", CALL, "--reason", "x", "--purpose", "other", status=2)
