"""The guard of spoken card numbers: with a scripted detector the event, its budget, and what its answer says; and from
sound to gate, with an engine that hears what the test says."""

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest
from alone import Alone
from frames import capture_log, everything_evidence, frames_of, noise
from running_site import wait_for
from scripted_engine import LevelEngine, LoudVoice, say

from agent.capture.format import RecordKind
from agent.config import Endpoint
from agent.media.g711 import encode
from agent.model.call import Codec
from agent.probe import ProbeCall
from agent.scribe.live import Live


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


WORDS = ("bonjour", "quatre", "cinq", "trois", "deux", "un", "merci")


def codes_of(number: int) -> bytes:
    """A tenth of a second of the word, as it is sent."""
    return encode(say([(number, 0.0, 0.1)], 0.1), Codec.PCMA).tobytes()


@pytest.mark.slow
def test_a_card_number_never_reaches_the_log_once_its_first_digits_are_heard(tmp_path, run_story) -> None:
    alone = Alone(tmp_path / "site")
    guard = '\n[guard]\nenabled = true\nhold_s = 4\nqueues = ["*"]\n'
    alone.site.config.write_text(alone.site.config.read_text() + guard)
    settings = alone.site.settings
    engine = LevelEngine(2, WORDS)
    number = [1, 2, 3, 4, 5, 1, 2, 3]
    said = [(0, 1.0, 1.3), *((n, 5.0 + 0.4 * at, 5.3 + 0.4 * at) for at, n in enumerate(number)), (6, 17.0, 17.3)]
    live = Live(settings, lambda: engine, bytes(32), LoudVoice)

    async def story() -> None:
        target = Endpoint(transport="udp", host="127.0.0.1", port=alone.site.sip_port)
        async with ProbeCall(target) as call:
            await call.invite()
            await call.speak((say(said, 19.0), None))
            await call.bye()

    with alone.running():
        live.start()
        try:
            live.follow(settings.purposes())
            wait_for("the recorder to have a listener", lambda: alone.site.events("live.connected"))
            run_story(story())
            wait_for("the end of the call", lambda: alone.site.events("call.ended"))
            guarded = live._stats()["guard"]
        finally:
            live.stop()
    assert guarded["pauses"] >= 1 and guarded["too_late"] == guarded["failed"] == 0
    assert not alone.site.events("guard.too_late")
    (records,) = alone.said().values()
    log = b"".join(content for kind, _, _, content in records if kind is RecordKind.MEDIA)
    assert codes_of(0) in log and codes_of(6) in log, "what was said before and after it"
    assert not any(codes_of(n) in log for n in set(number)), "of the number nothing"
