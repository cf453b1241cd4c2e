"""Keeps the light burning: starts the process that draws it, tells it each view, and starts another when it is gone."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from greffier_desk.clock import now
from greffier_desk.config import Light, state_file
from greffier_desk.keeper import Keeper
from greffier_desk.state import LOOKS
from greffier_desk.state import Light as Shown
from greffier_desk.words import View, Words

TELL_S = 1.0
"""The light is told this often that what it shows still holds."""
AGAIN_S = 3.0
_HAS_TKINTER = "import sys, tkinter; sys.exit(sys.version_info < (3, 11))"


def find_python(named: str) -> str | None:
    """A Python that can draw: the one that is named, this one, or the system's. None: there is none."""
    if not named and importlib.util.find_spec("_tkinter"):
        return sys.executable
    for candidate in [named] if named else ["/usr/bin/python3", "python3", "python"]:
        program = shutil.which(candidate)
        if program and subprocess.run([program, "-c", _HAS_TKINTER], capture_output=True, check=False).returncode == 0:
            return program
    return None


def line_of(view: View, words: Words, width: int, place: list[int] | None) -> str:
    """What the light is told of a view (`light`)."""
    look, lost = LOOKS[view.light], LOOKS[Shown.OFFLINE]
    silent = {
        "title": words.lights[Shown.OFFLINE],
        "detail": "",
        "ground": lost.ground,
        "ink": lost.ink,
        "shape": lost.shape.value,
    }
    return json.dumps(
        {
            "title": view.title,
            "detail": view.detail,
            "button": view.button,
            "ground": look.ground,
            "ink": look.ink,
            "shape": look.shape.value,
            "width": width,
            "place": place,
            "silent": silent,
        }
    )


class Lamp:
    """The light as the program sees it. `press` and `seen` are called from a thread."""

    def __init__(self, settings: Light, python: str, words: Words, press: Callable[[], None], seen: Callable[[], None]):
        self._settings, self._python, self._words = settings, python, words
        self._press, self._seen = press, seen
        self._process: subprocess.Popen[str] | None = None
        self._started = float("-inf")
        self._line, self._told = "", float("-inf")
        self._place = read_place()
        self._keeper = Keeper(self._tell, "lamp")
        self.show = self._keeper.show

    def _tell(self, view: View) -> None:
        if self._process is None or self._process.poll() is not None:
            if now() - self._started < AGAIN_S:
                return
            self._start()
        line = line_of(view, self._words, self._settings.width, self._place)
        if self._process is None or self._process.stdin is None or (line == self._line and now() - self._told < TELL_S):
            return
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except OSError:
            return
        self._line, self._told = line, now()

    def stop(self) -> None:
        """Put it out."""
        self._keeper.stop()
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _start(self) -> None:
        self._started, self._line = now(), ""
        source = str(Path(__file__).parents[1])
        environment = {**os.environ, "PYTHONPATH": source, "PYTHONIOENCODING": "utf-8"}
        options: dict[str, Any] = {"creationflags": getattr(subprocess, "CREATE_NO_WINDOW", 0)}
        self._process = subprocess.Popen(
            [self._python, "-m", "greffier_desk.light"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env=environment,
            **options,
        )
        threading.Thread(target=self._read, args=(self._process,), name="light", daemon=True).start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        for line in process.stdout or ():
            word, *rest = line.split()
            if word == "press":
                self._press()
            elif word == "seen":
                self._seen()
            elif word == "place" and len(rest) == 2:
                self._place = [int(part) for part in rest]
                write_place(self._place)


def read_place() -> list[int] | None:
    """Where the light was put last; None: nowhere yet."""
    try:
        place = json.loads(state_file().read_text())
    except (OSError, ValueError):
        return None
    return place if isinstance(place, list) and [type(part) for part in place] == [int, int] else None


def write_place(place: list[int]) -> None:
    """Remember it; a folder that cannot be written to is survived."""
    try:
        state_file().parent.mkdir(parents=True, exist_ok=True)
        state_file().write_text(json.dumps(place))
    except OSError:
        return
