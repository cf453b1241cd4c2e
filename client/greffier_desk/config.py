"""`greffier-desk.toml`: one of the machine (by IT), one of the person; what the person's says counts.

Also where they lie on each system, and where the token comes from: a file that only its owner reads, or the
environment; never the command line, which every other program can see.
"""

import os
import re
import stat
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from greffier_desk.api import Desk, parse_address, unverified_context, verified_context

TOKEN_VARIABLE = "GREFFIER_DESK_TOKEN"  # noqa: S105 - its name
AGENT_VARIABLE = "GREFFIER_DESK_AGENT"
NAME = "greffier-desk.toml"
_PIN = re.compile(r"[0-9a-f]{64}")
_PEDAL_MODES = ("toggle", "hold")


class ConfigError(Exception):
    """What is wrong, where, and what is expected there."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Hotkeys as pynput writes them: `<pause>`, `<ctrl>+<alt>+p`; empty: none."""

    toggle: str = "<f9>" if sys.platform == "darwin" else "<pause>"
    pause: str = ""
    resume: str = ""
    keep: str = ""
    acknowledge: str = ""


@dataclass(frozen=True, slots=True)
class Pedal:
    """A foot pedal (Linux). `device`: its path, or its name or a part of it; `key`: KEY_… or BTN_…"""

    device: str = ""
    key: str = ""
    mode: str = "toggle"


@dataclass(frozen=True, slots=True)
class Light:
    """The light. `python`: another Python to draw it with, where this one has no tkinter."""

    show: bool = True
    width: int = 230
    python: str = ""


@dataclass(frozen=True, slots=True)
class Tray:
    """The tray icon."""

    show: bool = True


@dataclass(frozen=True, slots=True)
class Sounds:
    """Sounds on change. The alarm of a failed press is heard even when `on` is false."""

    on: bool = True
    volume: int = 60


@dataclass(frozen=True, slots=True)
class Settings:
    """All of it."""

    desk: str
    agent: str
    token_file: str = ""
    pin: tuple[str, ...] = ()
    ca_file: str = ""
    lang: str = "auto"
    keys: Keys = Keys()
    pedal: Pedal = Pedal()
    light: Light = Light()
    tray: Tray = Tray()
    sound: Sounds = Sounds()


_SECTIONS: dict[str, type[Any]] = {"keys": Keys, "pedal": Pedal, "light": Light, "tray": Tray, "sound": Sounds}


