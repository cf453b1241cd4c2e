"""`greffier mask CALL --from 1:02.5 --to 1:20 --reason …`: take a span out of what was recorded, after the fact."""

import re
import time
from typing import Annotated

import typer

from agent.commands.common import (
    DEFAULT_CONFIG,
    ConfigOption,
    actor,
    catalog_of,
    clock,
    console,
    fail,
    find_call,
    settings_of,
)
from agent.commands.drop import CallArgument, PurposeOption, ReasonOption, chosen
from agent.config import Settings
from agent.model.call import CLOCK_RATE
from agent.store.catalog import Catalog
from agent.store.journal import Journal
from agent.store.rows import CallRow, CorrectionRow

_TIME = re.compile(r"(?:(?:(\d{1,2}):)?(\d{1,4}):)?(\d{1,6}(?:\.\d{1,3})?)")
LONGEST_S = 24 * 3600


def mask(
    call: CallArgument,
    begin: Annotated[str, typer.Option("--from", help="Where it begins, on the call's own time line: 1:02.5.")],
    end: Annotated[str, typer.Option("--to", help="Where it ends.")],
    reason: ReasonOption,
    purpose: PurposeOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Mask a span: what was not sent yet is made again without it; for what was, a tombstone and a new version go out.

    On a live call the span is masked before anything is derived; to stop recording now, press pause.
    """
    start, stop = position(begin), position(end)
    if stop <= start:
        fail("--to must be after --from", 2)
    settings = settings_of(config)
    catalog = catalog_of(settings)
    row = find_call(catalog, call)
    names = chosen(settings, purpose)
    if row.state not in ("live", "ended", "interrupted"):
        _must_be_possible(settings, catalog, row, names)
    asked = [
        CorrectionRow(row.call_id, name, "mask", start, stop, actor(), reason[:200], time.time_ns()) for name in names
    ]
    journal = Journal(settings.journal_dir, "cli", time.time_ns)
    for one in asked:
        what: dict[str, str | int] = {"actor": one.actor, "reason": one.reason}
        span = {"from_samples": start, "to_samples": stop}
        journal.append("mask.asked", call_id=row.call_id, purpose=one.purpose, **what, **span)
    catalog.corrections.ask(asked)
    when = "once the call is over" if row.state == "live" else "now"
    short, words = row.call_id[:12], f"{clock(start)} to {clock(stop)}"
    console.print(
        f"[green]✓[/] {words} of call {short} is masked for {', '.join(names)} {when}; none of these is sent before.\n"
        f"  `greffier show {short}` says when it is done",
        highlight=False,
    )


def position(text: str) -> int:
    """A media position from `83.5`, `1:23.5` or `1:02:03`; the command ends when it is none."""
    found = _TIME.fullmatch(text.strip())
    seconds = float(found[3]) + 60 * int(found[2] or 0) + 3600 * int(found[1] or 0) if found else LONGEST_S + 1
    if seconds > LONGEST_S:
        fail(f"{text!r} is no time of a call; write 1:02.5, 62.5 or 1:02:03", 2)
    return round(seconds * CLOCK_RATE)


def _must_be_possible(settings: Settings, catalog: Catalog, row: CallRow, names: list[str]) -> None:
    short = row.call_id[:12]
    if any(catalog.legal_holds.is_held(row.call_id, name) for name in names):
        cases = ", ".join(sorted({h.case for h in catalog.legal_holds.of_call(row.call_id)}))
        fail(f"call {short} is under a legal hold ({cases}): `greffier hold release` first")
    until_ns = catalog.corrections.kept_until(row.call_id)
    waits = any(d.call_id == row.call_id for d in catalog.deferred())
    if (until_ns is None or until_ns <= time.time_ns()) and not waits:
        window_s = settings.scribe.correction_window
        fail(
            f"the key of call {short} is gone (scribe.correction_window is {window_s} s): nothing can be made without "
            f"the span any more. What can still be done: `greffier drop {short} --purpose NAME` destroys all of it"
        )
