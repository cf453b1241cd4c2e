"""Whole calls through the scribe: from a capture log of real speech to files that only the right reader opens."""

import hashlib
import io
import json
import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from working import CALL, OTHER, channels, lines, manifest, opened, run, settle, tones

from agent.capture.format import RecordKind
from agent.model.call import Codec
from agent.model.gate import GateMark, GateState
from agent.model.purpose import ArtifactKind
from agent.model.wire import dump
from agent.scribe.loop import Scribe
from agent.store.journal import read
from agent.store.verify import verify_journal
from agent.transcribe.models import add
from agent.vault import age
from agent.vault.signing import load_public


@pytest.mark.parametrize("codec", [Codec.PCMA, Codec.PCMU])
def test_every_byte_that_arrived_is_in_the_audio_bit_exactly(make_site, codec: Codec) -> None:
    site = make_site()
    taped = site.tape(CALL, tones(3.3), codec=codec, keep_at=8000)
    run(site)
    pcm = channels(opened(site, "evidence/audio.flac"))
    assert np.array_equal(pcm, np.stack([taped.sent(0), taped.sent(1)]))


def test_gaps_are_silence_and_the_rest_keeps_its_place(make_site) -> None:
    site = make_site()
    pcm = tones(4)
    pcm[1] = pcm[1][:12000]
    taped = site.tape(CALL, pcm, keep_at=8000)
    run(site)
    heard = channels(opened(site, "evidence/audio.flac"))
    assert heard.shape == (2, 32000)
    assert np.array_equal(heard[1, :12000], taped.sent(1)) and not heard[1, 12000:].any()
    missing = manifest(site, "evidence/manifest.json")["missing"]
    assert missing == [{"channel": 1, "party": "p2", "from_s": 1.5, "to_s": 4.0}]


def test_a_call_over_several_segments_is_read_back_whole(make_site) -> None:
    site = make_site()
    pcm = np.random.default_rng(3).integers(-9000, 9000, (2, 90 * 8000)).astype(np.int16)
    taped = site.tape(CALL, list(pcm), keep_at=8000)
    assert len(list(site.settings.capture_dir.glob("*.glog"))) > 1
    run(site)
    assert np.array_equal(channels(opened(site, "evidence/audio.flac")), np.stack([taped.sent(0), taped.sent(1)]))


def test_each_purpose_gets_its_kinds_and_no_other_key_opens_them(make_site, tmp_path: Path) -> None:
    site = make_site("pocketsphinx")
    site.tape(CALL, tones(2), keep_at=8000)
    run(site)
    text = {"transcript.json", "subtitles.vtt", "manifest.json"}
    expected = {f"evidence/{e}" for e in text | {"audio.flac"}} | {f"training/{e}" for e in text | {"audio.opus"}}
    assert set(site.outbox()) == expected | {f"analytics/{e}" for e in text}
    for name, path in site.outbox().items():
        for purpose, reader in site.readers.items():
            key = tmp_path / "key"
            key.write_text(reader.secret + "\n")
            done = subprocess.run(["age", "-d", "-i", key, path], capture_output=True, check=False)
            assert (done.returncode == 0) == (purpose == name.split("/")[0]), name
            if purpose != name.split("/")[0]:
                with pytest.raises(age.WrongKey):
                    age.decrypt(path.read_bytes(), reader.secret)


def test_a_purpose_never_kept_gets_nothing(make_site) -> None:
    site = make_site("pocketsphinx")
    site.tape(CALL, tones(2))
    scribe = run(site)
    assert not [name for name in site.outbox() if name.startswith("evidence/")]
    assert scribe.catalog.find_call(CALL).state == "finalised"


def test_words_are_given_to_the_party_that_said_them(make_site, speech: Callable[[str], np.ndarray]) -> None:
    site = make_site("pocketsphinx")
    first, second = speech("jfk.flac"), speech("librivox-0930.flac")
    gap = np.zeros(8000, np.int16)
    customer = np.concatenate([first, gap, np.zeros_like(second)])
    agent = np.concatenate([np.zeros_like(first), gap, second])
    site.tape(CALL, [customer, agent], keep_at=8000)
    run(site)
    document = json.loads(opened(site, "evidence/transcript.json"))
    said = {ref: " ".join(s["text"] for s in document["segments"] if s["party"] == ref) for ref in ("p1", "p2")}
    assert "fellow" in said["p1"] and said["p2"] and "fellow" not in said["p2"]
    border = (len(first) + len(gap) / 2) / 8000
    for segment in document["segments"]:
        for word in segment["words"]:
            assert 0 <= word["start"] < word["end"] <= document["duration_s"]
            assert (word["end"] <= border) == (segment["party"] == "p1")
    assert {p["ref"]: p["role"] for p in document["parties"]} == {"p1": "customer", "p2": "agent"}
    assert document["engine"]["test_only"] is True and document["engine"]["model"] == "en-us (test engine)"
    vtt = opened(site, "evidence/subtitles.vtt").decode()
    assert "<v customer p1>" in vtt and "<v agent p2>" in vtt


