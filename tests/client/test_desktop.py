"""The real program on a real (virtual) desktop: a key pressed by xdotool, the window read from the screen."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from desk_double import DeskDouble
from desktop import Desktop, client, is_drawn, virtual_desktop
from greffier_desk.state import Light
from running_site import wait_for

pytestmark = pytest.mark.slow


@pytest.fixture
def desktop(tmp_path: Path) -> Iterator[Desktop]:
    """One of this test's own."""
    with virtual_desktop(tmp_path) as found:
        yield found


def test_the_key_pauses_and_the_light_shows_it(
    desk: DeskDouble, desktop: Desktop, configured: Callable[..., Path]
) -> None:
    config = configured(f"http://127.0.0.1:{desk.port}", '[keys]\ntoggle = "<f9>"\nkeep = "<ctrl>+<alt>+k"\n')
    with client(desktop, config):
        window = desktop.wait("RECORDING")
        wait_for("the drawing", lambda: is_drawn(desktop, window, Light.RECORDING))
        desktop.key("F9")
        assert desktop.wait("PAUSED") == window, "one window all along"
        wait_for("the drawing", lambda: is_drawn(desktop, window, Light.PAUSED))
        assert desk.presses == ["pause"]
        desktop.key("F9")
        desktop.wait("RECORDING")
        assert desk.presses == ["pause", "resume"]
        desktop.key("ctrl+alt+k")
        wait_for("the keep", lambda: desk.presses == ["pause", "resume", "keep"])
        for light, title in (("warning", "STILL PAUSED"), ("not-recording", "NOT RECORDED"), ("no-call", "NO CALL")):
            desk.set(light)
            desktop.wait(title)
            wait_for("the drawing", lambda light=light: is_drawn(desktop, window, Light(light)))


def test_a_key_that_is_held_is_one_press(desk: DeskDouble, desktop: Desktop, configured: Callable[..., Path]) -> None:
    config = configured(f"http://127.0.0.1:{desk.port}", '[keys]\ntoggle = "<f9>"\n')
    with client(desktop, config):
        desktop.wait("RECORDING")
        desktop.xdotool("keydown", "F9")
        desktop.wait("PAUSED")
        time.sleep(3)  # X repeats a held key after 0.66 s, 25 times a second
        desktop.xdotool("keyup", "F9")
        desktop.wait("PAUSED")
        assert desk.presses == ["pause"]


def test_a_click_is_a_press_and_a_failure_stays_until_it_is_seen(
    desk: DeskDouble, desktop: Desktop, configured: Callable[..., Path]
) -> None:
    with client(desktop, configured(f"http://127.0.0.1:{desk.port}")):
        window = desktop.wait("RECORDING")
        desk.failing = 503
        desktop.click(window)
        desktop.wait("NOT PAUSED")
        wait_for("the drawing", lambda: is_drawn(desktop, window, Light.FAILED))
        desk.failing = 0
        desk.set("recording")
        time.sleep(3)
        assert desktop.window("NOT PAUSED"), "it stays"

        def seen() -> bool:
            desktop.click(window, right=25, up=18)
            time.sleep(0.5)
            return desktop.window("RECORDING") is not None

        wait_for("the failure to be seen", seen)
        assert desk.presses == [], "the button presses nothing"


def test_offline_is_shown_and_a_press_then_fails_loudly(
    desk: DeskDouble, desktop: Desktop, configured: Callable[..., Path], free_ports: Callable[[int], list[int]]
) -> None:
    (nobody,) = free_ports(1)
    config = configured(f"http://127.0.0.1:{nobody}", '[keys]\ntoggle = "<f9>"\n')
    config.write_text(config.read_text().replace('"en"', '"fr"'))
    with client(desktop, config):
        window = desktop.wait("HORS LIGNE")
        desktop.key("F9")
        desktop.wait("PAS EN PAUSE")
        wait_for("the drawing", lambda: is_drawn(desktop, window, Light.FAILED))


def test_the_light_is_moved_and_remembers_its_place(
    desk: DeskDouble, desktop: Desktop, configured: Callable[..., Path]
) -> None:
    config = configured(f"http://127.0.0.1:{desk.port}")
    with client(desktop, config):
        window = desktop.wait("RECORDING")
        x, y, _, _ = desktop.place(window)
        desktop.xdotool("mousemove", x + 20, y + 20, "mousedown", 1)
        for n in range(1, 11):
            desktop.xdotool("mousemove", x + 20 - 30 * n, y + 20 + 20 * n)
        desktop.xdotool("mouseup", 1)
        wait_for("the move", lambda: desktop.place(window)[:2] == (x - 300, y + 200))
        assert desk.presses == [], "a drag is no press"
        wait_for("the memory", (desktop.home / "state/greffier-desk/light.json").exists)
    with client(desktop, config):
        window = desktop.wait("RECORDING")
        wait_for("the place", lambda: desktop.place(window)[:2] == (x - 300, y + 200))


def test_a_program_that_is_stopped_leaves_no_light_that_says_paused(
    desk: DeskDouble, desktop: Desktop, configured: Callable[..., Path]
) -> None:
    desk.set("paused", {"evidence": ["agent"]})
    with client(desktop, configured(f"http://127.0.0.1:{desk.port}")) as process:
        desktop.wait("PAUSED")
        process.send_signal(19)
        try:
            desktop.wait("OFFLINE")
        finally:
            process.send_signal(18)
        desktop.wait("PAUSED")
        process.kill()
        wait_for("the light to go", lambda: not desktop.xdotool("search", "--name", "^Greffier"))
        process.terminate = lambda: None
        process.wait = lambda _=None: 0
