"""What several commands share: reading the configuration, talking to the recorder, printing times."""

import asyncio
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, NoReturn
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.text import Text

from agent.commands.plain import plain
from agent.config import ConfigError, Settings, load
from agent.config.section import seconds
from agent.control.client import ControlClient, NoAnswer
from agent.model.call import CLOCK_RATE
from agent.store.catalog import Catalog
from agent.store.journal import Journal
from agent.store.rows import CallRow

console = Console()
errors = Console(stderr=True)

DEFAULT_CONFIG = Path("/etc/greffier/greffier.toml")

ConfigOption = Annotated[
    Path, typer.Option("--config", "-c", envvar="GREFFIER_CONFIG", help="Path of greffier.toml.", show_default=True)
]


def fail(message: str, status: int = 1) -> NoReturn:
    """Say what is wrong on standard error and end the command."""
    errors.print(Text.assemble(("greffier: ", "bold red"), plain(message)), highlight=False)
    raise typer.Exit(status)


@contextmanager
def changing_directory() -> Iterator[None]:
    """Refusals of the directory end the command: 2 where what was asked makes no sense, 1 where it cannot be done."""
    try:
        yield
    except ValueError as error:
        fail(str(error), 2)
    except (OSError, sqlite3.Error) as error:
        fail(f"the directory of agents and tokens cannot be used: {error}; be root, or the user the agent runs as")


def settings_of(path: Path) -> Settings:
    """The configuration, or the command ends with every problem listed."""
    try:
        return load(path)
    except ConfigError as error:
        for line in str(error).splitlines():
            errors.print(line, style="red", markup=False, highlight=False)
        raise typer.Exit(2) from None


def asked(settings: Settings, **request: Any) -> dict[str, Any]:
    """One question to the recorder's control socket. Raises NoAnswer; ValueError when it refuses."""
    return asyncio.run(ControlClient(settings.recorder_socket).ask(**request))


def ask_recorder(settings: Settings, **request: Any) -> dict[str, Any]:
    """One question to the recorder's control socket; the command ends if it does not answer or refuses."""
    try:
        return asked(settings, **request)
    except NoAnswer as error:
        fail(f"{error}; is it running? `greffier run` starts it")
    except ValueError as error:
        fail(f"not done: {error}")


def catalog_of(settings: Settings) -> Catalog:
    """The catalog, or the command ends saying that no call was recorded yet."""
    if not settings.catalog_path.exists():
        fail(f"there is no catalog at {settings.catalog_path} yet; `greffier run` makes it with the first call")
    return Catalog(settings.catalog_path)


def find_call(catalog: Catalog, prefix: str) -> CallRow:
    """The call whose id begins with `prefix`, or the command ends."""
    try:
        return catalog.find_call(prefix.lower())
    except LookupError as error:
        fail(f"{error}; `greffier calls` lists them")


def must_be_free(catalog: Catalog, row: CallRow) -> None:
    """The command ends where a person has had the use of a call restricted (GDPR art. 18)."""
    if catalog.persons.is_restricted(row.call_id):
        fail("the use of this call is restricted at a person's request; `greffier person restrict --lift` ends that")


def journalled(settings: Settings, kind: str, **fields: Any) -> None:
    """A line in the journal that says who did this from the command line. Raises OSError."""
    Journal(settings.journal_dir, "cli", time.time_ns).append(kind, actor=actor(), **fields)


def utc(ns: int | None) -> str:
    """A UTC instant for people."""
    return datetime.fromtimestamp(ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S") if ns else "–"


def clock(samples: int) -> str:
    """A media position as m:ss.s."""
    seconds = samples / CLOCK_RATE
    return f"{int(seconds // 60)}:{seconds % 60:04.1f}"


def actor() -> str:
    """Who presses from the command line."""
    return f"cli:{os.environ.get('SUDO_USER') or os.environ.get('USER') or os.getuid()}"


def instant(text: str, zone: ZoneInfo) -> int:
    """UTC ns of `yesterday`, `today`, a duration back, or a local day or time."""
    midnight = datetime.now(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    if text in ("today", "yesterday"):
        at = midnight - timedelta(days=text == "yesterday")
    else:
        try:
            at = datetime.fromisoformat(text)
            at = at.replace(tzinfo=zone) if at.tzinfo is None else at
        except ValueError:
            at = datetime.now(UTC) - timedelta(seconds=seconds(text))
    return int(at.timestamp() * 1e9)
