"""S14 by hotkey, on a whole agent: xdotool presses the key on a desktop, `greffier-desk` presses, the gate is closed.

A press that comes to nothing is told to the agent as such.
"""

from pathlib import Path
from typing import Any

import pytest
from desktop import client, is_drawn, virtual_desktop
from greffier_desk.state import Light
from live_call import PAUSED, gates, live_call, stopped
from running_site import RunningSite, wait_for


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
