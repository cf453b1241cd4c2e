"""`greffier-desk --check`: each thing that the client needs, whether it is here, and what to do when it is not."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from greffier_desk import hotkeys, pedal
from greffier_desk.api import DeskError, parse_address, shown_fingerprint
from greffier_desk.config import ConfigError, Settings, connect, load
from greffier_desk.lamp import find_python
from greffier_desk.sound import find_player
from greffier_desk.state import Reason
from greffier_desk.tray import Tray, TrayError
from greffier_desk.words import ENGLISH

PATIENCE_S = 5.0


def check(paths: list[Path], say: Callable[[str], None] = print) -> int:
    """Say it all; exit status 0 when an agent can work with it, else 1."""
    for path in paths:
        say(f"{'  read' if path.exists() else '  none'}  {path}")
    try:
        settings = load(paths)
    except ConfigError as error:
        say(f"WRONG  {error}")
        return 1
    is_good = True
    for good, said in _findings(settings):
        say(f"{'    ok' if good else 'WRONG'}  {said}".replace("WRONG  ", " WRONG  "))
        is_good = is_good and good
    return 0 if is_good else 1


def _findings(settings: Settings) -> Iterator[tuple[bool, str]]:
    yield from _desk(settings)
    yield from _keys(settings)
    if settings.pedal.device:
        yield _pedal(settings)
    if settings.light.show:
        python = find_python(settings.light.python)
        yield python is not None, f"light: drawn by {python}" if python else "light: no Python with tkinter is found"
    if settings.tray.show:
        try:
            Tray(ENGLISH, lambda: None, lambda: None, lambda: None, lambda said: None).stop()
        except TrayError as error:
            yield True, f"tray: done without: {error}"
        else:
            yield True, "tray: there is one"
    player = "winsound" if sys.platform == "win32" else (find_player() or [""])[0]
    yield bool(player), f"sound: {player or 'no player, so no siren: install paplay, pw-play or aplay (alsa-utils)'}"


def _desk(settings: Settings) -> Iterator[tuple[bool, str]]:
    host, port, is_tls = parse_address(settings.desk)
    try:
        desk = connect(settings)
        yield True, "token: there is one, for nobody else to read"
        standing = desk.state(PATIENCE_S)
    except ConfigError as error:
        yield False, f"token: {error}"
        return
    except DeskError as error:
        yield False, f"desk {settings.desk}: {ENGLISH.reasons[error.reason]}"
        if is_tls and error.reason in (Reason.PIN, Reason.CERTIFICATE):
            try:
                shown = shown_fingerprint(host, port, PATIENCE_S)
            except OSError:
                return
            yield (
                False,
                f'it shows this certificate; if it is the recorder\'s: pin = "{shown}"',
            )
        return
    yield True, f"desk {settings.desk}: agent {settings.agent} is {standing.light.value}"


def _keys(settings: Settings) -> Iterator[tuple[bool, str]]:
    wished = hotkeys.wishes(settings.keys)
    try:
        hotkeys.listen({text: lambda: None for text in wished.values()}).stop()
    except hotkeys.HotkeyError as error:
        yield False, f"keys: {error}"
        return
    named = ", ".join(f"{wish.value if wish else 'acknowledge'} {text}" for wish, text in wished.items())
    yield True, f"keys: {named or 'none'}"


def _pedal(settings: Settings) -> tuple[bool, str]:
    try:
        device = pedal.find_device(settings.pedal.device)
        pedal.key_code(settings.pedal.key)
    except pedal.PedalError as error:
        seen = "; ".join(pedal.readable_devices())
        return False, f"pedal: {error}{f' (there are: {seen})' if seen else ''}"
    name = device.name
    device.close()
    return True, f"pedal: {name}, {settings.pedal.key}, {settings.pedal.mode}"
