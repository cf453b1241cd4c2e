"""`greffier policy …`: who is never recorded, why a call was recorded, and what another configuration would record."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from agent.commands.common import DEFAULT_CONFIG, ConfigOption, console, fail, journalled, settings_of
from agent.commands.plain import PlainTable
from agent.commands.policy_explain import explain
from agent.commands.policy_try import try_
from agent.config import Settings
from agent.vault.lists import OPT_OUT, PROTECTED, Entry, Hasher, read_list, write_list

app = typer.Typer(help="Who is recorded and why; what a change would record.", no_args_is_help=True)
NumberArgument = Annotated[
    str | None, typer.Argument(help="A number, or #HASH as `list` shows it. Asked for when absent: no shell keeps it.")
]
NoteOption = Annotated[str, typer.Option("--note", "-n", help="Why; stored in clear, so no names or numbers here.")]


@app.callback()
def policy() -> None:
    """Who is recorded and why; what a change would record."""


def _add(settings: Settings, name: str, number: str | None, note: str) -> None:
    """Put a number on a list. Only its keyed hash is stored."""
    entries, entry_hash = _sought(settings, name, number)
    if any(entry.hash == entry_hash for entry in entries):
        console.print(f"[yellow]=[/] #{entry_hash[:10]} is on the list already", highlight=False)
        return
    entry = Entry(entry_hash, datetime.now(UTC).strftime("%Y-%m-%d"), " ".join(note.split())[:200])
    write_list(settings.lists_dir / name, (*entries, entry))
    _say(settings, "list.added", name, entry_hash)
    console.print(
        f"[green]✓[/] #{entry_hash[:10]} is on the list; a running recorder knows within seconds", highlight=False
    )


def _remove(settings: Settings, name: str, number: str | None) -> None:
    """Take a number off a list."""
    entries, entry_hash = _sought(settings, name, number)
    kept = tuple(entry for entry in entries if entry.hash != entry_hash)
    if len(kept) == len(entries):
        fail("it is not on the list")
    write_list(settings.lists_dir / name, kept)
    _say(settings, "list.removed", name, entry_hash)
    console.print(f"[green]✓[/] #{entry_hash[:10]} is off the list", highlight=False)


def _list(settings: Settings, name: str) -> None:
    """Show a list: hashes, days and notes."""
    table = PlainTable(title=f"{name.removesuffix('.txt')} (numbers are kept only as keyed hashes)")
    for column in ("number", "since", "note"):
        table.add_column(column)
    for entry in _entries(settings, name):
        table.add_row(f"#{entry.hash[:10]}", entry.added or "–", entry.note)
    console.print(table)


def _check(settings: Settings, name: str, number: str | None) -> None:
    """Say whether a number is on a list; the status is 1 when it is not."""
    entries, entry_hash = _sought(settings, name, number)
    for entry in entries:
        if entry.hash == entry_hash:
            console.print(f"on the list since {entry.added or '?'}  {entry.note}", highlight=False, markup=False)
            return
    console.print("not on the list")
    raise typer.Exit(1)


def _entries(settings: Settings, name: str) -> tuple[Entry, ...]:
    try:
        return read_list(settings.lists_dir / name)
    except (OSError, ValueError) as error:
        fail(str(error))


def _sought(settings: Settings, name: str, number: str | None) -> tuple[tuple[Entry, ...], str]:
    """The list and the hash of the number that is meant."""
    entries = _entries(settings, name)
    wanted = (number or typer.prompt("Number")).strip()
    if wanted.startswith("#"):
        found = [entry.hash for entry in entries if len(wanted) > 4 and entry.hash.startswith(wanted[1:])]
        if len(found) != 1:
            fail("no entry begins so" if not found else "several entries begin so")
        return entries, found[0]
    if not wanted:
        fail("a number is needed", 2)
    try:
        hasher = Hasher.made(settings.site.keys_dir, settings.site.calling_code)
    except OSError as error:
        fail(f"the key of the lists: {error}")
    return entries, hasher(wanted)


def _say(settings: Settings, kind: str, name: str, entry_hash: str) -> None:
    journalled(settings, kind, list=name.removesuffix(".txt"), number=f"#{entry_hash[:10]}")


def _commands_of(name: str, words: str) -> typer.Typer:
    """add, remove, list and check of one list."""
    commands = typer.Typer(help=words, no_args_is_help=True)

    @commands.command("add", help=f"Put a number on the list: {words}")
    def add(number: NumberArgument = None, note: NoteOption = "", config: ConfigOption = DEFAULT_CONFIG) -> None:
        _add(settings_of(config), name, number, note)

    @commands.command("remove", help="Take a number off the list.")
    def remove(number: NumberArgument = None, config: ConfigOption = DEFAULT_CONFIG) -> None:
        _remove(settings_of(config), name, number)

    @commands.command("list", help="Show the list: hashes, days and notes.")
    def show(config: ConfigOption = DEFAULT_CONFIG) -> None:
        _list(settings_of(config), name)

    @commands.command("check", help="Say whether a number is on the list (status 1: it is not).")
    def check(number: NumberArgument = None, config: ConfigOption = DEFAULT_CONFIG) -> None:
        _check(settings_of(config), name, number)

    return commands


app.command("explain")(explain)
app.command("try")(try_)
app.add_typer(_commands_of(OPT_OUT, "customers who opted out; no call of theirs is recorded."), name="opt-out")
app.add_typer(_commands_of(PROTECTED, "extensions whose calls are never recorded."), name="protect")
