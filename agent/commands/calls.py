"""`greffier calls`: live and recorded calls."""

import asyncio
import time
from typing import Annotated, Any

import typer
from rich.table import Table

from agent.commands.common import DEFAULT_CONFIG, ConfigOption, clock, console, settings_of, utc
from agent.commands.plain import plain
from agent.config import Settings
from agent.control.client import ControlClient, NoAnswer
from agent.model.artifact import Artifact, Delivery
from agent.model.gate import GateMark
from agent.store.catalog import Catalog
from agent.store.waiting import Waiting, WaitingCalls


def calls(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many, newest first.")] = 20,
    forgotten: Annotated[
        bool, typer.Option("--forgotten", help="Only recorded calls with a pause that nobody ended.")
    ] = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """List calls: the live ones first, then what was recorded, newest first."""
    settings = settings_of(config)
    live = [] if forgotten else live_calls(settings)
    if live:
        console.print(live_table(live))
    if settings.catalog_path.exists():
        console.print(recorded_table(Catalog(settings.catalog_path), limit, forgotten=forgotten))
        for words in queue(WaitingCalls(settings.catalog_path).look(), time.time_ns()):
            console.print(words, style="yellow", highlight=False, markup=False)
    elif not live:
        console.print("No calls yet. `greffier probe` places a test call.")


def live_calls(settings: Settings) -> list[dict[str, Any]]:
    """Live calls from the recorder; none when it is not running."""
    try:
        answer = asyncio.run(ControlClient(settings.recorder_socket).ask(op="calls"))
    except (NoAnswer, ValueError):
        return []
    found: list[dict[str, Any]] = answer["calls"]
    return found


def live_table(live: list[dict[str, Any]]) -> Table:
    """Calls in progress. Numbers are shown: the recorder has them in RAM; they are stored nowhere in clear."""
    table = Table(title="Live calls")
    for column in ("call", "since", "direction", "agent", "queue", "gates"):
        table.add_column(column)
    for call in live:
        age = (time.time_ns() - call["started_ns"]) / 1e9
        gates = ", ".join(f"{name} {_coloured(state)}" for name, state in call["states"].items())
        who, queue = plain(call["agent"] or "–"), plain(call["queue"] or "–")
        table.add_row(call["call_id"][:12], f"{age:.0f} s", call["direction"], who, queue, gates)
    return table


def _coloured(state: str) -> str:
    colour = {"recording": "red", "paused": "yellow", "armed-paused": "yellow", "armed": "cyan"}.get(state)
    return f"[{colour}]{state}[/]" if colour else state


def recorded_table(catalog: Catalog, limit: int, *, forgotten: bool = False) -> Table:
    """Calls of the catalog with what each purpose made of them, and whether a pause was forgotten."""
    table = Table(title="Recorded calls with a forgotten pause" if forgotten else "Recorded calls")
    for column in ("call", "started (UTC)", "length", "direction", "state", "pauses", "artifacts"):
        table.add_column(column)
    for call in catalog.calls(limit, forgotten=forgotten):
        made = catalog.artifacts(call_id=call.call_id)
        table.add_row(
            call.call_id[:12],
            utc(call.started_ns),
            clock(call.duration_samples),
            call.direction,
            call.state,
            pauses(catalog.marks(call.call_id)),
            summary(made) if made else ", ".join(catalog.nothing(call.call_id).values()) or "–",
        )
    return table


def queue(waiting: Waiting, now_ns: int) -> list[str]:
    """How many calls wait for their text, since when and why, in words."""
    found = []
    if waiting.oldest_ns is not None:
        since = f"the oldest for {age(max(0, now_ns - waiting.oldest_ns) / 1e9)}"
        why = f" ({'; '.join(waiting.reasons)})" if waiting.reasons else ""
        found.append(f"{waiting.calls} wait for their text, {since}{why}")
    return found + ([f"{waiting.again} are to be transcribed again"] if waiting.again else [])


def age(seconds: float) -> str:
    """`40 s`, `12 min`, `5 h`, `3 days`."""
    for most, unit, name in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < most:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds / 86400:.0f} days"


def pauses(marks: list[GateMark]) -> str:
    """`2, 1 forgotten`: how often somebody paused, and how often nobody resumed. One press counts once for all
    purposes."""
    begun = {(m.at_ns, m.actor) for m in marks if m.verb == "pause"}
    forgotten = {m.at_ns for m in marks if m.verb == "limit"}
    return ", ".join([str(len(begun)), *([f"[yellow]{len(forgotten)} forgotten[/]"] if forgotten else [])])


def summary(artifacts: list[Artifact]) -> str:
    """`evidence 4 sent, analytics 3 waiting`."""
    groups: dict[tuple[str, Delivery], int] = {}
    for artifact in artifacts:
        key = (artifact.purpose, artifact.delivery)
        groups[key] = groups.get(key, 0) + 1
    return ", ".join(f"{purpose} {n} {delivery.value}" for (purpose, delivery), n in sorted(groups.items())) or "–"
