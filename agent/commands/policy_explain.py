"""`greffier policy explain CALL`: what was decided about a call, when and why, and who pressed what since."""

from typing import Annotated

import typer

from agent.commands.common import DEFAULT_CONFIG, ConfigOption, catalog_of, clock, console, find_call, settings_of, utc
from agent.commands.plain import PlainTable
from agent.store.catalog import Catalog
from agent.store.rows import CallRow


def explain(
    call: Annotated[str, typer.Argument(help="Call id, or its first digits.")], config: ConfigOption = DEFAULT_CONFIG
) -> None:
    """Say what was decided about a call, when and why: every decision and every press, in order."""
    catalog = catalog_of(settings_of(config))
    row = find_call(catalog, call)
    table = PlainTable(title=f"Call {row.call_id}: {row.direction}, from gateway {row.gateway} by {row.tap}")
    for column in ("at (UTC)", "purpose", "what", "why", "by"):
        table.add_column(column)
    for at_ns, _, purpose, what, why, by in sorted(history(catalog, row)):
        table.add_row(utc(at_ns), purpose, what, why, by)
    console.print(table)
    states = {mark.purpose: mark.state.value for mark in catalog.marks(row.call_id) if mark.verb != "end"}
    for decision in {d.purpose: d for d in catalog.decisions(row.call_id)}.values():
        end = states.get(decision.purpose, "never began")
        console.print(f"  {decision.purpose}: {end}; last decided: {decision.rule}", highlight=False, markup=False)


def history(catalog: Catalog, row: CallRow) -> list[tuple[int, int, str, str, str, str]]:
    """UTC ns, rank among what is of the same instant, purpose, what, why, by whom. No numbers of parties."""
    found = []
    for d in catalog.decisions(row.call_id):
        what = "applies" if d.applies else "waits for consent" if d.waits else "does not apply"
        found.append((d.at_ns or row.started_ns, 1, d.purpose, what, d.rule, "policy"))
    for said in catalog.contexts(row.call_id):
        now = f"queue {said.queue or '–'}, tags {' '.join(said.tags) or '–'}, consent {said.consent}"
        found.append((said.at_ns, 0, "", f"said by {said.source}", now, said.actor))
    for mark in catalog.marks(row.call_id):
        why = ", ".join(word for word in (mark.cause and f"cause {mark.cause}", mark.reason) if word)
        what = f"{mark.verb} → {mark.state.value} since {clock(mark.since_samples)}"
        found.append((mark.at_ns, 2, mark.purpose, what, why, mark.actor))
    return found
