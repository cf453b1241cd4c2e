"""Global hotkeys: a press counts whichever window is in front, and each press counts once however long it is held.

pynput sees the keys; what makes a press is here (`Chord`): its own matcher forgets a press when a release was missed
(screen lock), and takes the repeats of a held key for presses on X11. Keys that a macro pad or a remote desktop
injects count like any other.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from greffier_desk.clock import now
from greffier_desk.config import Keys
from greffier_desk.state import Wish

REPEAT_S = 1.2
"""A key that comes again within this without having been let go repeats by itself (the longest delay of any system)."""
GAP_S = 0.04
"""X11 says that a repeating key was let go, and pressed again within this."""


class Chord:
    """Keys that are pressed together. Pure: tokens and seconds in, whether it is a press out."""

    def __init__(self, keys: Iterable[object]) -> None:
        self._keys = frozenset(keys)
        self._down: set[object] = set()
        self._pressed: dict[object, float] = {}
        self._released: dict[object, float] = {}

    def press(self, key: object, at: float) -> bool:
        """A key went down, or repeats."""
        if key not in self._keys:
            return False
        again = at - self._pressed.get(key, float("-inf")) < REPEAT_S
        held = key in self._down or at - self._released.get(key, float("-inf")) < GAP_S
        self._down.add(key)
        self._pressed[key] = at
        return self._down == self._keys and not (again and held)

    def release(self, key: object, at: float) -> None:
        """A key came up."""
        self._down.discard(key)
        self._released[key] = at


def wishes(keys: Keys) -> dict[Wish | None, str]:
    """What is pressed with which keys; None: the acknowledgement of a failure."""
    named: dict[Wish | None, str] = {
        Wish.TOGGLE: keys.toggle,
        Wish.PAUSE: keys.pause,
        Wish.RESUME: keys.resume,
        Wish.KEEP: keys.keep,
        None: keys.acknowledge,
    }
    return {wish: text for wish, text in named.items() if text}


class HotkeyError(Exception):
    """Why there are no hotkeys."""


def listen(chords: Mapping[str, Callable[[], None]]) -> Any:
    """Call what belongs to each chord (`<ctrl>+<alt>+p`) at each press, from a thread that is returned.

    Raises HotkeyError: a key that is not known, or a desktop that lets nobody listen.
    """
    try:
        from pynput import keyboard  # noqa: PLC0415 - it connects to the display when it is imported
    except ImportError as error:
        raise HotkeyError(f"no global hotkeys on this desktop: {str(error).splitlines()[0]}") from None
    watched: list[tuple[Chord, Callable[[], None]]] = []
    for text, do in chords.items():
        try:
            watched.append((Chord(keyboard.HotKey.parse(text)), do))
        except ValueError:
            raise HotkeyError(
                f"{text!r} is no key that this system knows: write <pause>, <f9>, <ctrl>+<alt>+p"
            ) from None

    def pressed(key: Any, *_: bool) -> None:
        for chord, do in watched:
            if chord.press(listener.canonical(key), now()):
                do()

    def released(key: Any, *_: bool) -> None:
        for chord, _do in watched:
            chord.release(listener.canonical(key), now())

    listener = keyboard.Listener(on_press=pressed, on_release=released)
    listener.start()
    listener.wait()
    return listener


def key_name(text: str) -> str:
    """A chord as it is printed on keys: `Ctrl+Alt+P`."""
    return "+".join(part.strip("<>").capitalize() for part in text.split("+") if part)
