"""Where a passphrase comes from: systemd's credentials, a file descriptor, or a prompt; never arguments or environment.

A process asks at most once: what was read first is kept in its memory until it ends. A descriptor has the passphrase in
its first line and, where it is to be changed, the new one in its second.
"""

import os
import sys
from getpass import getpass
from pathlib import Path

CREDENTIAL = "greffier-passphrase"
"""Name of the credential (systemd.exec(5), LoadCredential=)."""
MOST_BYTES = 4096


class NoPassphrase(OSError):
    """None was given, and there is nobody to ask."""


class _Source:
    lines: tuple[str, ...] = ()
    may_ask = False
    known: str | None = None


def take_from(descriptor: int | None, *, may_ask: bool = False) -> None:
    """This process has its passphrase from a file descriptor, read and closed here, or may ask at the terminal.

    Raises OSError, ValueError.
    """
    _Source.lines, _Source.may_ask, _Source.known = (), may_ask, None
    if descriptor is not None:
        with os.fdopen(descriptor, encoding="utf-8") as file:
            _Source.lines = tuple(file.read(MOST_BYTES).splitlines()[:2])


def passphrase() -> str:
    """The passphrase of this box's keys. Raises NoPassphrase."""
    if _Source.known is None:
        _Source.known = _read()
    return _Source.known


def new_passphrase() -> str:
    """A passphrase to protect keys with from now on: from the descriptor, else asked twice. Raises NoPassphrase."""
    if _Source.lines:
        return _sound(_Source.lines[-1])
    if not _can_ask():
        raise NoPassphrase("a new passphrase is asked for at a terminal, or read with --passphrase-fd")
    chosen = getpass("New passphrase: ")
    if getpass("The same again: ") != chosen:
        raise NoPassphrase("the two are not the same; nothing was done")
    return _sound(chosen)


def _read() -> str:
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if folder and (path := Path(folder) / CREDENTIAL).is_file():
        return _sound(path.read_text(encoding="utf-8").split("\n", 1)[0])
    if _Source.lines:
        return _sound(_Source.lines[0])
    if not _can_ask():
        raise NoPassphrase(
            f"the keys are locked by a passphrase: credential {CREDENTIAL}, --passphrase-fd or a terminal must give it"
        )
    return _sound(getpass("Passphrase of this box's keys: "))


def _can_ask() -> bool:
    return _Source.may_ask and sys.stdin is not None and sys.stdin.isatty()


def _sound(text: str) -> str:
    if not text:
        raise NoPassphrase("the passphrase is empty")
    return text