def test_a_paused_span_is_silent_absent_and_explained(make_site, speech: Callable[[str], np.ndarray]) -> None:
    site = make_site("pocketsphinx")
    spoken = speech("jfk.flac")
    paused = (24000, 64000)
    taped = site.tape(CALL, [spoken, np.zeros_like(spoken)], paused=paused, keep_at=8000)
    run(site)
    pcm = channels(opened(site, "evidence/audio.flac"))
    sent = taped.sent(0)
    assert not pcm[:, paused[0] : paused[1]].any()
    assert np.array_equal(pcm[0, : paused[0]], sent[: paused[0]]) and np.array_equal(
        pcm[0, paused[1] :], sent[paused[0] :]
    )
    for purpose in ("evidence", "training", "analytics"):
        document = json.loads(opened(site, f"{purpose}/transcript.json"))
        words = [w for s in document["segments"] for w in s["words"]]
        assert words and not [w for w in words if w["end"] > 3.0 and w["start"] < 8.0]
        assert document["absent"] == [[3.0, 8.0]]
        (absent,) = manifest(site, f"{purpose}/manifest.json")["absent"]
        told = {"from_s": 3.0, "to_s": 8.0, "verb": "pause", "actor": "agent:2001", "reason": "card"}
        assert absent == {**told, "causes": [], "until": "resume", "forgotten": False}


def test_one_purpose_paused_is_silent_there_and_there_only(make_site, speech: Callable[[str], np.ndarray]) -> None:
    site = make_site("pocketsphinx")
    taped = site.tape(CALL, [speech("jfk.flac")[:56000]], keep_at=8000, cause=None)
    key = site.keys[CALL]
    at = taped.call.started_ns
    for verb, state, since in (("pause", GateState.PAUSED, 16000), ("resume", GateState.RECORDING, 32000)):
        mark = GateMark(CALL, at, "training", verb, state, since, "agent:2001", "")
        site.writer.append(RecordKind.GATE, key, dump(mark))
    site.end(taped.call, 56000, "bye", lambda kind, value: site.writer.append(kind, key, dump(value)))
    site.writer.sync()
    run(site)
    assert np.array_equal(channels(opened(site, "evidence/audio.flac"))[0], taped.sent(0))
    with av.open(io.BytesIO(opened(site, "training/audio.opus"))) as container:
        opus = np.concatenate([f.to_ndarray() for f in container.decode(audio=0)], axis=1)
    assert np.abs(opus[:, 98000:190000]).max() < 0.01 < 0.05 < np.abs(opus[:, 194000:]).max()
    for purpose, absent in (("training", [[2.0, 4.0]]), ("analytics", [])):
        document = json.loads(opened(site, f"{purpose}/transcript.json"))
        inside = [w for s in document["segments"] for w in s["words"] if w["end"] > 2.0 and w["start"] < 4.0]
        assert document["absent"] == absent and bool(inside) == (purpose == "analytics")


def test_pseudonymised_purposes_learn_no_number_and_no_name(make_site) -> None:
    site = make_site("pocketsphinx")
    site.tape(CALL, tones(1))
    run(site)
    for name in ("analytics/transcript.json", "analytics/subtitles.vtt", "analytics/manifest.json"):
        data = opened(site, name)
        assert b"612345678" not in data and b"Ann Example" not in data, name
    assert "+33612345678" in opened(site, "training/transcript.json").decode()


def test_no_plaintext_and_no_number_on_the_disk(make_site) -> None:
    site = make_site("pocketsphinx")
    taped = site.tape(CALL, tones(2), keep_at=8000)
    run(site).close()
    secrets = [b"612345678", b"Ann Example", taped.payloads[0][4000:4064].tobytes(), taped.sent(0)[4000:4032].tobytes()]
    looked = [p for p in site.settings.site.state_dir.rglob("*") if p.is_file()]
    assert len(looked) > 10
    for path in looked:
        data = path.read_bytes()
        assert not [s for s in secrets if s in data], path.name


