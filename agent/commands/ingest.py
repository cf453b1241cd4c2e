"""`greffier ingest FILE…`: record the calls of capture files, through the running recorder."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from agent.commands.common import (
    DEFAULT_CONFIG,
    ConfigOption,
    actor,
    asked,
    console,
    errors,
    fail,
    settings_of,
    utc,
)
from agent.config import Settings
from agent.control.client import NoAnswer
from agent.store.journal import Journal

POLL_S = 0.1
PATIENCE_S = 60.0
"""So long a recorder that was killed may take to come back."""


def ingest(
    files: Annotated[list[Path], typer.Argument(help="pcap or pcapng files, also gzip'd; each is read on its own.")],
    again: Annotated[
        bool, typer.Option(help="Record once more what was ingested before, under other call ids.")
    ] = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Record the calls of capture files, as if they came in now, at the time of the file.

    The recorder must be running; it reads the file itself, live calls first. Purposes decide and deadlines count as for
    live calls. A file is known by its content and ingested once; if recorder or machine go down on the way, the next
    start goes on with nothing lost and nothing twice.

    A capture of one's own: `tcpdump -i eth1 -w calls.pcap 'udp or tcp port 5060'`. Rotated files are joined first, so
    that no call is cut: `mergecap -w all.pcapng calls.pcap*`.
    """
    settings = settings_of(config)
    bad = 0
    for path in files:
        if not path.is_file():
            errors.print(f"[red]✗[/] {path}: there is no such file", highlight=False, soft_wrap=True)
            bad += 1
            continue
        bad += not _one(settings, path.resolve(), again)
    if bad:
        raise typer.Exit(1)
    console.print("`greffier calls` lists them; what their purposes permit is on its way.", highlight=False)


def _one(settings: Settings, path: Path, again: bool) -> bool:
    """One file; False when nothing was recorded."""
    try:
        state = asked(settings, op="ingest", path=str(path), again=again)["ingest"]
        state = _watched(settings, state)
    except ValueError as error:
        errors.print(f"[red]✗[/] {path.name}: {error}", highlight=False, markup=True, soft_wrap=True)
        return False
    except NoAnswer as error:
        fail(f"{error}; is it running? `greffier run` starts it")
    if state["state"] == "failed":
        errors.print(f"[red]✗[/] {path.name}: {state['error']}", highlight=False, soft_wrap=True)
        return False
    Journal(settings.journal_dir, "cli", time.time_ns).append(
        "ingested", actor=actor(), sha256=state["digest"], calls=state["calls"], packets=state["packets"]
    )
    console.print(
        f"[green]✓[/] {path.name}: {state['calls']} calls in {state['packets']:,} packets, "
        f"{utc(state['first_ns'])} to {utc(state['last_ns'])} UTC; {state['stray_packets']:,} packets of no call",
        highlight=False,
        soft_wrap=True,
    )
    for note in _notes(state):
        console.print(f"    {note}", style="dim", highlight=False, soft_wrap=True)
    return True


def _notes(state: dict[str, Any]) -> list[str]:
    notes = [state["problem"]] if state["problem"] else []
    if count := state["cut_packets"]:
        notes.append(f"{count:,} packets were captured only in part: capture with -s 0")
    if count := state["unread_packets"]:
        notes.append(f"{count:,} packets of a link type that is not read here")
    return notes


def _watched(settings: Settings, state: dict[str, Any]) -> dict[str, Any]:
    """Until it is over. A recorder that goes away on the way takes the file up again by itself when it is back."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, transient=True) as bar:
        task = bar.add_task("", total=state["bytes"] or None)
        away_since: float | None = None
        path = state["path"]
        while state["state"] not in ("done", "failed"):
            _show(bar, task, state)
            time.sleep(POLL_S)
            try:
                found = asked(settings, op="ingest")["ingest"]
            except NoAnswer:
                found = None
            if found is not None and found["path"] == path:
                state, away_since = found, None
                continue
            away_since = away_since or time.monotonic()
            if time.monotonic() - away_since > PATIENCE_S:
                raise ValueError("the recorder went away and does not go on with it; see its log, and try again")
            bar.update(task, description="the recorder is away; waiting for it")
    return state


def _show(bar: Progress, task: TaskID, state: dict[str, Any]) -> None:
    what = f"{state['state']} {Path(state['path']).name}: {state['calls']} calls"
    bar.update(task, description=what, completed=state["bytes_done"])
