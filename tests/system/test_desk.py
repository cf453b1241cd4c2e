"""The desk on a whole agent: a real call, its light over server-sent events, a phone's key by curl, a payment page."""

import asyncio
import subprocess

import httpx
import numpy as np
import pytest
from lights import Lights

from agent.model.call import CLOCK_RATE
from agent.probe import ProbeCall


@pytest.mark.slow
def test_a_phones_key_and_a_payment_page_pause_a_real_call(make_site, edit, run_story) -> None:
    seen = make_site(lambda text: edit(edit(text, "purpose.training", percent="100"), "scribe", engine='"none"'))
    site = seen.site
    agent, phone, crm, other = (
        site.greffier("token", "add", *words).strip()
        for words in (
            ["agent:201"],
            ["agent:201", "desk-7", "--device", "phone"],
            ["agent:201", "crm", "--device", "crm"],
            ["agent:202"],
        )
    )
    lights = Lights(site.url, agent)

    def key(verb: str) -> str:
        command = ["curl", "-sS", "--fail", "--max-time", "60", f"{site.url}/v1/phone/{phone}/{verb}"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def page(**body: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {crm}"}
        return httpx.post(f"{site.url}/v1/context", json={"agent": "201", **body}, headers=headers, timeout=60)

    async def story() -> str:
        async with ProbeCall(seen.target("udp")) as call:
            await call.invite()
            call_id = await asyncio.to_thread(site.call_of, call.session_id)
            noise = np.random.default_rng(1).integers(-9000, 9000, 60 * CLOCK_RATE).astype(np.int16)
            speaking = asyncio.create_task(call.speak((noise, noise)))
            await asyncio.to_thread(lights.wait, "recording")
            assert "paused since" in await asyncio.to_thread(key, "pause")
            assert (await asyncio.to_thread(lights.wait, "paused"))["call_id"] == call_id
            opened = await asyncio.to_thread(page, opened="payment")
            assert opened.status_code == 200 and "context:payment" in opened.json()["causes"]["training"]
            assert "Still paused by: context:payment" in await asyncio.to_thread(key, "resume")
            closed = await asyncio.to_thread(page, closed="payment", add_tags=["paid"])
            assert closed.status_code == 200, closed.text
            await asyncio.to_thread(lights.wait, "recording")
            refused = await asyncio.to_thread(site.press, "pause", agent="201", token=other)
            assert refused.status_code == 403
            speaking.cancel()
            await call.bye()
            return call_id

    call_id = run_story(story())
    lights.wait("no-call")
    lights.close()
    site.wait_state(call_id, "ended")
    marks = [(m.verb, m.actor, m.cause) for m in site.catalog().marks(call_id) if m.purpose == "training"]
    assert ("pause", "agent:201", "agent") in marks and ("resume", "context:201", "context:payment") in marks
    for path in site.folder.rglob("*"):
        if path.is_file():
            assert phone.encode() not in path.read_bytes(), path
