"""Whole calls with pauses: what is heard there, what is told of forgotten ones, and of calls without a sample."""

import json
from collections.abc import Callable

import numpy as np
import pytest
from holding import hold, lift
from typer.testing import CliRunner
from working import CALL, OTHER, channels, lines, manifest, opened, run, settle, tones

from agent.capture.format import RecordKind
from agent.cli import app
from agent.config import load
from agent.model.call import Consent
from agent.model.events import CallContext, CallStarted
from agent.model.gate import GateMark, GateState
from agent.model.purpose import Decision, Trigger
from agent.model.wire import dump
from agent.scribe.paused import tone
from agent.store.catalog import Catalog

PAUSED = (8000, 16000)


def set_in(site, purpose: str, line: str) -> None:
    text = site.config.read_text().replace(f"[purpose.{purpose}]\n", f"[purpose.{purpose}]\n{line}\n")
    site.config.write_text(text)
    site.settings = load(site.config)


def said(site, *words: str) -> str:
    done = CliRunner().invoke(app, [*words, "--config", str(site.config)], env={"COLUMNS": "220"})
    assert done.exit_code == 0, done.output
    return " ".join(done.output.split())


def written(site, marks: list[tuple[str, str, GateState, int]], pcm: np.ndarray | None = None) -> None:
    """A call with just these marks, of one second of sound unless told otherwise."""
    taped = site.tape(CALL, [np.zeros(0, np.int16)], cause=None) if pcm is None else site.tape(CALL, [pcm], cause=None)
    key = site.keys[CALL]
    for purpose, verb, state, since in marks:
        mark = GateMark(CALL, taped.call.started_ns, purpose, verb, state, since, "agent:2001", "x", "agent")
        site.writer.append(RecordKind.GATE, key, dump(mark))
    site.end(taped.call, 8000, "bye", lambda kind, value: site.writer.append(kind, key, dump(value)))
    site.writer.sync()


def test_tone_is_heard_in_the_pause_alone_and_counted_nowhere(make_site: Callable) -> None:
    site = make_site("pocketsphinx")
    set_in(site, "evidence", 'paused_sound = "tone"\nkeys = true')
    taped = site.tape(CALL, tones(3), paused=PAUSED, keep_at=0)
    run(site)
    pcm = channels(opened(site, "evidence/audio.flac"))
    start, end = PAUSED
    assert np.array_equal(pcm[0, start:end], tone(end - start, 8000)) and pcm[1, start:end].any()
    assert np.array_equal(pcm[0, :start], taped.sent(0)[:start]) and np.array_equal(pcm[0, end:], taped.sent(0)[start:])
    body = manifest(site, "evidence/manifest.json")
    assert (body["paused_sound"], body["cuts"], body["keys"]) == ("tone", [], [])
    assert body["sound"] == manifest(site, "training/manifest.json")["sound"] and body["sound"][0]["heard_s"] == 2.0


def test_neither_what_was_not_asked_for_nor_what_never_came_sounds_like_a_pause(make_site: Callable) -> None:
    site = make_site("none", deferred_limit_s=0)
    for purpose in ("evidence", "training"):
        set_in(site, purpose, 'paused_sound = "tone"')
    set_in(site, "evidence", 'keep_from = "press"')
    pcm = tones(4)
    pcm[1] = pcm[1][:12000]
    site.tape(CALL, pcm, paused=(18000, 22000), keep_at=8000)
    run(site)
    heard = channels(opened(site, "evidence/audio.flac"))
    assert not heard[:, :8000].any() and not heard[1, 12000:18000].any() and not heard[1, 22000:].any()
    assert np.array_equal(heard[1, 18000:22000], tone(4000, 8000))
    assert [a["verb"] for a in manifest(site, "evidence/manifest.json")["absent"]] == ["arm", "pause"]


