"""The guard of spoken card numbers, with a scripted detector: the event, its budget, and what its answer says."""

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest
from frames import capture_log, everything_evidence, frames_of, noise
from running_site import wait_for

from agent.probe import ProbeCall


async def detector(socket: Path, **asked: object) -> dict[str, object]:
    """What recognises speech, as far as the recorder can tell: one question on its control socket, and the answer."""
    reader, writer = await asyncio.open_unix_connection(socket)
    writer.write(json.dumps({"op": "sensitive", **asked}).encode() + b"\n")
    answer: dict[str, object] = json.loads(await reader.readline())
    writer.close()
    return answer


@pytest.mark.slow
def test_a_detector_in_time_covers_the_number_and_one_too_late_says_so(make_site, edit, run_story) -> None:
    seen = make_site(lambda text: everything_evidence(text, edit))
    site = seen.site
    before, number, after, late = noise(4, 21), noise(4, 22), noise(3, 23), noise(6, 24)

    async def story() -> str:
        async with ProbeCall(seen.target("udp")) as call:
            await call.invite()
            call_id = await asyncio.to_thread(site.call_of, call.session_id)
            ask = {"socket": site.settings.recorder_socket, "call": call_id}
            began_s = (await asyncio.to_thread(site.live))[0]["media_s"]
            speaking = asyncio.create_task(call.speak((np.concatenate([before, number, after, late]), None)))
            await asyncio.sleep(4 + 1.5)  # the number began a second and a half ago: two digits are enough
            heard = await detector(**ask, active=True, said_at_s=began_s + 4 - 0.2, reason="digits")
            assert heard["ok"] and heard["covered"] is True
            assert all(state.endswith("paused") or state == "idle" for state in heard["states"].values())
            assert "speech" in heard["causes"]["evidence"]
            await asyncio.sleep(3)
            over = await detector(**ask, active=False)
            assert over["ok"] and over["states"]["evidence"] == "recording"
            await asyncio.sleep(5)
            slow = await detector(**ask, active=True, said_at_s=began_s + 9, reason="digits")
            assert slow["ok"] and slow["covered"] is False, "what slipped through is told, so that it can be masked"
            await detector(**ask, active=False)
            await speaking
            log = capture_log(site.settings, call_id)
            await call.bye()
        assert not any(frame in log for frame in frames_of(number)), "no digit is anywhere"
        return call_id

    call_id = run_story(story())
    wait_for("the end of the call", lambda: site.events("call.ended"))
    assert site.events("guard.too_late")
    marks = [m for m in site.catalog().marks(call_id) if m.purpose == "evidence" and m.cause == "speech"]
    assert [(m.verb, m.actor) for m in marks][:2] == [("pause", "guard:speech"), ("resume", "guard:speech")]