def test_the_catalog_and_the_journal_tell_the_call(make_site) -> None:
    site = make_site("pocketsphinx")
    site.tape(CALL, tones(2), keep_at=8000)
    scribe = run(site)
    scribe.close()
    row = scribe.catalog.find_call(CALL[:12])
    assert (row.state, row.cause, row.duration_samples, row.direction) == ("finalised", "bye", 16000, "inbound")
    assert [(p.role, p.channel) for p in scribe.catalog.parties(CALL)] == [("customer", 0), ("agent", 1)]
    assert len(scribe.catalog.decisions(CALL)) == 4
    assert [m.verb for m in scribe.catalog.marks(CALL) if m.purpose == "evidence"] == ["arm", "keep", "end"]
    assert [(s.label, c.received, c.lost) for s, c in scribe.catalog.counts(CALL)] == [("1", 50, 1), ("2", 50, 1)]
    kinds = [line.kind for line in read(site.settings.journal_dir, CALL)]
    assert kinds[0] == "call.started" and kinds[-1] == "callkey.destroyed"
    assert (kinds.count("decision"), kinds.count("gate"), kinds.count("derived")) == (4, 9, 11)
    assert verify_journal(site.settings.journal_dir, load_public(site.root / "keys" / "site.pem.pub")) == []


def test_artifact_rows_match_their_files(make_site) -> None:
    site = make_site("pocketsphinx")
    site.tape(CALL, tones(1), keep_at=0)
    scribe = run(site)
    rows = scribe.catalog.artifacts(call_id=CALL)
    assert len(rows) == len(site.outbox()) == 11
    for a in rows:
        data = (site.settings.outbox_dir / a.path).read_bytes()
        plain = age.decrypt(data, site.readers[a.purpose].secret)
        assert (len(data), hashlib.sha256(data).hexdigest()) == (a.size_bytes, a.cipher_sha256)
        assert hashlib.sha256(plain).hexdigest() == a.plain_sha256
        assert a.destination == ("central" if a.purpose == "evidence" else None)
        hour = 3600 * 10**9
        assert a.purpose != "training" or (a.local_deadline_ns - a.created_ns, a.central_deadline_ns) == (hour, 0)
    listed = manifest(site, "evidence/manifest.json")["artifacts"]
    mine = [a for a in rows if a.purpose == "evidence" and a.kind is not ArtifactKind.MANIFEST]
    assert {x["cipher_sha256"] for x in listed} == {a.cipher_sha256 for a in mine} and len(listed) == 3


def test_keys_and_segments_go_when_the_call_is_finalised(make_site) -> None:
    site = make_site("pocketsphinx")
    site.tape(CALL, tones(1))
    site.tape(OTHER, tones(1), cause=None)
    site.restart_writer()
    scribe = run(site)
    assert [p.name.split(".")[0] for p in site.settings.callkeys_dir.iterdir()] == [OTHER]
    assert len(list(site.settings.capture_dir.glob("*.glog"))) == 2, "a live call still needs its segment"
    key = site.keys[OTHER]
    call = site.calls[OTHER]
    site.end(call, 8000, "interrupted", lambda kind, value: site.writer.append(kind, key, dump(value)))
    site.writer.sync()
    settle(scribe)
    scribe._care()
    assert list(site.settings.callkeys_dir.iterdir()) == []
    assert len(list(site.settings.capture_dir.glob("*.glog"))) == 1, "the newest stays"


def test_an_interrupted_call_is_finalised_and_says_what_is_missing(make_site) -> None:
    site = make_site("pocketsphinx")
    site.tape(CALL, tones(2), cause="interrupted")
    scribe = run(site)
    assert scribe.catalog.find_call(CALL).state == "finalised"
    told = manifest(site, "training/manifest.json")
    assert told["cause"] == "interrupted" and told["missing"][-1]["to_s"] is None
    assert "interrupted" in told["missing"][-1]["reason"]
    assert len(lines(site, "call.interrupted")) == 1


def test_a_call_without_media_is_told_and_not_deferred(make_site) -> None:
    site = make_site()
    site.tape(CALL, [np.zeros(0, np.int16)] * 2, cause="cancel")
    scribe = run(site)
    assert scribe.catalog.find_call(CALL).state == "finalised"
    assert set(site.outbox()) == {"training/manifest.json", "analytics/manifest.json"}
    assert manifest(site, "training/manifest.json")["transcript"]["state"] == "nothing-captured"


