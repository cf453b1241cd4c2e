"""S14 by telephony, on a whole agent: a phone's record key, a code in its RTP, a gateway that stops a session.

Each press is obeyed, in the name of whose it is, and the keys of a code are kept nowhere.
"""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from running_site import wait_for

from agent.probe import ProbeCall

PHONE = Path(__file__).with_name("pjsua_phone.py")
SIPP = Path(__file__).parents[1] / "gateways" / "record_key.xml"
KEYPAD = '\n[keys]\npause = "*71"\nresume = "*72"\n'


def presses(site) -> list[tuple[str, str]]:
    """Verb and actor of every press that was obeyed, as the log has them."""
    return [(event["verb"], event["actor"]) for event in site.events("gate")]


@pytest.fixture
def seen(make_site, edit: Callable[..., str]):
    """A site that keeps evidence, and keys, of every call."""

    def change(text: str) -> str:
        text = edit(text, "purpose.evidence", trigger='"all"', keep_from=None, keys="true")
        return edit(text, "scribe", engine='"none"') + KEYPAD

    return make_site(change)


def state(site) -> str:
    """Of evidence in the only live call."""
    (call,) = site.live()
    return str(call["states"]["evidence"])


def pauses(seen, call_id: str) -> list[tuple[str, str]]:
    """Verb and actor of the presses in the manifest of evidence."""
    marks = seen.manifest(call_id, "evidence")["gate"]
    return [(m["verb"], m["actor"]) for m in marks if m["verb"] in ("pause", "resume")]


@pytest.mark.slow
def test_s14_a_feature_code_in_the_rtp_of_a_phone_pauses_and_is_not_recorded(seen) -> None:
    site = seen.site
    command = [sys.executable, str(PHONE), str(site.sip_port), "201", "5", "*71", "42", "*72", "6"]
    phone = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert phone.stdin is not None and phone.stdout is not None

    def go() -> None:
        while (line := phone.stdout.readline()) and line != "ready\n":
            pass
        assert line == "ready\n"
        phone.stdin.write("\n")
        phone.stdin.flush()

    def later() -> None:
        until = site.live()[0]["media_s"] + 4  # longer than the holdback
        wait_for("time to pass", lambda: site.live()[0]["media_s"] > until or None)

    try:
        call_id = wait_for("the call", lambda: next((c["call_id"] for c in site.live()), None))
        later()  # before its first sound a stream is nobody's yet
        go()  # 5
        later()
        go()  # *71
        wait_for("the pause", lambda: state(site) == "paused" or None)
        later()
        go()  # 42
        later()
        go()  # *72
        wait_for("the resume", lambda: state(site) == "recording" or None)
        go()  # 6
        later()
        go()
        phone.wait(30)
    finally:
        phone.kill()
    seen.wait_audio(call_id, "evidence")
    assert presses(site) == [("pause", "agent:201"), ("resume", "agent:201")]
    assert [k["key"] for k in seen.manifest(call_id, "evidence")["keys"]] == ["5", "6"]
    assert pauses(seen, call_id) == presses(site)


@pytest.mark.slow
def test_s14_the_record_key_and_a_code_by_info_of_sipp(seen, free_port: int) -> None:
    command = ["sipp", "-sf", str(SIPP), "-m", "1", "-t", "u1", "-i", "127.0.0.1", "-p", str(free_port), "-nostdin"]
    command += ["-timeout", "60s", "-timeout_error", "-trace_err", "-error_file", "/dev/stderr", "-s", "srs"]
    done = subprocess.run(
        [*command, f"127.0.0.1:{seen.site.sip_port}"], capture_output=True, text=True, check=False, timeout=90
    )
    assert done.returncode == 0, done.stderr[-3000:]
    wait_for("the end of the call", lambda: seen.site.events("call.ended"))
    by = "agent:201"
    assert presses(seen.site) == [("pause", by), ("resume", by), ("keep", by), ("pause", by)]


@pytest.mark.slow
def test_s14_a_gateway_that_stops_the_session_pauses_and_a_press_by_hand_outlasts_it(seen, run_story) -> None:
    site = seen.site

    async def story() -> list[tuple[str, list[str]]]:
        stood = []

        async def stands(wanted: str) -> None:
            def so() -> bool:
                return state(site) == wanted

            await asyncio.to_thread(wait_for, wanted, so)
            (call,) = await asyncio.to_thread(site.live)
            stood.append((wanted, call["causes"].get("evidence", [])))

        async with ProbeCall(seen.target("udp")) as call:
            await call.invite()
            await asyncio.to_thread(site.call_of, call.session_id)
            await call.hold()
            await stands("paused")
            await call.request("INFO", headers=(("Record", "off"),))
            await call.resume()
            await stands("paused")
            await call.request("INFO", headers=(("Record", "on"),))
            await stands("recording")
            await call.bye()
        return stood

    stood = run_story(story())
    assert stood == [("paused", ["siprec"]), ("paused", ["agent"]), ("recording", [])]
    gateway, agent = "gateway:127.0.0.1", "agent:201"
    assert presses(site) == [
        ("pause", gateway),
        ("pause", agent),
        ("resume", gateway),
        ("resume", agent),
        ("keep", agent),
    ]
