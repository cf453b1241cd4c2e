"""`greffier hold CALL` and `greffier release CALL`: a legal hold keeps local copies past their deadline."""

import time
from typing import Annotated

import typer

from agent.commands.common import DEFAULT_CONFIG, ConfigOption, actor, catalog_of, console, fail, find_call, settings_of
from agent.store.journal import Journal
from agent.store.rows import HoldRow

CallArgument = Annotated[str, typer.Argument(help="Call id, or its first digits.")]


def hold(
    call: CallArgument,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Kept in the journal, such as a case number.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Place a legal hold: nothing of the call that is still here is deleted until `greffier release`."""
    settings = settings_of(config)
    catalog = catalog_of(settings)
    row = find_call(catalog, call)
    journal = Journal(settings.journal_dir, "cli", time.time_ns)
    journal.append("hold", call_id=row.call_id, actor=actor(), reason=reason[:200])
    catalog.hold(HoldRow(row.call_id, actor(), reason[:200], time.time_ns()))
    here = len(catalog.artifacts(call_id=row.call_id, local=True))
    console.print(f"[green]✓[/] call {row.call_id[:12]} is held: its {here} local artifacts stay", highlight=False)


def release(call: CallArgument, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Lift a legal hold: what is past its deadline is deleted by the next sweep."""
    settings = settings_of(config)
    catalog = catalog_of(settings)
    row = find_call(catalog, call)
    if not catalog.lift_hold(row.call_id):
        fail(f"call {row.call_id[:12]} is not held")
    Journal(settings.journal_dir, "cli", time.time_ns).append("hold.lifted", call_id=row.call_id, actor=actor())
    console.print(f"[green]✓[/] call {row.call_id[:12]} is no longer held", highlight=False)