def test_cut_audio_is_shorter_and_everything_says_how_times_relate(make_site: Callable, speech: Callable) -> None:
    site = make_site("pocketsphinx")
    set_in(site, "evidence", 'paused_sound = "cut"')
    spoken, paused = speech("jfk.flac"), (24000, 40000)
    site.tape(CALL, [spoken], paused=paused, keep_at=0)
    run(site)
    body = manifest(site, "evidence/manifest.json")
    assert body["cuts"] == [[3.0, 5.0]] and body["duration_s"] == len(spoken) / 8000
    assert channels(opened(site, "evidence/audio.flac")).shape[1] == len(spoken) - 16000
    transcript = json.loads(opened(site, "evidence/transcript.json"))
    assert transcript["cuts"] == [[3.0, 5.0]] and transcript["absent"] == [[3.0, 5.0]]
    last = transcript["segments"][-1]
    assert last["end"] > 5.0, "on the call's own time line"
    vtt = opened(site, "evidence/subtitles.vtt").decode()
    assert "cut out of the audio, and so of these times: 00:00:03.000 to 00:00:05.000" in vtt
    times = [line.split(" --> ")[0] for line in vtt.splitlines() if " --> " in line]
    minutes, seconds = times[-1].split(":")[1:]
    assert abs(int(minutes) * 60 + float(seconds) - (last["start"] - 2.0)) < 0.002


def test_a_forgotten_pause_is_told_everywhere(make_site: Callable) -> None:
    site = make_site("none", deferred_limit_s=0)
    site.tape(OTHER, tones(0.5))
    pause, limit = GateState.PAUSED, GateState.RECORDING
    written(site, [("training", "pause", pause, 2000), ("training", "limit", limit, 6000)], tones(1)[0])
    run(site)
    (absent,) = manifest(site, "training/manifest.json")["absent"]
    assert absent["forgotten"] and absent["until"] == "limit" and absent["causes"] == ["agent"]
    listed = said(site, "calls", "--forgotten")
    assert CALL[:12] in listed and "1 forgotten" in listed and listed.count("finalised") == 1
    assert said(site, "calls").count("finalised") == 2
    assert "forgotten pause: training, 0:00.2 to 0:00.8, paused by agent:2001" in said(site, "show", CALL)
    assert [line.fields["verb"] for line in lines(site, "gate") if line.fields["verb"] == "limit"] == ["limit"]


@pytest.mark.parametrize(
    ("marks", "pcm", "why"),
    [
        ([], False, "no media came"),
        ([("training", "pause", GateState.PAUSED, 0)], True, "it was paused all through"),
    ],
)
def test_no_file_of_nothing_but_silence_is_made_and_the_manifest_says_why(
    make_site: Callable, marks: list, pcm: bool, why: str
) -> None:
    site = make_site("pocketsphinx")
    written(site, marks, tones(1)[0] if pcm else None)
    run(site)
    mine = {p for p in site.outbox() if p.startswith("training/")}
    assert mine == {"training/manifest.json"}
    body = manifest(site, "training/manifest.json")
    assert body["nothing_captured"] == why and body["transcript"]["detail"] == why
    assert why in said(site, "show", CALL)
    assert why in {line.fields["reason"] for line in lines(site, "nothing") if line.purpose == "training"}


