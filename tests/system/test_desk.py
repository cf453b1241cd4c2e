"""The desk on a whole agent: a real call, its light over server-sent events, a phone's key by curl, a payment page."""

import asyncio
import subprocess
from typing import Any

import httpx
import numpy as np
import pytest
from lights import Lights

from agent.model.call import CLOCK_RATE
from agent.probe import ProbeCall
from agent.store.journal import read


@pytest.mark.slow
def test_s14_rest_action_url_and_desktop_event_pause_a_real_call_for_its_own_agent_only(
    make_site, edit, run_story
) -> None:
    seen = make_site(lambda text: edit(edit(text, "purpose.training", percent="100"), "scribe", engine='"none"'))
    site = seen.site
    agent, phone, crm, other, others_phone = (
        site.greffier("token", "add", *words).strip()
        for words in (
            ["agent:201"],
            ["agent:201", "desk-7", "--device", "phone"],
            ["agent:201", "crm", "--device", "crm"],
            ["agent:202"],
            ["agent:202", "desk-8", "--device", "phone"],
        )
    )
    lights = Lights(site.url, agent)

    def key(verb: str, token: str = phone) -> str:
        command = ["curl", "-sS", "--max-time", "60", "-w", "%{http_code}", f"{site.url}/v1/phone/{token}/{verb}"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def page(token: str = crm, **body: Any) -> httpx.Response:
        of = {} if "call" in body else {"agent": "201"}
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.post(f"{site.url}/v1/context", json={**of, **body}, headers=headers, timeout=60)

    def by_rest(verb: str) -> httpx.Response:
        return site.press(verb, agent="201", token=agent, reason="by REST")

    def others_are_refused(call_id: str) -> None:
        before = site.live()
        assert site.press("resume", agent="201", token=other).status_code == 403
        assert site.press("resume", call=call_id, token=other).status_code == 404
        assert page(other, closed="payment").status_code == 403
        assert page(other, closed="payment", call=call_id).status_code == 404
        assert key("resume", others_phone).endswith("404"), "it has no call, and can name no other"
        assert key("resume", other).endswith("403"), "a token for REST is none for a URL"
        assert key("resume", "guessed").endswith("401")
        assert [call["causes"] for call in site.live()] == [call["causes"] for call in before]

    async def story() -> str:
        async with ProbeCall(seen.target("udp")) as call:
            await call.invite()
            call_id = await asyncio.to_thread(site.call_of, call.session_id)
            noise = np.random.default_rng(1).integers(-9000, 9000, 60 * CLOCK_RATE).astype(np.int16)
            speaking = asyncio.create_task(call.speak((noise, noise)))
            await asyncio.to_thread(lights.wait, "recording")
            said = await asyncio.to_thread(key, "pause")
            assert "paused since" in said and said.endswith("200")
            assert (await asyncio.to_thread(lights.wait, "paused"))["call_id"] == call_id
            opened = await asyncio.to_thread(page, opened="payment")
            assert opened.status_code == 200 and "context:payment" in opened.json()["causes"]["training"]
            await asyncio.to_thread(others_are_refused, call_id)
            assert "Still paused by: context:payment" in await asyncio.to_thread(key, "resume")
            closed = await asyncio.to_thread(page, closed="payment", add_tags=["paid"])
            assert closed.status_code == 200, closed.text
            await asyncio.to_thread(lights.wait, "recording")
            for verb, light in (("pause", "paused"), ("resume", "recording")):
                pressed = await asyncio.to_thread(by_rest, verb)
                assert pressed.status_code == 200 and "training" in pressed.json()["changed"]
                await asyncio.to_thread(lights.wait, light)
            speaking.cancel()
            await call.bye()
            return call_id

    call_id = run_story(story())
    lights.wait("no-call")
    lights.close()
    site.wait_state(call_id, "ended")
    marks = [m for m in site.catalog().marks(call_id) if m.purpose == "training" and m.verb in ("pause", "resume")]
    agents, pages = ("agent:201", "agent"), ("context:201", "context:payment")
    assert [(m.verb, m.actor, m.cause) for m in marks] == [
        ("pause", *agents),
        ("pause", *pages),
        ("resume", *agents),
        ("resume", *pages),
        ("pause", *agents),
        ("resume", *agents),
    ]
    assert [m.reason for m in marks][::4] == ["phone desk-7", "by REST"]
    refused = {(x.fields["what"], x.fields["actor"]) for x in read(site.settings.journal_dir) if x.kind == "refused"}
    other_agent = {("call of another agent", "agent:202"), ("token in a URL", "agent:202")}
    assert refused == {*other_agent, ("token", "unknown")}
    for path in site.folder.rglob("*"):
        if path.is_file():
            assert not any(token.encode() in path.read_bytes() for token in (phone, agent, other)), path
