"""`greffier sync`: how delivery stands, and what a person may do about it: try again, pause, resume."""

import json
import re
import time
from datetime import datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.table import Table

from agent.commands.calls import age
from agent.commands.common import (
    DEFAULT_CONFIG,
    ConfigOption,
    actor,
    catalog_of,
    console,
    fail,
    journalled,
    settings_of,
)
from agent.commands.plain import PlainTable, plain
from agent.commands.syncing import Lane, Share, look
from agent.config import Settings
from agent.config.destinations import PullSection
from agent.config.section import seconds
from agent.store.lanes import FOREVER_NS

MOST_ASIDE = 50
NS = 1_000_000_000

app = typer.Typer(help="Delivery: how it stands, try again, pause and resume.", no_args_is_help=True)

DestinationArgument = Annotated[str, typer.Argument(help="Name of a [destination.NAME].")]
JsonOption = Annotated[bool, typer.Option("--json", help="For scripts.")]


@app.command("status")
def status(as_json: JsonOption = False, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """What waits where, since when, how fast it goes, why it does not, who paused it, and what was set aside.

    Also how much of the disk budgets is used (docs/delivery.md).
    """
    settings = settings_of(config)
    now_ns = time.time_ns()
    catalog = catalog_of(settings)
    lanes, budgets = look(settings, catalog.lanes, now_ns)
    aside = catalog.lanes.aside(MOST_ASIDE)
    if as_json:
        said = {
            "destinations": [lane.told() for lane in lanes],
            "aside": [
                {"path": a.path, "destination": a.destination, "bytes": a.size_bytes, "attempts": a.attempts,
                 "why": a.detail} for a in aside
            ],
            "budgets": [share.told() for share in budgets],
        }  # fmt: skip
        typer.echo(json.dumps(said))
        return
    zone = ZoneInfo(settings.site.timezone)
    for lane in lanes:
        console.print(lane_table(lane, now_ns, zone))
    if aside:
        table = PlainTable(title="Set aside: mend what is wrong, then `greffier sync retry PATH`, or --all")
        for column in ("path", "destination", "tried", "why"):
            table.add_column(column, overflow="fold")
        for a in aside:
            table.add_row(a.path, a.destination, str(a.attempts), a.detail)
        console.print(table)
    for share in budgets:
        console.print(budget_words(share), highlight=False)


@app.command("retry")
def retry(
    path: Annotated[str | None, typer.Argument(help="One artifact, as `greffier sync status` lists it.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that waits for another attempt.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Try again now, what was set aside too, instead of when its time has come; a lane that rests is woken."""
    if (path is None) is not everything:
        fail("say which: PATH, as `greffier sync status` lists it, or --all", 2)
    settings = settings_of(config)
    lanes = catalog_of(settings).lanes
    if path is not None and not lanes.waits(path):
        fail(f"nothing waits under {path!r}; `greffier sync status` lists what was set aside")
    journalled(settings, "sync.retry", path=path)
    found = lanes.retry(time.time_ns(), path)
    _say({"destinations": found}, f"tried again within seconds: {', '.join(found) or 'nothing waits'}", as_json)


@app.command("pause")
def pause(
    destination: DestinationArgument,
    until: Annotated[
        str | None,
        typer.Option(help='Until then, on the clocks of the site ("19:00", "2026-12-24 06:00"), or so long ("2 h").'),
    ] = None,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Kept in the journal.")] = "",
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Send nothing to a destination, also after a restart, until that time or `greffier sync resume`.

    Uploads under way stop within a second and are taken up where they were. Calls are recorded and derived as ever:
    watch the disk (`greffier sync status`).
    """
    settings = settings_of(config)
    _known(settings, destination)
    if isinstance(settings.destination[destination], PullSection):
        fail(f"nothing is sent to {destination}: it is fetched from. To stop that, revoke its tokens", 2)
    zone, now_ns = ZoneInfo(settings.site.timezone), time.time_ns()
    until_ns = FOREVER_NS if until is None else ahead(until, now_ns, zone)
    lanes = catalog_of(settings).lanes
    journalled(settings, "sync.paused", destination=destination, until_ns=until_ns if until else None,
               reason=reason[:200])  # fmt: skip
    lanes.pause(destination, actor(), reason[:200], now_ns, until_ns)
    end = "until `greffier sync resume`" if until is None else f"until {local(until_ns, zone)}"
    told = {"destination": destination, "until_ns": until_ns if until else None}
    _say(told, f"{destination} is paused {end}; what is for it waits here", as_json)


@app.command("resume")
def resume(
    destination: DestinationArgument, as_json: JsonOption = False, config: ConfigOption = DEFAULT_CONFIG
) -> None:
    """End the pause of a destination."""
    settings = settings_of(config)
    lanes = catalog_of(settings).lanes
    if lanes.lane(destination).paused_by is None:
        fail(f"{destination} is not paused")
    journalled(settings, "sync.resumed", destination=destination)
    lanes.resume(destination, time.time_ns())
    _say({"destination": destination}, f"{destination} is no longer paused", as_json)


def lane_table(lane: Lane, now_ns: int, zone: ZoneInfo) -> Table:
    """One destination, for people."""
    row = lane.row
    words = [lane.kind or "no longer configured: give it back to the configuration, or it waits for ever"]
    if row.is_paused(now_ns):
        end = "" if row.until_ns >= FOREVER_NS else f" until {local(row.until_ns, zone)}"
        words.append(f"paused by {row.paused_by} since {local(row.paused_ns, zone)}{end} {row.reason}".strip())
    if row.failing:
        words.append(
            f"failing since {local(row.failing_ns, zone)}: {row.failing}; tried next {local(row.again_ns, zone)}"
        )
    words.append("no limit now" if lane.limit_mbit is None else f"limit now {lane.limit_mbit:g} Mbit/s")
    words.append(f"{lane.rate_mbit:.2f} Mbit/s over 5 min")
    words.append(f"last success {local(lane.last_ns, zone)}" if lane.last_ns else "nothing arrived yet")
    table = PlainTable(title=plain(f"{row.destination}: {'; '.join(words)}"), title_justify="left")
    for column in ("purpose", "waiting", "size", "oldest", "set aside"):
        table.add_column(column)
    for one in lane.purposes:
        oldest = age(max(0, now_ns - one.oldest_ns) / NS) if one.oldest_ns else "–"
        table.add_row(one.purpose, str(one.waiting), size(one.bytes), oldest, str(one.aside))
    return table


def budget_words(share: Share) -> str:
    """One budget, for people."""
    colour = "red" if share.waits else "yellow" if share.alarm else "green"
    of = share.purpose or "all artifacts"
    words = f"{of}: {size(share.used)} of {size(share.limit)} ({share.used / share.limit:.0%})"
    waits = f"; derivation waits: {', '.join(share.waits)}" if share.waits else ""
    return f"[{colour}]budget[/] {words}{waits}"


def size(count: int) -> str:
    """`512 B`, `3.4 MiB`."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def local(at_ns: int, zone: ZoneInfo) -> str:
    """An instant on the clocks of the site."""
    return datetime.fromtimestamp(at_ns / NS, zone).strftime("%Y-%m-%d %H:%M:%S")


def ahead(text: str, now_ns: int, zone: ZoneInfo) -> int:
    """UTC ns of a time of day that comes next, of a local day or time, or of a duration from now; the command ends
    unless it is to come."""
    now = datetime.fromtimestamp(now_ns / NS, zone)
    try:
        if clock := re.fullmatch(r"(\d{1,2}):(\d{2})", text.strip()):
            at = now.replace(hour=int(clock[1]), minute=int(clock[2]), second=0, microsecond=0)
            at = at if at > now else at + timedelta(days=1)
        else:
            at = datetime.fromisoformat(text.strip())
            at = at.replace(tzinfo=zone) if at.tzinfo is None else at
        until_ns = int(at.timestamp()) * NS
    except ValueError:
        try:
            until_ns = now_ns + seconds(text) * NS
        except ValueError:
            fail(f'{text!r} is no time: expected "19:00", "2026-12-24 06:00" or a duration such as "2 h"', 2)
    if until_ns <= now_ns:
        fail(f"{text!r} is over already", 2)
    return until_ns


def _known(settings: Settings, destination: str) -> None:
    if destination not in settings.destination:
        fail(f"no [destination.{destination}] (known: {', '.join(sorted(settings.destination)) or 'none'})", 2)


def _say(told: dict[str, Any], words: str, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(told))
    else:
        console.print("[green]✓[/]", plain(words), highlight=False)
