"""A call from the gateway to its readers: S01, S02, S20, S30 (folder), and the same with no network at all (S23)."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from agent.model.call import CLOCK_RATE, Codec
from agent.probe import ProbeCall, dialogue
from agent.probe.impairment import Impairment

ALIGNED_S = 0.020


def lossless(text: str, edit: Callable[..., str]) -> str:
    """Evidence of every call in FLAC, training of every call, pocketsphinx to transcribe."""
    text = edit(text, "purpose.evidence", trigger='"all"', keep_from=None)
    text = edit(text, "purpose.training", percent="100")
    return edit(text, "scribe", engine='"pocketsphinx"', language='"en"')


@pytest.mark.slow
@pytest.mark.parametrize(("transport", "codec"), [("tcp", Codec.PCMA), ("udp", Codec.PCMU)])
def test_s01_s20_every_packet_is_heard_and_every_reader_gets_only_what_is_theirs(
    make_site, edit, find_sent, run_story, transport: str, codec: Codec
) -> None:
    seen = make_site(lambda text: lossless(text, edit))
    spoken = dialogue("en")
    part = spoken.cut(0, 13)

    async def story() -> tuple[ProbeCall, str]:
        async with ProbeCall(seen.target(transport), codec=codec) as call:
            await call.invite()
            call_id = seen.site.call_of(call.session_id)
            await call.speak(part)
            await call.bye()
            return call, call_id

    call, call_id = run_story(story())
    seen.wait_delivered(call_id)

    # S01: two parties, two channels, bit-exact, aligned as sent
    catalog = seen.site.catalog()
    assert [(p.role, p.channel) for p in catalog.parties(call_id)] == [("customer", 0), ("agent", 1)]
    audio = seen.audio(call_id, "evidence")
    assert audio.shape[0] == 2
    starts = {who: find_sent(audio[n], call.sent[who], codec) for n, who in enumerate(("customer", "agent"))}
    heard_s = (starts["agent"] - starts["customer"]) / CLOCK_RATE
    sent_s = (call.sent["agent"][0].at_ns - call.sent["customer"][0].at_ns) / 1e9
    assert abs(heard_s - sent_s) <= ALIGNED_S
    for who, (stream, counts) in zip(("customer", "agent"), catalog.counts(call_id), strict=True):
        assert counts.received == call.sent[who].done.sent and counts.lost == counts.late == 0
        assert stream.codec is codec

    # S20: each party's words are that party's, inside the audio
    transcript = json.loads(seen.opened(call_id, "training", "transcript"))
    assert transcript["engine"]["test_only"] is True
    start_s = starts["customer"] / CLOCK_RATE
    for segment in transcript["segments"]:
        role = {p["ref"]: p["role"] for p in transcript["parties"]}[segment["party"]]
        spans = [(t.start_s + start_s, t.end_s + start_s) for t in spoken.turns if t.speaker == role]
        middle = (segment["start"] + segment["end"]) / 2
        assert any(a - 0.5 <= middle <= b + 0.5 for a, b in spans), f"{role} did not speak at {middle}"
        assert all(0 <= w["start"] <= w["end"] <= transcript["duration_s"] for w in segment["words"])
    said = " ".join(t.text for t in spoken.turns).lower()
    right = {w["text"] for s in transcript["segments"] for w in s["words"] if len(w["text"]) > 2 and w["text"] in said}
    assert len(right) >= 3, "some words of the dialogue are recognised"
    assert {s["channel"] for s in transcript["segments"]} == {0, 1}

    # S30: exactly what each purpose permits, opened by its key and no other
    permitted = {
        "evidence": {"audio", "transcript", "subtitles", "manifest"},
        "training": {"audio", "transcript", "subtitles", "manifest"},
        "analytics": {"transcript", "subtitles", "manifest"},
    }
    delivered = [p for p in seen.site.centre.rglob("*") if p.is_file()]
    assert len(delivered) == sum(map(len, permitted.values()))
    for purpose, kinds in permitted.items():
        assert {a.kind.value for a in catalog.artifacts(call_id=call_id, purpose=purpose)} == kinds
        for path in (seen.site.centre / purpose).iterdir():
            openers = {key for key in (*permitted, "assistance") if _opens(seen, key, path)}
            assert openers == {purpose}
    assert "+33612345678" not in seen.opened(call_id, "analytics", "transcript").decode()
    assert "everything is as it was written" in seen.site.greffier(
        "verify", "--folder", seen.site.centre, *(x for p in permitted for x in ("--key", _key(seen, p)))
    )


def _key(seen, purpose: str) -> Path:
    path: Path = seen.site.etc / "purpose-keys" / f"{purpose}.key.txt"
    return path


def _opens(seen, purpose: str, path: Path) -> bool:
    return _key(seen, purpose).exists() and seen.site.age_opens(purpose, path) is not None


@pytest.mark.slow
def test_loss_reordering_duplicates_and_a_wrap_are_counted_exactly_and_heard_as_silence(
    make_site, edit, run_story
) -> None:
    seen = make_site(lambda text: edit(lossless(text, edit), "scribe", engine='"none"'))
    bad = Impairment(loss_percent=2, reorder_percent=5, reorder_depth=5, duplicate_percent=2, first_sequence=65400)
    part = dialogue("en").cut(0, 9)

    async def story() -> tuple[ProbeCall, str]:
        async with ProbeCall(seen.target("udp")) as call:
            await call.invite()
            call_id = seen.site.call_of(call.session_id)
            await call.speak(part, impairment=bad)
            await call.bye()
            return call, call_id

    call, call_id = run_story(story())
    seen.site.wait_state(call_id, "ended")
    seen.wait_audio(call_id, "evidence")
    for who, (_, counts) in zip(("customer", "agent"), seen.site.catalog().counts(call_id), strict=True):
        done = call.sent[who].done
        assert done.lost > 0 and done.duplicates > 0 and done.reordered > 0
        assert (counts.received, counts.lost, counts.duplicates, counts.late) == (
            done.sent,
            done.lost,
            done.duplicates,
            0,
        )
        assert counts.reordered == done.reordered


@pytest.mark.slow
def test_a_recorder_that_stood_still_for_seconds_has_every_packet(make_site, edit, find_sent, run_story) -> None:
    """Longer than its buffers have room to spare: what came meanwhile waits in the kernel's ring."""
    seen = make_site(lambda text: lossless(text, edit))
    pid = seen.site.pid_of("recorder")
    part = dialogue("en").cut(0, 13)

    async def story() -> tuple[ProbeCall, str]:
        async with ProbeCall(seen.target("udp")) as call:
            await call.invite()
            call_id = seen.site.call_of(call.session_id)
            speaking = asyncio.create_task(call.speak(part))
            await asyncio.sleep(5)
            os.kill(pid, signal.SIGSTOP)
            await asyncio.sleep(2)
            os.kill(pid, signal.SIGCONT)
            await speaking
            await call.bye()
            return call, call_id

    call, call_id = run_story(story())
    seen.wait_delivered(call_id)
    audio = seen.audio(call_id, "evidence")
    for number, who in enumerate(("customer", "agent")):
        find_sent(audio[number], call.sent[who], Codec.PCMA)
    for who, (_, counts) in zip(("customer", "agent"), seen.site.catalog().counts(call_id), strict=True):
        assert counts.received == call.sent[who].done.sent and counts.lost == counts.late == counts.jumps == 0