def test_what_never_began_has_no_artifact_and_says_why(make_site: Callable) -> None:
    """On demand from the press, and never pressed; waiting for a consent that never came."""
    site = make_site("pocketsphinx")
    set_in(site, "evidence", 'keep_from = "press"')
    taped_call = site.tape(OTHER, tones(0.2)).call  # keep is never pressed
    call = type(taped_call)(**{**{f: getattr(taped_call, f) for f in taped_call.__slots__}, "call_id": CALL})
    key = site.key(CALL)
    refused = CallContext(CALL, 5, None, (), Consent.REFUSED, "pbx:main", "header")
    waits = Decision("training", False, Trigger.ALL, "waits for consent", waits=True)
    mark = GateMark(CALL, 5, "training", "wait", GateState.WAITING, 0, "policy", "")
    for kind, value in (
        (RecordKind.EVENT, CallStarted(call)),
        (RecordKind.DECISIONS, (waits,)),
        (RecordKind.GATE, mark),
        (RecordKind.EVENT, refused),
    ):
        site.writer.append(kind, key, dump(value))
    site.end(call, 1600, "bye", lambda kind, value: site.writer.append(kind, key, dump(value)))
    site.writer.sync()
    scribe = run(site)
    assert scribe.catalog.nothing(OTHER) == {"evidence": "keep was never pressed"}
    assert scribe.catalog.nothing(CALL) == {"training": "consent was never given"}
    assert not [p for p in site.outbox().values() if CALL in p.name or p.parent.name == "evidence"]
    shown = said(site, "show", CALL)
    assert "nothing for training: consent was never given" in shown and "refused" in shown and "header" in shown
    assert "with consent" in shown and "consent was never given" in said(site, "calls")


def test_what_is_dropped_during_a_call_gets_nothing_and_the_key_goes(make_site: Callable) -> None:
    site = make_site("pocketsphinx", window="1 h")
    gone = [(p, "drop", GateState.DROPPED, 6000) for p in ("training", "analytics", "assistance")]
    kept = ("evidence", "drop", GateState.ARMED, 6000)
    written(site, [*gone, kept], tones(1)[0])
    scribe = run(site)
    assert site.outbox() == {} and scribe.catalog.find_call(CALL).state == "finalised"
    assert list(site.settings.callkeys_dir.iterdir()) == []
    assert [line.purpose for line in lines(site, "dropped")] == ["training", "analytics", "assistance"]
    (line,) = lines(site, "drop.kept")
    assert (line.purpose, line.fields["basis"]) == ("evidence", "contract")


def test_what_a_court_holds_keeps_its_key_though_somebody_withdrew(make_site: Callable) -> None:
    site = make_site("pocketsphinx", window="1 h")
    placed = hold(Catalog(site.settings.catalog_path), CALL)
    gone = [(p, "drop", GateState.DROPPED, 6000) for p in ("training", "analytics", "assistance")]
    written(site, [*gone, ("evidence", "drop", GateState.ARMED, 6000)], tones(1)[0])
    scribe = run(site)
    assert site.outbox() == {} and scribe.catalog.find_call(CALL).state == "finalised"
    assert len(list(site.settings.callkeys_dir.iterdir())) == len(list(site.settings.kept_dir.iterdir())) == 1
    scribe._finisher._believed_ns = lambda: 1 << 61
    settle(scribe)
    assert list(site.settings.callkeys_dir.iterdir()), "its time is over, and it is held"
    lift(scribe.catalog, placed)
    settle(scribe)
    assert not list(site.settings.callkeys_dir.iterdir()) and not list(site.settings.kept_dir.iterdir())
    assert len(lines(site, "callkey.destroyed")) == 1


def test_consent_is_in_the_manifest_with_when_by_whom_and_by_which_way(make_site: Callable) -> None:
    site = make_site("pocketsphinx")
    taped = site.tape(CALL, tones(1), cause=None)
    key = site.keys[CALL]
    for at, consent in ((7, Consent.UNKNOWN), (8, Consent.GIVEN), (9, Consent.GIVEN)):
        said_of_it = CallContext(CALL, at, "sales", (), consent, "pbx:main", "dtmf")
        site.writer.append(RecordKind.EVENT, key, dump(said_of_it))
    again = Decision("training", True, Trigger.ALL, "trigger all", at_ns=9)
    site.writer.append(RecordKind.DECISIONS, key, dump((again,)))
    site.end(taped.call, 8000, "bye", lambda kind, value: site.writer.append(kind, key, dump(value)))
    site.writer.sync()
    run(site)
    body = manifest(site, "training/manifest.json")
    assert body["consent"] == [{"consent": "given", "at_ns": 8, "actor": "pbx:main", "source": "dtmf"}]
    assert [d["at_ns"] for d in body["decisions"]] == [0, 9]
