"""`greffier hold add|list|release`: a legal hold keeps calls past their deadlines, here and at the centre."""

import json
import os
import pwd
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.markup import escape
from typer.core import TyperGroup

from agent.commands.common import (
    DEFAULT_CONFIG,
    ConfigOption,
    catalog_of,
    console,
    fail,
    find_call,
    instant,
    settings_of,
    utc,
)
from agent.commands.plain import PlainTable
from agent.config import Settings
from agent.model.hold import LegalHold
from agent.policy.hold import Release
from agent.retain import holds
from agent.store.catalog import Catalog
from agent.store.journal import Journal
from agent.vault.numbers import number_hashes
from agent.vault.sealed import Unsealable, read_sealed

NOBODY = 0xFFFF_FFFF
"""The login id of a process that nobody logged in for."""


class HoldCommands(TyperGroup):
    """Whoever types the command of earlier versions, `greffier hold CALL`, is told the new one."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """See click."""
        if args and self.get_command(ctx, args[0]) is None:
            ctx.fail(f"holds have a case now: greffier hold add --case REF --call {args[0][:40]} --reason …")
        return super().resolve_command(ctx, args)


app = typer.Typer(cls=HoldCommands, help="Legal holds: what is kept past its deadlines.", no_args_is_help=True)


@app.callback()
def hold() -> None:
    """Legal holds: what is kept past its deadlines, here and at the centre, until the hold is released."""


@app.command("add")
def add(
    case: Annotated[str, typer.Option("--case", help="Reference of the case; holds are released by it.")],
    reason: Annotated[str, typer.Option("--reason", "-r", help="Kept in the journal.")],
    call: Annotated[list[str] | None, typer.Option("--call", help="Call id, or its first digits; repeatable.")] = None,
    number: Annotated[
        str | None,
        typer.Option("--number", help='Calls in which it takes part; "-": asked for, so that no shell keeps it.'),
    ] = None,
    begin: Annotated[
        str | None, typer.Option("--from", help='Calls that were on at or after: 2026-11-01, "yesterday".')
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help='Calls that began before: "2026-11-02 12:00".')] = None,
    purpose: Annotated[str | None, typer.Option("--purpose", "-p", help="Only this purpose.")] = None,
    until: Annotated[
        str | None, typer.Option("--until", help="The hold ends by itself then; else by `release`.")
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Place a legal hold: nothing that it covers is deleted, now or when it comes to be covered.

    All that is given must fit: --number with --from and --to holds that number's calls of that time. A hold covers
    calls that come later as well. What is at the centre is held there too, where the destination can do that. It wins
    over a customer's withdrawal, which waits until the hold ends; meanwhile nothing of that purpose is sent or found.
    """
    settings = settings_of(config)
    catalog = catalog_of(settings)
    if not case.strip() or not reason.strip():
        fail("--case and --reason must say something", 2)
    if purpose is not None and purpose not in settings.purpose:
        fail(f"no purpose {purpose!r} (known: {', '.join(settings.purpose) or 'none'})", 2)
    calls = [find_call(catalog, one).call_id for one in call or ()]
    now_ns = time.time_ns()
    asked = LegalHold(
        case=case.strip()[:100],
        actor=person(),
        reason=reason.strip()[:200],
        at_ns=now_ns,
        numbers=_numbers(settings, number),
        purpose=purpose,
        from_ns=_at(settings, begin),
        to_ns=_at(settings, end),
        until_ns=_at(settings, until),
    )
    if asked.until_ns is not None and asked.until_ns <= now_ns:
        fail("--until is over already", 2)
    if asked.from_ns is not None and asked.to_ns is not None and asked.from_ns >= asked.to_ns:
        fail("--from must be before --to", 2)
    if not calls and not asked.says_what:
        fail("say what is held: --call, --number, --from and --to, or --purpose", 2)
    journal = Journal(settings.journal_dir, "cli", time.time_ns)
    for call_id in calls or (None,):
        placed = holds.place(catalog, journal, replace(asked, call_id=call_id))
        many, here = catalog.legal_holds.extent(placed)
        console.print(
            f"[green]✓[/] {escape(placed.case)}: {_words(placed)} {'is' if call_id else 'are'} held: now "
            f"{many} calls, {here} artifacts here",
            highlight=False,
        )


