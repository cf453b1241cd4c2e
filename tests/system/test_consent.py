"""Consent on a whole agent: nothing is written before the customer agreed, and everything from the start after it."""

import asyncio
from collections.abc import Callable

import httpx
import pytest
from frames import frames_of, heard_in, noise
from running_site import RunningSite, wait_for

from agent.capture.format import RecordKind
from agent.capture.reader import Cursor, scan
from agent.probe import ProbeCall


def with_consent(text: str, edit: Callable[..., str]) -> str:
    """Every purpose that writes needs consent."""
    audio = {"artifacts": '["audio", "manifest"]', "consent": "true"}
    text = edit(text, "purpose.evidence", trigger='"all"', keep_from=None, **audio)
    text = edit(text, "purpose.training", percent="100", audio_format='"flac"', **audio)
    text = edit(text, "purpose.analytics", artifacts="[]")
    return edit(edit(text, "siprec", consent_headers='["X-Consent"]'), "scribe", engine='"none"')


def media_records(site: RunningSite, call_id: str) -> int:
    """How many records of sound the capture log has of a call."""
    found = [record.header for _, record in scan(site.settings.capture_dir, Cursor(0, 0))]
    return sum(h.call_id == call_id and h.kind is RecordKind.MEDIA for h in found)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["header", "context"])
def test_nothing_is_written_before_consent_and_everything_from_the_start_after_it(
    make_site, edit, run_story, way: str
) -> None:
    seen = make_site(lambda text: with_consent(text, edit))
    site = seen.site
    crm = site.greffier("token", "add", "agent:201", "crm", "--device", "crm").strip()
    begin, after = noise(8, 1), noise(3, 2)

    def agreed() -> None:
        headers = {"Authorization": f"Bearer {crm}"}
        body = {"agent": "201", "consent": "given"}
        done = httpx.post(f"{site.url}/v1/context", json=body, headers=headers, timeout=60)
        assert done.status_code == 200 and done.json()["states"]["training"] == "recording"

    async def story() -> str:
        async with ProbeCall(seen.target("udp")) as call:
            await call.invite()
            call_id: str = await asyncio.to_thread(site.call_of, call.session_id)
            await call.speak((begin, begin))
            (live,) = await asyncio.to_thread(site.live)
            assert {live["states"][p] for p in ("evidence", "training")} == {"waiting"}
            assert media_records(site, call_id) == 0, "not a sample, encrypted or not"
            if way == "header":
                await call.request("INFO", headers=(("X-Consent", "yes"),))
            else:
                await asyncio.to_thread(agreed)
            await call.speak((after, after))
            assert await asyncio.to_thread(wait_for, "sound in the log", lambda: media_records(site, call_id), 60)
            await call.bye()
        return call_id

    call_id = run_story(story())
    seen.wait_delivered(call_id)
    for purpose in ("evidence", "training"):
        for said in (begin, after):
            assert heard_in(seen.audio(call_id, purpose), said) == len(frames_of(said))
    (consent,) = seen.manifest(call_id, "evidence")["consent"]
    assert consent["consent"] == "given" and consent["source"] == {"header": "info", "context": "api"}[way]


@pytest.mark.slow
@pytest.mark.parametrize("answer", ["no", None])
def test_without_consent_not_a_sample_is_ever_written(make_site, edit, run_story, answer: str | None) -> None:
    seen = make_site(lambda text: with_consent(text, edit))
    site = seen.site
    words = noise(4, 3)

    async def story() -> str:
        headers = [("X-Consent", answer)] if answer else []
        async with ProbeCall(seen.target("udp"), headers=headers) as call:
            await call.invite()
            call_id: str = await asyncio.to_thread(site.call_of, call.session_id)
            await call.speak((words, words))
            await call.bye()
        return call_id

    call_id = run_story(story())
    site.wait_state(call_id, "finalised")
    assert media_records(site, call_id) == 0
    assert not [a for a in site.catalog().artifacts(call_id=call_id) if a.kind.value == "audio"]
    why = [*site.catalog().nothing(call_id).values(), *(d.rule for d in site.catalog().decisions(call_id))]
    assert any("consent" in words for words in why)
