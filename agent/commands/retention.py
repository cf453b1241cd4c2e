"""`greffier retention plan|simulate|clock`: what goes when, what a change would do, and whether the clock is right."""

import json
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.commands.common import DEFAULT_CONFIG, ConfigOption, catalog_of, console, fail, settings_of, utc
from agent.commands.config_check import days
from agent.commands.hold import person
from agent.commands.plain import PlainTable, plain
from agent.config import Settings
from agent.retain import simulate as simulation
from agent.retain.ntp import read_clocks
from agent.retain.trusted import believed_ns, confirm
from agent.store.catalog import Catalog
from agent.store.journal import Journal

app = typer.Typer(help="What will be deleted when, and what a change would do.", no_args_is_help=True)
JsonOption = Annotated[bool, typer.Option("--json", help="For programs.")]
DAY_NS = 86_400 * 1_000_000_000
MIB = 1 << 20
LATE_NS = 60 * 1_000_000_000
"""A sweep comes each second: what is due longer than this is overdue."""


@app.callback()
def retention() -> None:
    """What will be deleted when, and what a change would do."""


@app.command("plan")
def plan(
    purpose: Annotated[str | None, typer.Option("--purpose", "-p", help="Only this purpose.")] = None,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Show what will be deleted when, day by day, here and at the centre; what is held; what is overdue, and why."""
    settings = settings_of(config)
    catalog = catalog_of(settings)
    if purpose is not None and purpose not in settings.purpose:
        fail(f"no purpose {purpose!r} (known: {', '.join(settings.purpose) or 'none'})", 2)
    found = planned(settings, catalog, purpose)
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    for title, rows in (("Goes", found["goes"]), ("Held past its deadline, or until then", found["held"])):
        table = PlainTable(title=title)
        for column in ("day (UTC)", "from", "purpose", "artifacts", "calls", "MiB"):
            table.add_column(column)
        for r in rows:
            size = f"{r['size_bytes'] / MIB:.1f}"
            table.add_row(r["day"], r["place"], r["purpose"], str(r["artifacts"]), str(r["calls"]), size)
        if rows:
            console.print(table)
    for one in found["next"]:
        console.print(plain(f"  next: {one['path']} at {one['at']}"), highlight=False)
    for key in found["keys"]:
        what = "held" if key["held"] else f"destroyed on {key['day']}"
        console.print(f"  {key['keys']} call keys are {what}", highlight=False)
    for one in found["overdue"]:
        console.print(
            plain(f"  overdue: {one['path']} ({one['place']}), since {one['since']}: {one['why']}"), style="red"
        )
    if not found["clock"]["believed"]:
        console.print(f"[red]![/] {found['clock']['words']}", highlight=False)


def planned(settings: Settings, catalog: Catalog, purpose: str | None) -> dict[str, Any]:
    """What `plan` shows, as it is written for programs."""
    now_ns = believed_ns(catalog, settings.retention, read_clocks())
    ours = [name for name, section in settings.destination.items() if section.deleted_by_us]
    going = [asdict(one) | {"day": _day(one.day_ns)} for one in catalog.retained.going(ours, purpose)]
    return {
        "now": utc(now_ns),
        "goes": [one for one in going if not one["held"]],
        "held": [one for one in going if one["held"]],
        "next": [{"path": a.path, "at": utc(a.local_deadline_ns)} for a in catalog.retained.next_here(purpose)],
        "keys": [{"day": _day(day), "held": held, "keys": n} for day, held, n in catalog.retained.keys_kept()],
        "overdue": _overdue(catalog, now_ns, purpose),
        "clock": _clock(settings, catalog),
    }


@app.command("simulate")
def simulate(
    new: Annotated[Path, typer.Option("--config", "-c", help="The configuration that may come.", show_default=False)],
    current: Annotated[
        Path, typer.Option("--current", envvar="GREFFIER_CONFIG", help="The configuration that is in force.")
    ] = DEFAULT_CONFIG,
    since_days: Annotated[int, typer.Option("--days", min=1, help="Volumes go by the artifacts of so many days.")] = 30,
    as_json: JsonOption = False,
) -> None:
    """Say what a changed configuration would do to what is kept, and for how long, before it is saved.

    Deadlines are fixed when an artifact is made: retention that changes is for new calls.
    """
    before, after = settings_of(current), settings_of(new)
    catalog = catalog_of(before)
    made = catalog.retained.made_since(time.time_ns() - since_days * DAY_NS)
    changed = simulation.changes(before, after, {name: size / since_days for name, (_, size) in made.items()})
    standing = catalog.retained.standing()
    now, stays = simulation.at_once(before, after, standing), simulation.stays(standing)
    if as_json:
        said = {"purposes": [asdict(one) for one in changed], "at_once": now, "stays": stays}
        typer.echo(json.dumps(said, ensure_ascii=False, indent=2))
        return
    table = PlainTable(title="For new calls")
    for column in ("purpose", "here", "it goes", "centre", "it goes", "MiB here in the long run"):
        table.add_column(column)
    for one in changed:
        volume = " → ".join(f"{size / MIB:.1f}" for size in one.bytes_here)
        table.add_row(one.purpose, _span(one.here_s), one.here, _span(one.centre_s), one.centre, volume)
    console.print(table)
    console.print("For what there is nothing changes but this:" if now else "For what there is nothing changes.")
    for words in now:
        console.print(plain(f"  {words}"), style="yellow", highlight=False)
    for words in stays:
        console.print(plain(f"  {words}"), highlight=False)


@app.command("clock")
def clock(
    confirmed: Annotated[bool, typer.Option("--confirm", help="The clock is right: deadlines go by it.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Say whether the clock is believed; with --confirm, that it is right. See docs/retention.md."""
    settings = settings_of(config)
    catalog = catalog_of(settings)
    if confirmed:
        confirm(catalog, Journal(settings.journal_dir, "cli", time.time_ns), person(), read_clocks())
    found = _clock(settings, catalog)
    console.print(f"[{'green' if found['believed'] else 'red'}]{found['words']}[/]", highlight=False)


def _clock(settings: Settings, catalog: Catalog) -> dict[str, Any]:
    reading = read_clocks()
    believed = believed_ns(catalog, settings.retention, reading)
    if believed == reading.utc_ns:
        return {"believed": True, "words": f"deadlines go by the clock: {utc(believed)} UTC"}
    words = (
        f"the clock says {utc(reading.utc_ns)} UTC and is doubted: deadlines go by {utc(believed)} until NTP, or "
        "`greffier retention clock --confirm`, says that it is right, or it has gone steadily for "
        f"{days(settings.retention.clock_doubt)}"
    )
    return {"believed": False, "words": words}


def _overdue(catalog: Catalog, now_ns: int, purpose: str | None) -> list[dict[str, str]]:
    found = []
    for a in catalog.retained.overdue(now_ns):
        why = catalog.delivery_state(a.artifact_id).detail or "not sent yet"
        found.append((a, "here", a.local_deadline_ns, f"it is not at {a.destination}: {why}"))
    for a in catalog.retained.due(now_ns - LATE_NS):
        found.append((a, "here", a.local_deadline_ns, "the courier has not deleted it: is it running?"))
    for order in catalog.orders.failing():
        a = order.artifact
        found.append((a, str(a.destination), a.central_deadline_ns, f"{order.verb}: {order.detail}"))
    return [
        {"path": a.path, "place": place, "since": utc(since), "why": why}
        for a, place, since, why in found
        if purpose in (None, a.purpose)
    ]


def _day(ns: int) -> str:
    return datetime.fromtimestamp(ns / 1e9, UTC).strftime("%Y-%m-%d")


def _span(pair: tuple[int | None, int | None]) -> str:
    return " → ".join("–" if one is None else days(one) for one in dict.fromkeys(pair))
