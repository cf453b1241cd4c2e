"""`greffier agents`: who works here, and at which extensions."""

import csv
import io
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from agent.commands.common import (
    DEFAULT_CONFIG,
    ConfigOption,
    changing_directory,
    console,
    fail,
    journalled,
    settings_of,
)
from agent.commands.plain import PlainTable, plain
from agent.model.identity import Agent
from agent.store.directory import Directory

COLUMNS = ("name", "extensions", "supervisor")
YES, NO = ("yes", "true", "1"), ("no", "false", "0", "")
MOST_BYTES = 4 << 20

app = typer.Typer(help="Agents and their extensions: who may press for which calls.", no_args_is_help=True)


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="What the agent is called.")],
    extension: Annotated[list[str], typer.Option("--extension", "-e", help="An extension; may be given again.")],
    supervisor: Annotated[bool, typer.Option(help="Sees every agent's state, and may press for them.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Add an agent. Tokens come next: `greffier token add agent:EXTENSION`."""
    with changing_directory():
        settings = settings_of(config)
        Directory(settings.directory_path).add_agents([Agent(name, tuple(extension), supervisor)], time.time_ns())
        journalled(settings, "agents.added", agents=1, extensions=" ".join(extension), supervisor=supervisor)
    console.print("[green]✓[/]", plain(f"{name}: {', '.join(extension)}"), highlight=False)


@app.command("list")
def list_agents(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """List agents."""
    table = PlainTable("agent", "extensions", "supervisor")
    with changing_directory():
        agents = Directory(settings_of(config).directory_path).agents()
    for agent in agents:
        table.add_row(agent.name, ", ".join(agent.extensions), "yes" if agent.supervisor else "")
    console.print(table)


@app.command("remove")
def remove(
    name: Annotated[str, typer.Argument(help="The agent.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Remove an agent; the tokens of its extensions are revoked."""
    with changing_directory():
        settings = settings_of(config)
        directory = Directory(settings.directory_path)
        extensions = " ".join(e for agent in directory.agents() if agent.name == name for e in agent.extensions)
        revoked = directory.remove_agent(name, time.time_ns())
        journalled(settings, "agents.removed", extensions=extensions, tokens=revoked)
    console.print("[green]✓[/]", plain(f"{name} is removed, {revoked} tokens are revoked"), highlight=False)


@app.command("import")
def import_agents(
    file: Annotated[Path, typer.Argument(help="CSV with a first line `name,extensions,supervisor`.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Add the agents of a CSV file, all of them or none. Several extensions are separated by spaces."""
    rows = Rows()
    try:
        if file.stat().st_size > MOST_BYTES:
            raise ValueError(f"more than {MOST_BYTES >> 20} MiB")
        settings = settings_of(config)
        added = Directory(settings.directory_path).add_agents(
            rows.read(file.read_text(encoding="utf-8-sig")), time.time_ns()
        )
        journalled(settings, "agents.added", agents=added)
    except (OSError, ValueError, csv.Error, sqlite3.Error) as error:
        fail(f"{file}: line {rows.line}: {error}; nothing was added", 2)
    console.print(f"[green]✓[/] {added} agents", highlight=False)


class Rows:
    """Reads agents from CSV (RFC 4180). `line` is the one being read, so that whoever refuses it can name it."""

    def __init__(self) -> None:
        self.line = 1

    def read(self, text: str) -> Iterator[Agent]:
        """The agents, one after the other. Raises ValueError, csv.Error."""
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        if tuple(name.strip().lower() for name in next(reader, [])) != COLUMNS:
            raise ValueError(f"the first line is {','.join(COLUMNS)}")
        self.line = reader.line_num + 1
        for row in reader:
            if row:
                yield _agent(row)
            self.line = reader.line_num + 1


def _agent(row: list[str]) -> Agent:
    if len(row) != len(COLUMNS):
        raise ValueError(f"{len(COLUMNS)} columns are expected, there are {len(row)}")
    name, extensions, supervisor = (value.strip() for value in row)
    if supervisor.lower() not in YES + NO:
        raise ValueError(f"supervisor is `yes` or `no`, not {supervisor!r}")
    return Agent(name, tuple(extensions.split()), supervisor.lower() in YES)
