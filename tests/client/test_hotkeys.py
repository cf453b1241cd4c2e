"""What counts as a press of a key, and of a pedal: recorded events in, wishes out."""

import os
import struct
import threading

import evdev
import pytest
from evdev import ecodes
from evdev.eventio import EventIO
from greffier_desk.config import Keys
from greffier_desk.hotkeys import REPEAT_S, Chord, key_name, wishes
from greffier_desk.pedal import BOUNCE_S, Foot, PedalError, find_device, follow, key_code
from greffier_desk.state import Wish
from running_site import wait_for

PEDAL = ecodes.KEY_F13


def test_a_chord_is_pressed_when_its_last_key_goes_down() -> None:
    chord = Chord(["ctrl", "p"])
    assert not chord.press("ctrl", 0.0) and not chord.press("x", 0.1)
    assert chord.press("p", 0.2)
    chord.release("p", 0.3)
    assert chord.press("p", 0.5), "again with the other still held"
    chord.release("ctrl", 0.6)
    chord.release("p", 0.6)
    assert not chord.press("p", 3.0)


def test_a_key_that_repeats_is_pressed_once_as_each_system_tells_it() -> None:
    windows, x11 = Chord(["f9"]), Chord(["f9"])
    times = [0.0, *(0.66 + n * 0.04 for n in range(100))]
    assert [windows.press("f9", at) for at in times] == [True, *[False] * 100]
    pressed = []
    for at in times:
        pressed.append(x11.press("f9", at))
        x11.release("f9", at + 0.039 if at else 0.659)
    assert pressed == [True, *[False] * 100]
    assert windows.press("f9", times[-1] + REPEAT_S), "its release was missed, and it is pressed anew"
    assert x11.press("f9", times[-1] + 0.3), "let go, and pressed anew"


def test_which_keys_do_what() -> None:
    keys = Keys(toggle="<f9>", keep="<ctrl>+<alt>+k", acknowledge="<esc>")
    assert wishes(keys) == {Wish.TOGGLE: "<f9>", Wish.KEEP: "<ctrl>+<alt>+k", None: "<esc>"}
    assert key_name("<ctrl>+<alt>+k") == "Ctrl+Alt+K"


def event(seconds: float, code: int, value: int, kind: int = ecodes.EV_KEY) -> bytes:
    """struct input_event of linux/input.h on a 64-bit machine."""
    return struct.pack("@llHHi", int(seconds), int(seconds % 1 * 1e6), kind, code, value)


PUSH = [
    event(10, ecodes.MSC_SCAN, 458856, ecodes.EV_MSC),
    event(10, PEDAL, 1),
    event(10, 0, 0, ecodes.EV_SYN),
    *[event(10.5 + n / 30, PEDAL, 2) for n in range(9)],  # the kernel repeats a key that is held
    event(11, PEDAL, 0),
    event(11, 0, 0, ecodes.EV_SYN),
]
"""One push of a pedal as the kernel writes it."""


class Recorded(EventIO):
    """A device that gives recorded bytes, parsed by evdev as those of a real one."""

    def __init__(self, fd: int, grabbed: threading.Event) -> None:
        self.fd = fd
        self._grabbed = grabbed

    def grab(self) -> None:
        self._grabbed.set()

    def close(self) -> None:
        os.close(self.fd)


def parsed(recorded: list[bytes]) -> list[evdev.InputEvent]:
    reading, writing = os.pipe()
    os.write(writing, b"".join(recorded))
    os.close(writing)
    try:
        return list(Recorded(reading, threading.Event()).read())
    finally:
        os.close(reading)


def test_a_push_toggles_once() -> None:
    foot = Foot(PEDAL, "toggle")
    assert foot.feed(parsed(PUSH), 0.0) == [Wish.TOGGLE]
    assert foot.feed(parsed([event(12, ecodes.KEY_A, 1)]), 0.0) == [] and foot.due(9.0) == []


def test_held_down_is_paused_and_a_bounce_is_neither() -> None:
    foot = Foot(PEDAL, "hold")
    down, up = parsed([event(1, PEDAL, 1)]), parsed([event(1, PEDAL, 0)])
    assert foot.feed(down, 0.0) == [Wish.PAUSE] and foot.wait_s is None
    assert foot.feed(up, 1.0) == [] and foot.wait_s == BOUNCE_S and foot.due(1.0) == []
    assert foot.feed(down, 1.1) == [] and foot.due(9.0) == [], "it was never let go"
    assert foot.feed(up, 10.0) == [] and foot.due(10.0 + BOUNCE_S) == [Wish.RESUME]
    assert foot.due(20.0) == [] and foot.wait_s is None
    assert foot.feed(up, 21.0) == [] and foot.due(30.0) == [], "what is up cannot come up"


@pytest.mark.parametrize(("mode", "wanted"), [("toggle", [Wish.TOGGLE]), ("hold", [Wish.PAUSE, Wish.RESUME])])
def test_a_device_is_grabbed_read_and_given_up_when_it_is_gone(mode: str, wanted: list[Wish]) -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    grabbed, wished = threading.Event(), []
    thread = threading.Thread(target=follow, args=(Recorded(reading, grabbed), Foot(PEDAL, mode), wished.append))
    thread.start()
    os.write(writing, b"".join(PUSH))
    wait_for("the wishes", lambda: wished == wanted)
    os.close(writing)
    thread.join(30)
    assert grabbed.is_set() and not thread.is_alive() and wished == wanted


def test_what_is_wrong_with_a_pedal_is_said() -> None:
    assert (key_code("KEY_F13"), key_code("btn_left"), key_code("30")) == (PEDAL, ecodes.BTN_LEFT, 30)
    for name in ("F13", "KEY_NONSENSE", ""):
        with pytest.raises(PedalError, match="not known"):
            key_code(name)
    with pytest.raises(PedalError, match="udev"):
        find_device("/dev/input/there-is-none")
    with pytest.raises(PedalError, match="no device with"):
        find_device("no pedal has such a name")
