"""The real program on a real (virtual) desktop: a key pressed by xdotool, the window read from the screen."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from desk_double import DeskDouble
from greffier_desk.state import LOOKS, Light
from greffier_desk.step import DOUBLE_S
from PIL import Image, ImageGrab
from running_site import wait_for

CLIENT = Path(__file__).parents[2] / "client"
pytestmark = pytest.mark.slow


class Desktop:
    """One X display, the keyboard, the mouse and eyes."""

    def __init__(self, name: str, home: Path) -> None:
        self.name, self.home = name, home
        self.environment = {**os.environ, "DISPLAY": name, "HOME": str(home), "PYTHONPATH": str(CLIENT)}
        self.environment |= {"PYTHONIOENCODING": "utf-8", "XDG_STATE_HOME": str(home / "state")}

    def xdotool(self, *arguments: object) -> str:
        done = subprocess.run(
            ["xdotool", *map(str, arguments)], env=self.environment, capture_output=True, text=True, check=False
        )
        return done.stdout.strip()

    def key(self, name: str) -> None:
        """Press it, well after the press before."""
        time.sleep(2 * DOUBLE_S)
        self.xdotool("key", name)

    def window(self, title: str) -> str | None:
        """The id of the light with this title."""
        found = self.xdotool("search", "--onlyvisible", "--name", f"^Greffier: {re.escape(title)}$").split()
        return found[0] if found else None

    def wait(self, title: str) -> str:
        found = wait_for(f"the light to say {title}", lambda: self.window(title), 60)
        assert found is not None
        return found

    def place(self, window: str) -> tuple[int, int, int, int]:
        """Left, top, width and height."""
        told = dict(line.split("=") for line in self.xdotool("getwindowgeometry", "--shell", window).splitlines())
        return int(told["X"]), int(told["Y"]), int(told["WIDTH"]), int(told["HEIGHT"])

    def look(self, window: str) -> Image.Image:
        """What is on the screen where the window is."""
        x, y, width, height = self.place(window)
        return ImageGrab.grab(xdisplay=self.name).convert("RGB").crop((x, y, x + width, y + height))

    def click(self, window: str, *, right: int | None = None, up: int | None = None) -> None:
        """Click in the middle, or so far from the right and the lower edge."""
        _, _, width, height = self.place(window)
        x = width - right if right is not None else width // 2
        y = height - up if up is not None else height // 2
        self.xdotool("mousemove", "--window", window, x, y, "click", 1)


@pytest.fixture
def desktop(tmp_path: Path) -> Iterator[Desktop]:
    """An Xvfb on a display of its own choice, stopped by its process id."""
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1024x600x24", "-nolisten", "tcp"]
    process = subprocess.Popen(command, pass_fds=[writing], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(writing)
    try:
        with os.fdopen(reading) as said:
            number = said.readline().strip()
        assert number, "Xvfb did not start"
        yield Desktop(f":{number}", tmp_path)
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def client(desktop: Desktop, config: Path) -> Iterator[subprocess.Popen[str]]:
    """The program as it is started on a desktop; it ends when it is told to."""
    errors = desktop.home / "stderr"
    with errors.open("ab") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "greffier_desk", "--config", str(config)], env=desktop.environment, stderr=file
        )
    try:
        yield process
    except BaseException:
        print(errors.read_text())
        raise
    finally:
        process.terminate()
        assert process.wait(30) == 0


def near(pixel: tuple[int, ...], colour: str) -> bool:
    wanted = tuple(int(colour[n : n + 2], 16) for n in (1, 3, 5))
    return all(abs(a - b) <= 3 for a, b in zip(pixel, wanted, strict=True))


def is_drawn(desktop: Desktop, window: str, light: Light) -> bool:
    """Whether ground and ink of the light are on the screen."""
    image = desktop.look(window)
    colours = [colour for _, colour in image.getcolors(1 << 20)]
    return near(image.getpixel((2, 2)), LOOKS[light].ground) and any(near(c, LOOKS[light].ink) for c in colours)


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
