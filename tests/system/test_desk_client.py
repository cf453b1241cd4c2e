"""S14 by hotkey, on a whole agent: xdotool presses the key on a desktop, `greffier-desk` presses, the gate is closed.

A press that comes to nothing is told to the agent as such.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from desktop import client, is_drawn, virtual_desktop
from greffier_desk.state import Light
from running_site import RunningSite, wait_for

from agent.config import Endpoint
from agent.model.call import CLOCK_RATE
from agent.probe import ProbeCall

SPEECH_S = 100
PAUSED = {"paused", "armed-paused"}


@contextmanager
def live_call(target: Endpoint) -> Iterator[ProbeCall]:
    """A call of agent 201 in a thread of its own, both parties speaking for as long as the block lasts."""
    up, over = threading.Event(), threading.Event()
    placed: list[ProbeCall] = []

    async def story() -> None:
        noise = np.random.default_rng(1).integers(-9000, 9000, SPEECH_S * CLOCK_RATE).astype(np.int16)
        async with ProbeCall(target) as call:
            await call.invite()
            placed.append(call)
            up.set()
            speaking = asyncio.create_task(call.speak((noise, noise)))
            await asyncio.to_thread(over.wait, SPEECH_S)
            speaking.cancel()
            await call.bye()

    thread = threading.Thread(target=asyncio.run, args=(story(),), daemon=True)
    thread.start()
    try:
        assert up.wait(30), "the call was not answered"
        yield placed[0]
    finally:
        over.set()
        thread.join(30)


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """The process does nothing within the block."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def gates(site: RunningSite) -> dict[str, str]:
    """Of the only live call, by the recorder's account."""
    (call,) = site.live()
    return {purpose: state for purpose, state in call["states"].items() if state != "off"}


def configured(site: RunningSite, folder: Path) -> Path:
    """The client's configuration for agent 201."""
    token = folder / "token"
    token.touch(0o600)
    token.write_text(site.greffier("token", "add", "agent:201"))
    path = folder / "greffier-desk.toml"
    words = {"desk": site.url, "agent": "201", "token_file": str(token), "lang": "en"}
    path.write_text("".join(f'{name} = "{value}"\n' for name, value in words.items()) + '[keys]\ntoggle = "<f9>"\n')
    return path


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_s14_hotkey_pauses_a_real_call_and_a_press_that_fails_is_told(make_site, edit, tmp_path: Path) -> None:
    seen = make_site(lambda text: edit(edit(text, "purpose.training", percent="100"), "scribe", engine='"none"'))
    site = seen.site
    home = tmp_path / "desktop"
    home.mkdir()

    def stands(states: set[str]) -> Any:
        return wait_for(f"the gates to be {states}", lambda: set(gates(site).values()) <= states, 60)

    with virtual_desktop(home) as desktop, client(desktop, configured(site, home)):
        window = desktop.wait("NO CALL")
        with live_call(seen.target("udp")) as call:
            call_id = site.call_of(call.session_id)
            desktop.wait("RECORDING")
            desktop.key("F9")
            desktop.wait("PAUSED")
            wait_for("the drawing", lambda: is_drawn(desktop, window, Light.PAUSED), 60)
            assert set(gates(site).values()) <= PAUSED, "the light says so because it is so"
            desktop.key("F9")
            desktop.wait("RECORDING")
            stands({"recording", "armed"})

            pressed = len(site.events("gate"))
            with stopped(site.pid_of("desk")):
                desktop.key("F9")
                desktop.wait("NOT PAUSED")
                wait_for("the drawing", lambda: is_drawn(desktop, window, Light.FAILED), 60)
                assert len(site.events("gate")) == pressed
            assert not set(gates(site).values()) & PAUSED, "nor is it paused by a press that was told as failed"
            desktop.key("F9")
            desktop.wait("PAUSED")
            assert set(gates(site).values()) <= PAUSED
        desktop.wait("NO CALL")
    site.wait_state(call_id, "ended")
    marks = [(m.verb, m.actor, m.cause) for m in site.catalog().marks(call_id) if m.purpose == "training"]
    presses = [mark for mark in marks if mark[0] in ("pause", "resume")]
    assert presses == [(verb, "agent:201", "agent") for verb in ("pause", "resume", "pause")]
