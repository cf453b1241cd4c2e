"""A foot pedal, or any other key of a HID device, on Linux: by evdev, so that it works whatever is on the screen.

The device is grabbed: what the pedal is made to type goes nowhere else. On Windows and macOS a pedal is a keyboard
that types a key; that key is set as a hotkey.
"""

import os
import selectors
import threading
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from greffier_desk.clock import now
from greffier_desk.config import Pedal
from greffier_desk.state import Wish

BOUNCE_S = 0.25
"""A pedal that comes up for less than this was not let go."""
LOOK_AGAIN_S = 2.0
_EV_KEY, _UP, _DOWN = 1, 0, 1


class PedalError(Exception):
    """Why the pedal cannot be used."""


class KeyEvent(Protocol):
    """What evdev gives (struct input_event of linux/input.h)."""

    type: int
    code: int
    value: int


class Foot:
    """What the foot wishes, from what the contact does. Pure: codes and seconds in, wishes out.

    `toggle`: each push is a press. `hold`: pushed down is paused, up is resumed; a contact that bounces is neither.
    """

    def __init__(self, code: int, mode: str) -> None:
        self._code = code
        self._holds = mode == "hold"
        self._up_at: float | None = None
        self._is_down = False

    def feed(self, events: Iterable[KeyEvent], at: float) -> list[Wish]:
        """Events of the device; repeats of a key that is held are none."""
        wishes: list[Wish] = []
        for event in events:
            if event.type != _EV_KEY or event.code != self._code:
                continue
            if event.value == _DOWN and not self._holds:
                wishes.append(Wish.TOGGLE)
            elif event.value == _DOWN:
                if not self._is_down:
                    wishes.append(Wish.PAUSE)
                self._is_down, self._up_at = True, None
            elif event.value == _UP and self._is_down:
                self._up_at = at
        return wishes

    def due(self, at: float) -> list[Wish]:
        """What follows from the time that went by."""
        if self._up_at is None or at - self._up_at < BOUNCE_S:
            return []
        self._is_down, self._up_at = False, None
        return [Wish.RESUME]

    @property
    def wait_s(self) -> float | None:
        """After how long `due` should be asked; None: only after the next event."""
        return None if self._up_at is None else BOUNCE_S


def key_code(name: str) -> int:
    """KEY_F13, BTN_LEFT, or a number. Raises PedalError."""
    from evdev import ecodes  # noqa: PLC0415 - there is none but on Linux

    code = ecodes.ecodes.get(name.upper()) if name.upper().startswith(("KEY_", "BTN_")) else None
    if code is None and name.isdecimal():
        code = int(name)
    if code is None:
        raise PedalError(f"`pedal.key` {name!r} is not known: expected KEY_… or BTN_… (see `evtest`)")
    return int(code)


def find_device(wanted: str) -> Any:
    """The device with this path, or the first with this in its name. Raises PedalError."""
    try:
        import evdev  # noqa: PLC0415
    except ImportError:
        raise PedalError("a pedal is read directly on Linux only: elsewhere set the key it types as a hotkey") from None
    try:
        if wanted.startswith("/"):
            return evdev.InputDevice(wanted)
        for path in evdev.list_devices():
            device = evdev.InputDevice(path)
            if wanted.lower() in device.name.lower():
                return device
            device.close()
    except OSError as error:
        raise PedalError(
            f"{wanted}: {error.strerror}; may this user read it? (udev rule: docs/desk-client.md)"
        ) from None
    raise PedalError(f"no device with {wanted!r} in its name that this user may read (udev rule: docs/desk-client.md)")


def follow(device: Any, foot: Foot, wish: Callable[[Wish], None]) -> None:
    """Grab a device and read it until it is gone."""
    try:
        device.grab()
        with selectors.DefaultSelector() as selector:
            selector.register(device.fileno(), selectors.EVENT_READ)
            while True:
                ready = selector.select(foot.wait_s)
                events = list(device.read()) if ready else []
                if ready and not events:
                    return  # at its end
                for wished in [*foot.feed(events, now()), *foot.due(now())]:
                    wish(wished)
    except (OSError, ValueError):
        return
    finally:
        device.close()


def start(settings: Pedal, wish: Callable[[Wish], None], gone: Callable[[], None]) -> None:
    """Read the pedal from a thread; one that is pulled out is told and looked for again. Raises PedalError."""
    device = find_device(settings.device)
    code = key_code(settings.key)

    def read() -> None:
        found: Any = device
        while True:
            if found is not None:
                follow(found, Foot(code, settings.mode), wish)
                gone()
            threading.Event().wait(LOOK_AGAIN_S)
            try:
                found = find_device(settings.device)
            except PedalError:
                found = None

    threading.Thread(target=read, name="pedal", daemon=True).start()


def readable_devices() -> list[str]:
    """Path and name of each device that may be read, for `--check`."""
    if os.name != "posix":
        return []
    try:
        import evdev  # noqa: PLC0415
    except ImportError:
        return []
    return [f"{path}: {evdev.InputDevice(path).name}" for path in evdev.list_devices()]
