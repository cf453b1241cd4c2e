"""`greffier compliance report`: the record of processing, retention, accesses and the control map, as things are."""

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from agent.commands.common import DEFAULT_CONFIG, ConfigOption, console, fail, settings_of
from agent.compliance.accesses import accesses
from agent.compliance.controls import shown
from agent.compliance.page import Register, page
from agent.compliance.register import processings
from agent.compliance.words import Language
from agent.config import Settings
from agent.store.journal import read
from agent.vault.secretfile import write_private

DAY_NS = 86_400 * 1_000_000_000
app = typer.Typer(help="What a data protection officer or an auditor asks for.", no_args_is_help=True)


@app.callback()
def compliance() -> None:
    """What a data protection officer or an auditor asks for (docs/compliance.md)."""


@app.command("report")
def report(
    into: Annotated[Path, typer.Option("--into", "-o", help="The page that is written.")] = Path("register.html"),
    language: Annotated[Language, typer.Option("--language", "-l", help="Of the page.")] = Language.FRENCH,
    days: Annotated[int, typer.Option("--days", min=1, max=3660, help="Accesses of so many days.")] = 365,
    as_json: Annotated[bool, typer.Option("--json", help="For programs, on standard output; no page.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Write the record of processing (GDPR art. 30), retention table, access log and control map as one page.

    All of it comes from the configuration in force and the journal; no number, name or word of a call is in it.
    """
    settings = settings_of(config)
    try:
        register = gather(settings, time.time_ns(), days)
    except (OSError, ValueError) as error:
        fail(f"the register cannot be made: {error}")
    if as_json:
        typer.echo(json.dumps(asdict(register), ensure_ascii=False, indent=2))
        return
    try:
        write_private(into, page(register, language).encode(), 0o640)
    except OSError as error:
        fail(f"{into} cannot be written: {error}")
    counts = f"{len(register.processings)} purposes, {len(register.controls)} controls"
    told = f"{into}: {counts}, {len(register.accesses)} kinds of access in {days} days"
    console.print(f"[green]✓[/] {told}", highlight=False, soft_wrap=True)
    if not settings.persons.controller:
        console.print("[yellow]=[/] who answers is not said: \\[persons] controller, contact")


def gather(settings: Settings, now_ns: int, days: int) -> Register:
    """Everything the page shows. Raises OSError, ValueError."""
    folder, since_ns = settings.journal_dir, now_ns - days * DAY_NS
    lines = list(read(folder)) if folder.is_dir() else []
    return Register(
        settings.site.name,
        settings.persons.controller,
        settings.persons.contact,
        now_ns,
        since_ns,
        processings(settings),
        accesses(lines, since_ns),
        shown(settings, lines),
    )
