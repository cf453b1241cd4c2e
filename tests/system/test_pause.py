"""The pause button on a whole agent: S11 (nothing of a number is anywhere) and S13 (still paused after a kill)."""

import asyncio
import os
import signal

import httpx
import numpy as np
import pytest
from frames import FRAME, at, capture_log, decoded, everything_evidence, frames_of, heard_in, noise
from running_site import wait_for

from agent.media.g711 import SILENCE, decode
from agent.model.call import CLOCK_RATE, Codec
from agent.probe import ProbeCall


@pytest.mark.slow
def test_s11_no_sample_of_what_was_said_before_a_late_press_exists_anywhere(
    make_site, edit, files_under, run_story
) -> None:
    seen = make_site(lambda text: everything_evidence(text, edit))
    site = seen.site
    before, number, after = noise(4, 1), noise(4, 2), noise(3, 3)
    agent = noise(11, 4)

    async def story() -> tuple[str, float, float]:
        async with ProbeCall(seen.target("udp")) as call:
            await call.invite()
            call_id = await asyncio.to_thread(site.call_of, call.session_id)
            scribe = site.pid_of("scribe")
            signal.pidfd_send_signal(pidfd(scribe), signal.SIGSTOP)  # the call key stays, so that the log can be read
            speaking = asyncio.create_task(call.speak((np.concatenate([before, number, after]), agent)))
            await asyncio.sleep(4 + 2)  # the number began 2 s ago
            paused = (await asyncio.to_thread(site.press, "pause", agent="201", reason="card number")).json()
            await asyncio.sleep(2.3)
            resumed = (await asyncio.to_thread(site.press, "resume", agent="201", reason="over")).json()
            await speaking
            await call.bye()
        wait_for("the end of the call", lambda: site.events("call.ended"))
        log = capture_log(site.settings, call_id)
        kept = sum(frame in log for frame in frames_of(before)[:100])
        assert kept == 100, "what was said well before the number is there"
        assert not any(frame in log for frame in frames_of(number)), "and nothing of the number"
        signal.pidfd_send_signal(pidfd(scribe), signal.SIGCONT)
        return call_id, paused["since_s"], resumed["since_s"]

    call_id, since_s, until_s = run_story(story())
    site.wait_state(call_id, "ended")
    seen.wait_audio(call_id, "evidence")
    audio = seen.audio(call_id, "evidence")

    # time stays aligned: what followed lies exactly as far from what came before as it was said
    first = at(audio[0], frames_of(before)[0])
    assert at(audio[0], frames_of(after)[-1]) - first == 4 * CLOCK_RATE * 2 + 3 * CLOCK_RATE - FRAME
    gap = audio[:, int(since_s * CLOCK_RATE) : int(until_s * CLOCK_RATE)]
    assert gap.shape[1] > 4 * CLOCK_RATE and np.abs(gap.astype(int)).max() <= silence_level()
    assert since_s * CLOCK_RATE <= first + 4 * CLOCK_RATE < first + 8 * CLOCK_RATE <= until_s * CLOCK_RATE

    # marked with actor and reason
    (absent,) = [a for a in site.catalog().marks(call_id) if a.verb == "pause" and a.purpose == "evidence"]
    assert absent.actor == "admin:desk" and absent.reason == "card number"
    assert abs(absent.since_samples / CLOCK_RATE - since_s) < 1e-3

    # and in no file whatever
    frames = frames_of(number)
    for path, data in files_under(site.folder):
        assert not any(frame in data for frame in frames), path


def pidfd(pid: int) -> int:
    """A handle that cannot mean another process."""
    return os.pidfd_open(pid)


def silence_level() -> int:
    """The largest sample that PCMA silence decodes to."""
    return int(np.abs(decode(np.array([SILENCE[Codec.PCMA]], np.uint8), Codec.PCMA).astype(int)).max())


@pytest.mark.slow
@pytest.mark.parametrize("page", [None, "payment"])
def test_s13_after_kill_minus_nine_while_paused_the_call_is_still_paused_and_by_what(
    make_site, edit, run_story, page: str | None
) -> None:
    seen = make_site(lambda text: everything_evidence(text, edit))
    site = seen.site
    before, secret, after = noise(4, 11), noise(6, 12), noise(3, 13)
    causes = ["agent", *([f"context:{page}"] if page else [])]

    def told_page(**body: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {site.admin}"}
        return httpx.post(f"{site.url}/v1/context", json={"agent": "201", **body}, headers=headers, timeout=60)

    async def story() -> str:
        async with ProbeCall(seen.target("udp")) as call:
            await call.invite()
            call_id: str = await asyncio.to_thread(site.call_of, call.session_id)
            await call.speak((before, None))
            pressed = await asyncio.to_thread(site.press, "pause", agent="201", reason="card number")
            assert pressed.status_code == 200
            if page:
                assert (await asyncio.to_thread(told_page, opened=page)).status_code == 200
            speaking = asyncio.create_task(call.speak((secret, None)))
            await asyncio.sleep(1)
            await asyncio.to_thread(site.kill, "recorder")
            again = await asyncio.to_thread(site.call_of, call.session_id)
            assert again == call_id, "the same call goes on"
            (live,) = await asyncio.to_thread(site.live)
            assert set(live["states"].values()) <= {"paused", "armed-paused", "off"}, "and is still paused"
            assert sorted(live["causes"]["evidence"]) == causes
            await speaking
            resumed = await asyncio.to_thread(site.press, "resume", agent="201")
            assert resumed.status_code == 200
            if page:
                assert resumed.json()["states"]["evidence"] == "paused", "each cause outlives the kill"
                await call.speak((secret, None))
                closed = await asyncio.to_thread(told_page, closed=page)
                assert closed.json()["states"]["evidence"] == "recording"
            else:
                assert resumed.json()["changed"]
            await call.speak((after, None))
            await call.bye()
            return call_id

    call_id = run_story(story())
    seen.wait_audio(call_id, "evidence")
    audio = seen.audio(call_id, "evidence")
    assert decoded(frames_of(after)[10]) in audio[0].tobytes()
    assert heard_in(audio, secret) == 0
    row = site.catalog().find_call(call_id)
    assert row.cause == "bye", "one call, ended by its gateway"
