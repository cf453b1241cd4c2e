"""Pauses that nobody ends, on a whole agent: S12, and what is found of them afterwards."""

import asyncio
from collections.abc import Callable

import httpx
import pytest
from frames import frames_of, heard_in, noise
from lights import listening
from prometheus_client.parser import text_string_to_metric_families
from running_site import RunningSite, wait_for

from agent.probe import ProbeCall


def soon(text: str, edit: Callable[..., str]) -> str:
    """Warned about after two seconds, at an end after five; evidence of every call."""
    text = edit(text, "pause", warn_s='"2 s"', limit_s='"5 s"')
    text = edit(text, "purpose.evidence", trigger='"all"', keep_from=None, artifacts='["audio", "manifest"]')
    text = edit(edit(text, "purpose.training", percent="0"), "purpose.analytics", artifacts="[]")
    return edit(text, "scribe", engine='"none"')


def forgotten(site: RunningSite) -> float:
    """Forgotten pauses, as Prometheus reads them."""
    text = httpx.get(f"{site.url}/metrics", headers={"Authorization": f"Bearer {site.admin}"}).text
    samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
    (value,) = [s.value for s in samples if s.name == "greffier_forgotten_pauses_total"]
    return float(value)


@pytest.mark.slow
def test_s12_a_pause_nobody_ends_is_warned_about_then_ended_and_supervisors_hear_of_it(
    make_site, edit, told, run_story
) -> None:
    seen = make_site(lambda text: soon(text, edit))
    site = seen.site
    agent, lead = (site.greffier("token", "add", scope).strip() for scope in ("agent:201", "supervisor"))
    secret, after = noise(30, 1), noise(3, 2)

    async def story() -> str:
        with listening(site.url, agent) as mine, listening(site.url, lead) as board:
            async with ProbeCall(seen.target("udp")) as call:
                await call.invite()
                call_id: str = await asyncio.to_thread(site.call_of, call.session_id)
                await asyncio.to_thread(mine.wait, "recording")
                assert forgotten(site) == 0
                speaking = asyncio.create_task(call.speak((secret, None)))
                pressed = await asyncio.to_thread(site.press, "pause", agent="201", token=agent)
                assert pressed.status_code == 200, pressed.text
                for ears in (mine, board):
                    await asyncio.to_thread(ears.wait_alert, "limit")
                    await asyncio.to_thread(ears.wait, "recording")
                speaking.cancel()
                assert await asyncio.to_thread(forgotten, site) >= 1
                assert all(state == "recording" for p, state in site.live()[0]["states"].items() if p == "evidence")
                await call.speak((after, None))
                await call.bye()
            for ears in (mine, board):
                lights = [state["light"] for state in ears.seen if state["call_id"] == call_id]
                changes = [x for n, x in enumerate(lights) if n == 0 or x != lights[n - 1]]
                assert changes[changes.index("paused") :] == ["paused", "warning", "recording"]
                alerts = [a for a in ears.alerts if a["purpose"] == "evidence"]
                assert [a["kind"] for a in alerts] == ["warn", "limit"]
                assert all((a["agent"], a["call_id"], a["actor"]) == ("201", call_id, "agent:201") for a in alerts)
        return call_id

    call_id = run_story(story())
    seen.wait_audio(call_id, "evidence")
    assert heard_in(seen.audio(call_id, "evidence"), after) == len(frames_of(after))
    assert call_id[:12] in told(site.greffier("calls", "--forgotten"))
    assert [m.verb for m in site.catalog().marks(call_id) if m.purpose == "evidence"].count("limit") == 1


@pytest.mark.slow
def test_regression_forgotten_pauses_found_weeks_later(make_site, edit, told, run_story) -> None:
    """Nobody listens, nobody resumes: it is counted while the call lasts, and every account of the call says so."""
    seen = make_site(lambda text: soon(text, edit))
    site = seen.site
    after = noise(3, 3)

    async def story(pause: bool) -> str:
        async with ProbeCall(seen.target("udp")) as call:
            await call.invite()
            call_id: str = await asyncio.to_thread(site.call_of, call.session_id)
            if pause:
                speaking = asyncio.create_task(call.speak((noise(60, 4), None)))
                assert (await asyncio.to_thread(site.press, "pause", agent="201")).status_code == 200
                await asyncio.to_thread(wait_for, "it to be counted", lambda: forgotten(site), 60)
                speaking.cancel()
            await call.speak((after, None))
            await call.bye()
            return call_id

    call_id, ordinary = run_story(story(True)), run_story(story(False))
    for placed in (call_id, ordinary):
        seen.wait_audio(placed, "evidence")
        site.wait_state(placed, "finalised")
    assert heard_in(seen.audio(call_id, "evidence"), after) == len(frames_of(after)), "the recording went on"
    listed = told(site.greffier("calls", "--forgotten"))
    assert call_id[:12] in listed and ordinary[:12] not in listed
    assert "forgotten pause: evidence" in told(site.greffier("show", call_id))
    assert "forgotten pause" not in told(site.greffier("show", ordinary))
    seen.wait_delivered(call_id)
    assert [gap["forgotten"] for gap in seen.manifest(call_id, "evidence")["absent"] if "until" in gap] == [True]