def places(environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> list[Path]:
    """Where the configuration is looked for: the machine's, then the person's."""
    home = Path(environment.get("HOME") or environment.get("USERPROFILE") or "~").expanduser()
    if platform == "win32":
        machine = Path(environment.get("PROGRAMDATA", r"C:\ProgramData"))
        person = Path(environment.get("APPDATA", home / "AppData" / "Roaming"))
        return [machine / "Greffier" / NAME, person / "Greffier" / NAME]
    if platform == "darwin":
        support = Path("Library") / "Application Support" / "Greffier"
        return [Path("/") / support / NAME, home / support / NAME]
    return [Path("/etc") / NAME, Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / NAME]


def state_file(environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path:
    """Where the place of the light is remembered."""
    home = Path(environment.get("HOME") or environment.get("USERPROFILE") or "~").expanduser()
    if platform == "win32":
        return Path(environment.get("LOCALAPPDATA", home / "AppData" / "Local")) / "Greffier" / "light.json"
    if platform == "darwin":
        return home / "Library" / "Application Support" / "Greffier" / "light.json"
    return Path(environment.get("XDG_STATE_HOME") or home / ".local" / "state") / "greffier-desk" / "light.json"


def load(paths: list[Path], environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings of these files, later ones over earlier ones. Raises ConfigError."""
    merged: dict[str, Any] = {}
    found = [path for path in paths if path.exists()]
    for path in found:
        try:
            said = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path}: {error}") from None
        try:
            _check(said, Settings, "")
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from None
        for name, value in said.items():
            merged[name] = {**merged.get(name, {}), **value} if name in _SECTIONS else value
    if environment.get(AGENT_VARIABLE):
        merged["agent"] = environment[AGENT_VARIABLE]
    for name in ("desk", "agent"):
        if not merged.get(name):
            where = ", ".join(map(str, found or paths))
            raise ConfigError(f'`{name} = "…"` is missing; looked in {where}')
    made = {name: kind(**merged.pop(name, {})) for name, kind in _SECTIONS.items()}
    return Settings(**{**merged, "pin": _pins(merged.get("pin", ()))}, **made)


def _check(said: Mapping[str, Any], kind: type[Any], within: str) -> None:
    """Raises ConfigError for a name that is not known, or a value of another type than its default's."""
    types = {f.name: f.type for f in fields(kind)}
    for name, value in said.items():
        full = f"{within}{name}"
        if name not in types:
            raise ConfigError(f"`{full}` is not known here; known: {', '.join(types)}")
        if kind is Settings and name in _SECTIONS:
            if not isinstance(value, dict):
                raise ConfigError(f"`{full}` is a section: [{name}]")
            _check(value, _SECTIONS[name], f"{name}.")
        elif name == "pin":
            _pins(value)
        elif type(value) is not types[name]:
            raise ConfigError(f"`{full}`: expected {_named(types[name])}")
    _check_words(said, kind)


def _check_words(said: Mapping[str, Any], kind: type[Any]) -> None:
    if kind is Pedal and said.get("mode", "toggle") not in _PEDAL_MODES:
        raise ConfigError(f"`pedal.mode`: expected one of {', '.join(_PEDAL_MODES)}")
    if kind is Settings and said.get("lang", "auto") not in ("auto", "fr", "en"):
        raise ConfigError("`lang`: expected fr, en or auto")
    if kind is Sounds and not 0 <= said.get("volume", 60) <= 100:
        raise ConfigError("`sound.volume`: expected 0 to 100")
    if kind is Light and not 120 <= said.get("width", 230) <= 1000:
        raise ConfigError("`light.width`: expected 120 to 1000 pixels")
    if kind is Settings and "desk" in said:
        try:
            parse_address(said["desk"])
        except ValueError as error:
            raise ConfigError(f"`desk`: {error}") from None


def _named(kind: object) -> str:
    return {str: "a text in quotes", bool: "true or false", int: "a whole number"}.get(kind, "another value")  # type: ignore[call-overload,no-any-return]


def _pins(value: Any) -> tuple[str, ...]:
    """Fingerprints, with or without colons; several while a certificate is being replaced."""
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list | tuple) or not all(isinstance(pin, str) for pin in listed):
        raise ConfigError("`pin`: expected a SHA-256 fingerprint in hex, or a list of them")
    pins = tuple(pin.replace(":", "").lower() for pin in listed)
    if not all(_PIN.fullmatch(pin) for pin in pins):
        raise ConfigError("`pin`: expected 64 hexadecimal digits (SHA-256), with or without colons")
    return pins


def read_token(settings: Settings, environment: Mapping[str, str] = os.environ) -> str:
    """The bearer token. Raises ConfigError, which never holds it."""
    token = environment.get(TOKEN_VARIABLE, "")
    if not token:
        if not settings.token_file:
            raise ConfigError(f"no token: set `token_file` to a file that holds it, or {TOKEN_VARIABLE}")
        path = Path(settings.token_file).expanduser()
        try:
            mode = path.stat().st_mode
            token = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise ConfigError(f"the token file {path} cannot be read: {type(error).__name__}") from None
        if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
            raise ConfigError(f"the token file {path} can be read by others: chmod 600 it")
    token = token.strip()
    if not re.fullmatch(r"[!-~]{8,512}", token):
        raise ConfigError("the token is not one: expected 8 to 512 characters without spaces")
    return token


def connect(settings: Settings, environment: Mapping[str, str] = os.environ) -> Desk:
    """The desk as configured; nothing is sent yet. Raises ConfigError."""
    host, port, is_tls = parse_address(settings.desk)
    context = None
    if is_tls:
        try:
            context = unverified_context() if settings.pin else verified_context(settings.ca_file or None)
        except OSError as error:
            raise ConfigError(f"`ca_file` {settings.ca_file}: {error}") from None
    return Desk(host, port, settings.agent, read_token(settings, environment), context, settings.pin)