@pytest.mark.slow
def test_the_audio_of_a_bad_line_is_what_arrived_and_silence_where_nothing_did(
    make_site, edit, find_sent, run_story
) -> None:
    seen = make_site(lambda text: edit(lossless(text, edit), "scribe", engine='"none"'))
    noise = np.random.default_rng(4).integers(-8000, 8000, (2, 5 * CLOCK_RATE)).astype(np.int16)

    async def story() -> tuple[ProbeCall, str]:
        async with ProbeCall(seen.target("udp")) as call:
            await call.invite()
            call_id = seen.site.call_of(call.session_id)
            await call.speak(tuple(noise), impairment=Impairment(loss_percent=4, reorder_percent=10, reorder_depth=4))
            await call.bye()
            return call, call_id

    call, call_id = run_story(story())
    seen.wait_audio(call_id, "evidence")
    audio = seen.audio(call_id, "evidence")
    for number, who in enumerate(("customer", "agent")):
        find_sent(audio[number], call.sent[who], Codec.PCMA)


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace needs root")
def test_s23_with_no_network_at_all_everything_works_but_the_network(tmp_path: Path) -> None:
    script = Path(__file__).with_name("offline.py")
    command = ["unshare", "-n", "--", "sh", "-c", f"ip link set lo up && exec {sys.executable} {script} {tmp_path}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=150)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert "everything is as it was written" in done.stdout
