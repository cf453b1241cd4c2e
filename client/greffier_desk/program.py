"""The command `greffier-desk`: puts keys, pedal, light, tray and sound around the state, and runs until told to end."""

import argparse
import queue
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from greffier_desk.clock import now
from greffier_desk.config import ConfigError, Settings, connect, load, places
from greffier_desk.link import Link
from greffier_desk.state import Sound, State, Wish
from greffier_desk.step import Ask, Input, Play, Pressed, Send, Tick, step
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
    parser.add_argument(
        "--headless", action="store_true", help="no window, tray or key: changes as lines; presses from standard input"
    )
    asked = parser.parse_args(arguments)
    try:
        settings = load([asked.config] if asked.config else places())
        program = Program(settings, words_of(settings.lang), "")
    except ConfigError as error:
        print(f"greffier-desk: {error}", file=sys.stderr)
        return 1
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: _stop(program, number, frame))
    program.shows.append(print_lines())
    threading.Thread(target=read_presses, args=(program.press,), daemon=True).start()
    program.run()
    return 0


def _stop(program: Program, number: int, frame: FrameType | None) -> None:
    program.stop()
