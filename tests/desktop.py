"""A virtual desktop of its own, `greffier-desk` as it is started there, a finger on its keys and eyes on its screen."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from greffier_desk.state import LOOKS, Light
from greffier_desk.step import DOUBLE_S
from PIL import Image, ImageGrab
from running_site import wait_for

CLIENT = Path(__file__).parents[1] / "client"


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


@contextmanager
def virtual_desktop(home: Path) -> Iterator[Desktop]:
    """An Xvfb on a display of its own choice, stopped by its process id. It does not begin anew when its last client
    goes: whoever was just connecting would be cut off."""
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1024x600x24", "-nolisten", "tcp", "-noreset"]
    process = subprocess.Popen(command, pass_fds=[writing], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(writing)
    try:
        with os.fdopen(reading) as said:
            number = said.readline().strip()
        assert number, "Xvfb did not start"
        yield Desktop(f":{number}", home)
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
