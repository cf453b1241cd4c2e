"""`greffier transcribe CALL --model NAME`: write the text of a call again, with a better model, beside the old."""

import time
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from agent.commands.common import (
    DEFAULT_CONFIG,
    ConfigOption,
    actor,
    catalog_of,
    console,
    fail,
    find_call,
    journalled,
    must_be_free,
    settings_of,
    utc,
)
from agent.commands.drop import CallArgument
from agent.config import Settings
from agent.store.catalog import Catalog
from agent.store.journal import read
from agent.store.rows import CallRow, RewriteRow
from agent.transcribe import models

LOOK_S = 0.2
PATIENCE_S = 10.0
"""After so long without a beginning it is said who is waited for."""


def transcribe(
    call: CallArgument,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="An installed model; without it, the one now used for all.")
    ] = None,
    wait: Annotated[bool, typer.Option(help="Wait, with a progress bar, until the scribe has done it.")] = True,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Transcribe a call again: a new version of its texts is made beside the old, and sent like it.

    Possible as long as the call's key is kept (scribe.correction_window). What was masked, dropped or paused stays so.
    """
    settings = settings_of(config)
    catalog = catalog_of(settings)
    row = find_call(catalog, call)
    must_be_free(catalog, row)
    _must_be_possible(settings, catalog, row)
    known = [m.name for m in models.installed(settings.models_dir, models.Kind.SPEECH)]
    if model is not None and model not in known:
        fail(f"no model named {model} is installed (known: {', '.join(known) or 'none'}); `greffier model add`", 2)
    journalled(settings, "transcribe.asked", call_id=row.call_id, model=model or "")
    number = catalog.rewrites.ask(RewriteRow(row.call_id, model or "", actor(), time.time_ns()))
    if not wait:
        console.print(f"[green]✓[/] asked; `greffier show {row.call_id[:12]}` says when it is done", highlight=False)
        return
    try:
        _tell(catalog, row, _watched(catalog, number))
    except KeyboardInterrupt:
        console.print("the scribe goes on by itself; `greffier show` says when it is done", highlight=False)


def _must_be_possible(settings: Settings, catalog: Catalog, row: CallRow) -> None:
    short = row.call_id[:12]
    if row.state == "live":
        fail(f"call {short} is still on")
    if row.state in ("ended", "interrupted"):
        fail(f"call {short} still waits for its first text, which is made by itself")
    until_ns = catalog.corrections.kept_until(row.call_id)
    if until_ns is None or until_ns <= time.time_ns():
        gone = [line.at_ns for line in read(settings.journal_dir, row.call_id) if line.kind == "callkey.destroyed"]
        when = f" on {utc(gone[-1])} UTC" if gone else ""
        fail(
            f"call {short} was forgotten{when}: its key is gone, and nobody can hear it here any more "
            f"(scribe.correction_window is {settings.scribe.correction_window} s)"
        )


def _watched(catalog: Catalog, number: int) -> RewriteRow:
    """The row once it is done or refused; a progress bar meanwhile."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    began = time.monotonic()
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("waits for its turn", total=1.0)
        while (row := catalog.rewrites.numbered(number)).is_open:
            if row.state == "working":
                bar.update(task, description="transcribing", completed=row.share)
            elif time.monotonic() - began > PATIENCE_S:
                bar.update(task, description="waits for the scribe; is it running?")
            time.sleep(LOOK_S)
    return row


def _tell(catalog: Catalog, call: CallRow, row: RewriteRow) -> None:
    if row.state == "refused":
        fail(f"not done: {row.detail}")
    made = [a for a in catalog.artifacts(call_id=call.call_id) if f"-{row.revision}." in a.path]
    by = next((w for path, w in catalog.rewrites.written(call.call_id).items() if f"-{row.revision}." in path), None)
    words = f"{by.engine}, {by.model}, sha256 {by.model_sha256[:16] or '–'}" if by else "the engine"
    console.print(f"[green]✓[/] version {row.revision} written by {words}", highlight=False)
    for artifact in made:
        console.print(f"  {artifact.path}  {artifact.delivery.value}", highlight=False, soft_wrap=True, markup=False)