def test_without_a_model_audio_goes_out_and_the_transcript_waits(make_site, tiny_whisper: Path, speech) -> None:
    site = make_site("auto")
    spoken = speech("ohf-fr-001.flac")
    site.tape(CALL, [spoken, np.zeros_like(spoken)], keep_at=8000)
    scribe = run(site)
    assert {n for n in site.outbox() if n.startswith("evidence/")} == {"evidence/audio.flac", "evidence/manifest.json"}
    assert manifest(site, "evidence/manifest.json")["transcript"]["state"] == "deferred"
    assert {row.purpose for row in scribe.catalog.deferred()} == {"evidence", "training", "analytics"}
    assert list(site.settings.callkeys_dir.iterdir()), "the key stays until the transcript is made"
    before = {name: path.read_bytes() for name, path in site.outbox().items()}

    add(tiny_whisper, site.settings.models_dir)
    scribe = run(site)
    after = site.outbox()
    assert {"evidence/transcript.json", "evidence/subtitles.vtt", "evidence/manifest-2.json"} <= set(after)
    assert all(after[name].read_bytes() == data for name, data in before.items()), "what was made stays as it was"
    second = manifest(site, "evidence/manifest-2.json")
    assert second["version"] == 2 and second["transcript"]["state"] == "done" and len(second["artifacts"]) == 3
    document = json.loads(opened(site, "evidence/transcript.json"))
    assert document["engine"]["model_sha256"] == second["transcript"]["model_sha256"] != ""
    assert scribe.catalog.deferred() == [] and list(site.settings.callkeys_dir.iterdir()) == []
    assert len(lines(site, "deferred")) == 3


def test_waiting_for_a_model_ends_at_the_limit(make_site) -> None:
    site = make_site("auto", deferred_limit_s=0)
    site.tape(CALL, tones(1))
    scribe = run(site)
    assert scribe.catalog.find_call(CALL).state == "finalised" and scribe.catalog.deferred() == []
    assert manifest(site, "training/manifest-2.json")["transcript"]["state"] == "given-up"
    assert [line.fields.get("state") for line in lines(site, "deferred") if line.fields.get("state")] == [
        "given-up"
    ] * 2
    assert list(site.settings.callkeys_dir.iterdir()) == []


def test_a_full_outbox_loses_nothing_and_says_so_once(make_site, full_disk: Path) -> None:
    site = make_site("pocketsphinx")
    site.settings.outbox_dir.symlink_to(full_disk)
    (full_disk / "ballast").write_bytes(os.urandom(960 << 10))
    pcm = np.random.default_rng(5).integers(-20000, 20000, (2, 40000)).astype(np.int16)
    taped = site.tape(CALL, list(pcm), keep_at=8000)
    scribe = run(site)
    scribe._finisher._not_before.clear()
    settle(scribe)
    assert scribe.catalog.find_call(CALL).state == "ended" and len(lines(site, "outbox.full")) == 1
    assert list(site.settings.callkeys_dir.iterdir())
    (full_disk / "ballast").unlink()
    scribe._finisher._not_before.clear()
    settle(scribe)
    assert scribe.catalog.find_call(CALL).state == "finalised"
    assert np.array_equal(channels(opened(site, "evidence/audio.flac")), np.stack([taped.sent(0), taped.sent(1)]))
    assert len(lines(site, "derived")) == 11


def test_one_broken_call_does_not_stop_the_others(make_site) -> None:
    site = make_site("pocketsphinx")
    site.tape(CALL, tones(1))
    site.tape(OTHER, tones(1))
    (site.settings.outbox_dir / "training" / f"{CALL}.audio.opus.age").mkdir(parents=True)
    scribe = Scribe(site.settings, threading.Event())
    for _ in range(10):
        scribe.step()
    assert scribe.catalog.find_call(CALL).state == "ended"
    assert scribe.catalog.find_call(OTHER).state == "finalised"


def test_a_key_that_cannot_be_opened_is_kept(make_site) -> None:
    site = make_site("pocketsphinx")
    site.tape(CALL, tones(1))
    scribe = Scribe(site.settings, threading.Event())
    scribe._projector.advance()
    hidden = []
    for path in site.settings.identities_dir.glob("*.age-identity"):
        hidden.append((path, path.read_text()))
        path.write_text("")
    settle(scribe)
    assert scribe.catalog.find_call(CALL).state == "ended" and list(site.settings.callkeys_dir.iterdir())
    for path, text in hidden:
        path.write_text(text)
    scribe._finisher._not_before.clear()
    settle(scribe)
    assert scribe.catalog.find_call(CALL).state == "finalised" and "training/audio.opus" in site.outbox()