@app.command("list")
def list_(
    ended: Annotated[bool, typer.Option("--all", help="Those that ended as well.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """List legal holds: by whom, what each covers now, and whether the centre could be told."""
    settings = settings_of(config)
    catalog = catalog_of(settings)
    rows = [_row(catalog, one) for one in (catalog.legal_holds.all() if ended else catalog.legal_holds.open())]
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    table = PlainTable(title="Legal holds (numbers are kept only as keyed hashes)")
    for column in ("case", "what", "since", "by", "reason", "calls", "here", "at the centre", "state"):
        table.add_column(column)
    for row in rows:
        centre = ", ".join(f"{one['artifacts']} {one['state']}{_because(one)}" for one in row["centre"]) or "–"
        shown = [row[name] for name in ("case", "what", "since", "by", "reason", "calls", "here")]
        table.add_row(*map(str, shown), centre, row["state"])
    console.print(table)


@app.command("release")
def release(
    case: Annotated[str, typer.Argument(help="The case, as `greffier hold list` shows it.")],
    reason: Annotated[str, typer.Option("--reason", "-r", help="Kept in the journal.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Release all holds of a case: what is past its deadline, and covered by no other hold, is deleted soon.

    With `two_person = true` in [retention] the first person only asks, and another one has a day to say the same.
    """
    settings = settings_of(config)
    catalog = catalog_of(settings)
    mine = catalog.legal_holds.open(case.strip())
    if not mine:
        fail(f"no hold of case {case!r}; `greffier hold list` shows them")
    journal = Journal(settings.journal_dir, "cli", time.time_ns)
    two = settings.retention.two_person
    outcome = holds.end(catalog, journal, mine, person(), reason.strip()[:200], time.time_ns(), two_person=two)
    if many := outcome.get(Release.DONE):
        console.print(f"[green]✓[/] {escape(case)}: {many} released", highlight=False)
    if many := outcome.get(Release.ASKED):
        console.print(
            f"[yellow]=[/] {escape(case)}: {many} wait for a second person, who says the same within a day",
            highlight=False,
        )
    if Release.SAME_PERSON in outcome:
        fail("you asked for it yourself: a second, other person must confirm within a day")


def person() -> str:
    """Who is at the keyboard: who logged in, as the kernel remembers it; else whom root's sudo names; else who runs
    this."""
    try:
        login = int(Path("/proc/self/loginuid").read_text(encoding="ascii"))
    except (OSError, ValueError):  # a kernel without audit
        login = NOBODY
    if login != NOBODY:
        return f"cli:{_name(login)}"
    if os.geteuid() == 0 and (named := os.environ.get("SUDO_USER")):
        return f"cli:{named}"
    return f"cli:{_name(os.getuid())}"


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _numbers(settings: Settings, number: str | None) -> frozenset[str]:
    if number is None:
        return frozenset()
    if number == "-":
        number = typer.prompt("Number") if sys.stdin.isatty() else sys.stdin.readline()
    if not number.strip():
        fail("a number is needed", 2)
    try:
        key = read_sealed(settings.site.keys_dir, "numbers.key")
    except (OSError, ValueError, Unsealable) as error:
        fail(f"the key of numbers: {error}")
    return number_hashes(key, number, settings.site.calling_code)


def _at(settings: Settings, text: str | None) -> int | None:
    try:
        return None if text is None else instant(text, ZoneInfo(settings.site.timezone))
    except ValueError as error:
        fail(str(error), 2)


def _row(catalog: Catalog, one: LegalHold) -> dict[str, Any]:
    calls, here = catalog.legal_holds.extent(one)
    orders = catalog.orders.of_hold(one.number) if one.is_open else []
    centre = [{"state": state, "why": why, "artifacts": many} for state, why, many in orders]
    if one.ended_ns is not None:
        state = f"ended {utc(one.ended_ns)}"
    elif one.asked_ns is not None:
        state = f"{one.asked_by} wants it released, {utc(one.asked_ns)}"
    else:
        state = f"until {utc(one.until_ns)}" if one.until_ns else "holds"
    return {
        "case": one.case,
        "what": _words(one),
        "since": utc(one.at_ns),
        "by": one.actor,
        "reason": one.reason,
        "calls": calls,
        "here": here,
        "centre": centre,
        "state": state,
    }


def _words(one: LegalHold) -> str:
    words = [f"call {one.call_id[:12]}"] if one.call_id else []
    words += [f"number #{min(one.numbers)[: holds.SHOWN_DIGITS]}"] if one.numbers else []
    words += [f"from {utc(one.from_ns)}"] if one.from_ns else []
    words += [f"to {utc(one.to_ns)}"] if one.to_ns else []
    words += [f"purpose {one.purpose}"] if one.purpose else []
    return ", ".join(words)


def _because(centre: dict[str, Any]) -> str:
    return f" ({centre['why']})" if centre["why"] else ""
