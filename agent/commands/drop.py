"""`greffier drop CALL --reason …`: somebody withdrew; what may be destroyed is, and what had left gets a tombstone."""

import time
from typing import Annotated

import typer

from agent.commands.common import (
    DEFAULT_CONFIG,
    ConfigOption,
    actor,
    ask_recorder,
    catalog_of,
    console,
    fail,
    find_call,
    settings_of,
)
from agent.config import Settings
from agent.model.gate import GateVerb
from agent.store.catalog import Catalog
from agent.store.journal import Journal
from agent.store.rows import CallRow, CorrectionRow

CallArgument = Annotated[str, typer.Argument(help="Call id, or its first digits.")]
PurposeOption = Annotated[str | None, typer.Option("--purpose", "-p", help="Only this purpose.")]
ReasonOption = Annotated[str, typer.Option("--reason", "-r", help="Kept in the journal.")]


def drop(
    call: CallArgument,
    reason: ReasonOption,
    purpose: PurposeOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Drop a call, or one purpose of it: destroyed under every basis that allows it; the others are listed as kept."""
    settings = settings_of(config)
    catalog = catalog_of(settings)
    row = find_call(catalog, call)
    names = chosen(settings, purpose)
    if row.state == "live":
        answer = ask_recorder(
            *(settings,), op="gate", call=row.call_id, verb=GateVerb.DROP.value, actor=actor(), purpose=purpose,
            reason=reason,
        )  # fmt: skip
        states = ", ".join(f"{name} {state}" for name, state in answer["states"].items())
        console.print(f"[green]✓[/] dropped while it is on: {states}", highlight=False)
        return
    journal = Journal(settings.journal_dir, "cli", time.time_ns)
    asked = [CorrectionRow(row.call_id, name, "drop", 0, 0, actor(), reason[:200], time.time_ns()) for name in names]
    for one in asked:
        journal.append("drop.asked", call_id=row.call_id, purpose=one.purpose, actor=one.actor, reason=one.reason)
    catalog.corrections.ask(asked)
    for name in names:
        console.print(_outlook(settings, catalog, row, name), highlight=False)


def chosen(settings: Settings, purpose: str | None) -> list[str]:
    """The purposes that are meant: the one named, or all that keep something; the command ends when there is none."""
    keeping = [name for name, section in settings.purpose.items() if section.artifacts]
    if purpose is not None and purpose not in keeping:
        fail(f"no purpose {purpose!r} keeps anything here (known: {', '.join(keeping) or 'none'})", 2)
    return keeping if purpose is None else [purpose]


def _outlook(settings: Settings, catalog: Catalog, row: CallRow, name: str) -> str:
    section = settings.purpose[name]
    if not section.may_be_withdrawn:
        return f"[yellow]=[/] {name} is kept: its basis is {section.basis or 'not one that can be withdrawn'}"
    if catalog.legal_holds.is_held(row.call_id, name):
        return f"[yellow]=[/] {name} waits: a legal hold comes first. It is restricted: nothing goes out meanwhile"
    mine = catalog.artifacts(call_id=row.call_id, purpose=name)
    left = sum(catalog.corrections.may_have_left(a.artifact_id) for a in mine)
    return f"[green]✓[/] {name}: {len(mine)} artifacts are destroyed, tombstones go out for {left} that had left"
