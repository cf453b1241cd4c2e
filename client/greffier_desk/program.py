"""The command `greffier-desk`: puts keys, pedal, light, tray and sound around the state, and runs until told to end."""

import argparse
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

from greffier_desk import pedal
from greffier_desk.check import check
from greffier_desk.clock import now
from greffier_desk.config import ConfigError, Settings, connect, load, places
from greffier_desk.hotkeys import HotkeyError, key_name, listen, wishes
from greffier_desk.lamp import Lamp, find_python
from greffier_desk.link import Link
from greffier_desk.sound import Speaker, find_player
from greffier_desk.state import Sound, State, Wish
from greffier_desk.step import Acknowledged, Ask, Input, PedalGone, Play, Pressed, Send, Tick, step
from greffier_desk.tray import Tray, TrayError
from greffier_desk.words import View, Words, view_of, words_of

TICK_S = 0.2

HELP = """The recording light and pause key of a call agent. Reads greffier-desk.toml of the machine and of the person
(`--check` says where, and what is wrong). The token is read from a file or from GREFFIER_DESK_TOKEN."""


class Program:
    """One loop over all that happens. `shows` are told each new view, `play` each sound."""

    def __init__(self, settings: Settings, words: Words, key: str) -> None:
        self._inputs: queue.SimpleQueue[Input | None] = queue.SimpleQueue()
        self._link = Link(connect(settings), self.tell)
        self._words = words
        self._key = key
        self.shows: list[Callable[[View], None]] = []
        self.play: Callable[[Sound], None] = lambda sound: None

    def tell(self, happened: Input) -> None:
        """Something happened; may be called from any thread."""
        self._inputs.put(happened)

    def press(self, wish: Wish) -> None:
        """The agent pressed something; may be called from any thread."""
        self.tell(Pressed(wish))

    def stop(self) -> None:
        """End the loop; may be called from any thread, and from a signal handler."""
        self._inputs.put(None)

    def run(self) -> None:
        """Work until `stop`."""
        self._link.start()
        state = State()
        ticked = 0.0
        while True:
            self._show(state)
            try:
                happened = self._inputs.get(timeout=TICK_S)
            except queue.Empty:
                happened = Tick()
            if happened is None:
                return
            state = self._step(state, happened)
            if now() - ticked >= TICK_S:  # also while much happens
                state, ticked = self._step(state, Tick()), now()

    def _step(self, state: State, happened: Input) -> State:
        state, effects = step(state, happened, now())
        for effect in effects:
            match effect:
                case Ask():
                    self._link.ask(effect)
                case Send():
                    self._link.send(effect)
                case Play(sound):
                    self.play(sound)
        return state

    def _show(self, state: State) -> None:
        view = view_of(state, self._words, self._key, now())
        for show in self.shows:
            show(view)


def print_lines() -> Callable[[View], None]:
    """Prints each new view as a line: `paused EN PAUSE: …`; seconds that go by are no news."""
    last: list[tuple[object, ...]] = []

    def show(view: View) -> None:
        news = (view.light, view.title, view.button)
        if last[-1:] != [news]:
            last[:] = [news]
            print(f"{view.light.value} {view.title}" + (f": {view.detail}" if view.detail else ""), flush=True)

    return show


def read_presses(press: Callable[[Wish], None]) -> None:
    """Lines of standard input are presses: `toggle`, `pause`, `resume`, `keep`. For servers and for other programs."""
    for line in sys.stdin:
        try:
            press(Wish(line.strip()))
        except ValueError:
            print(f"not known: {line.strip()[:20]!r}; known: {', '.join(Wish)}", file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 when told to end, 1 when something is missing, 2 when asked wrongly."""
    parser = argparse.ArgumentParser(prog="greffier-desk", description=HELP)
    parser.add_argument("--config", type=Path, help="this file only, instead of the usual places")
    parser.add_argument("--check", action="store_true", help="say what works here and what does not, and end")
    parser.add_argument("--headless", action="store_true", help="no window, tray or keys: changes are printed as lines")
    asked = parser.parse_args(arguments)
    paths = [asked.config] if asked.config else places()
    if asked.check:
        return check(paths)
    try:
        settings = load(paths)
        words = words_of(settings.lang)
        program = Program(settings, words, "" if asked.headless else key_name(settings.keys.toggle))
    except ConfigError as error:
        print(f"greffier-desk: {error}", file=sys.stderr)
        return 1
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: program.stop())
    if settings.pedal.device:
        try:
            pedal.start(settings.pedal, program.press, lambda: program.tell(PedalGone()))
        except pedal.PedalError as error:
            warn(error)
            program.tell(PedalGone())
    if asked.headless:
        program.shows.append(print_lines())
        threading.Thread(target=read_presses, args=(program.press,), daemon=True).start()
        program.run()
        return 0
    return on_desktop(program, settings, words)


def on_desktop(program: Program, settings: Settings, words: Words) -> int:
    """Keys, light, tray and sound; what this desktop does not have is said, and done without."""

    def seen() -> None:
        program.tell(Acknowledged())

    def toggle() -> None:
        program.press(Wish.TOGGLE)

    speaker = Speaker(settings.sound.volume, settings.sound.on, find_player())
    program.play = speaker.play
    if not speaker.works:
        warn("no sound: install paplay, pw-play or aplay")
    python = find_python(settings.light.python) if settings.light.show else None
    lamp = Lamp(settings.light, python, words, toggle, seen) if python else None
    tray = None
    if settings.tray.show:
        try:
            tray = Tray(words, toggle, seen, program.stop, warn)
        except TrayError as error:
            warn(error)
    if settings.light.show and lamp is None:
        warn("no light: no Python with tkinter is found (Debian: apt install python3-tk)")
    if lamp is None and tray is None:
        warn("nothing to show how the call stands: neither light nor tray")
        return 1
    chords = {text: partial(program.press, wish) if wish else seen for wish, text in wishes(settings.keys).items()}
    try:
        listener = listen(chords) if chords else None
    except HotkeyError as error:
        warn(error)
        return 1
    program.shows += [part.show for part in (lamp, tray) if part is not None]

    def end() -> None:
        for part in (listener, lamp, tray, speaker):
            if part is not None:
                part.stop()

    if tray is None:
        try:
            program.run()
        finally:
            end()
        return 0
    threading.Thread(target=_run_to_the_end, args=(program, end), name="program").start()
    try:
        tray.run()  # wants the main thread, and does not always give it back
    except Exception:
        traceback.print_exc()
    warn("the tray icon is gone; all else goes on")
    return 0


def _run_to_the_end(program: Program, end: Callable[[], None]) -> None:
    """The end of the loop is the end of the process, whatever the tray is doing."""
    status = 1
    try:
        program.run()
        status = 0
    except Exception:
        traceback.print_exc()
    finally:
        end()
        os._exit(status)


def warn(said: object) -> None:
    """To whoever looks after this machine."""
    print(f"greffier-desk: {said}", file=sys.stderr, flush=True)
