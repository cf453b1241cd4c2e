"""`greffier person find|access|erase|restrict|object NUMBER`: the rights of a person whom calls are about."""

import hashlib
import json
import sqlite3
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from agent.commands.common import DEFAULT_CONFIG, ConfigOption, catalog_of, console, fail, settings_of, utc
from agent.commands.export import read_identity, where
from agent.commands.hold import person as at_keyboard
from agent.commands.plain import PlainTable, plain
from agent.config import Settings
from agent.model.person import Fate, PersonRequest, Right
from agent.retain import archive, rights
from agent.retain.dossier import CallDossier, dossier_of, fate, gather, outlook
from agent.retain.letter import letter
from agent.retain.page import Facts
from agent.retain.words import ENGLISH, Words
from agent.store.catalog import Catalog
from agent.store.journal import Entry as JournalEntry
from agent.store.journal import Field, Journal
from agent.store.persons import Place
from agent.vault import sitekeys
from agent.vault.age import check_recipient
from agent.vault.lists import OPT_OUT, Entry, Hasher, read_list, write_list
from agent.vault.numbers import NotANumber, international, number_hash, number_hashes, of_a_person
from agent.vault.sealed import Box, Unsealable
from agent.vault.secretfile import write_private
from agent.vault.signing import SiteKey

LOOK_S = 0.2
SHOWN_DIGITS = 10

app = typer.Typer(help="Rights of persons: what is kept of a number, and what they ask for.", no_args_is_help=True)
NumberArgument = Annotated[
    str | None,
    typer.Argument(help='The number; asked for when absent, read from standard input with "-": no shell keeps it.'),
]
ReferenceOption = Annotated[
    str, typer.Option("--reference", help="Of the person's own letter or case; no names or numbers here.")
]
ReasonOption = Annotated[str, typer.Option("--reason", "-r", help="Kept in the journal.")]


@app.callback()
def person() -> None:
    """Rights of persons: what is kept of a number, and what they ask for (docs/persons.md)."""


@dataclass(frozen=True, slots=True)
class Case:
    """What each of these commands works with."""

    settings: Settings
    catalog: Catalog
    journal: Journal
    site_key: SiteKey
    number: str
    hashes: frozenset[str]
    shown: str

    def asked(self, right: Right, reason: str, reference: str) -> PersonRequest:
        """The request, filed."""
        texts = (reason.strip()[:200], reference.strip()[:100])
        return self.catalog.persons.ask(PersonRequest(right, at_keyboard(), *texts, self.shown, time.time_ns()))

    def calls(self) -> list[CallDossier]:
        """What there is now."""
        return gather(self.catalog, self.hashes)

    def facts(self, request: PersonRequest) -> Facts:
        """What letters and archives say beside the calls."""
        settings = self.settings
        earlier = [one for one in self.catalog.persons.requests(self.shown) if one.number != request.number]
        return Facts(
            site=settings.site.name,
            controller=settings.persons.controller,
            contact=settings.persons.contact,
            zone=ZoneInfo(settings.site.timezone),
            purposes=settings.purpose,
            request=request,
            earlier=earlier,
            opted_out=_opted_out(settings, self.number),
            now_ns=time.time_ns(),
        )

    def settled(
        self, request: PersonRequest, calls: Sequence[CallDossier], *, waiting: bool = False, **more: Field | object
    ) -> None:
        """Record, letter and line of what was done, and where they are."""
        facts = self.facts(request)
        name = rights.name_of(request)
        try:
            known, path = rights.record(self.settings, self.catalog, self.site_key, request, calls, facts.now_ns, more)
            text = self.settings.persons_dir / f"{name}.fr.txt"
            write_private(text, letter(calls, facts, waiting=waiting).encode())
            said: dict[str, Field] = {"request": request.number, "number": f"#{self.shown}", "actor": request.actor}
            said |= {"reason": request.reason, "calls": len(calls), "record_sha256": known.record_sha256}
            if waiting:
                said["waiting"] = True
            self.journal.append_all([JournalEntry(f"person.{request.right}", None, None, said)])
        except OSError as error:
            fail(f"it was done, but its record cannot be written: {error}; say the same again")
        console.print(plain(f"  signed record: {path}"), highlight=False, soft_wrap=True)
        console.print(plain(f"  letter (French): {text}"), highlight=False, soft_wrap=True)


@app.command("find")
def find(
    number: NumberArgument = None,
    reference: ReferenceOption = "",
    as_json: Annotated[bool, typer.Option("--json", help="For programs; leaves record and letter as well.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Say what is kept of a person: calls, purposes, where, until when, and what an erasure would come to."""
    case = _case(config, number)
    request = case.asked(Right.FIND, "", reference)
    calls = case.calls()
    if as_json:
        typer.echo(json.dumps(_rows(case.settings, calls), ensure_ascii=False, indent=2))
        with console.capture():
            case.settled(request, calls)
        return
    _show(case.settings, calls)
    case.settled(request, calls)


@app.command("access")
def access(
    out: Annotated[Path, typer.Option("--out", "-o", help="The archive: person.zip.age, or person.zip in clear.")],
    number: NumberArgument = None,
    to: Annotated[
        list[str] | None, typer.Option("--to", help="age public key (age1…, ssh-ed25519 …) it is encrypted to.")
    ] = None,
    in_clear: Annotated[bool, typer.Option("--in-clear", help="Anyone who has the file hears it; see below.")] = False,
    key: Annotated[
        list[Path] | None,
        typer.Option("--key", "-k", help="age identity file of a purpose, which opens its artifacts."),
    ] = None,
    folder: Annotated[
        list[Path] | None, typer.Option("--folder", help="What was fetched from the centre; repeatable.")
    ] = None,
    reference: ReferenceOption = "",
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Make one archive of all that is kept of a person, and of nobody else: own voice, own words, index page.

    The box opens no artifact by itself: give the key of each purpose. It is encrypted to you or to the person (--to).
    With --in-clear it is an ordinary zip: write it where nobody else reads, hand it over, and delete it.
    """
    if bool(to) == in_clear:
        fail("say for whom the archive is encrypted: --to age1… (or, if it must be, --in-clear)", 2)
    for recipient in to or ():
        _must_be_recipient(recipient)
    identities = [read_identity(path) for path in key or ()]
    if out.exists():
        fail(f"{out} exists already", 2)
    case = _case(config, number)
    request = case.asked(Right.ACCESS, "", reference)
    calls = case.calls()

    def readable(place: Place) -> Path | None:
        fetched = (root / place.artifact.path for root in folder or ())
        return next((path for path in fetched if path.is_file()), None) or where(case.settings, place.artifact)

    sources = archive.Sources(readable, identities)
    try:
        enclosed = archive.write(out, to or (), calls, case.facts(request), sources)
    except OSError as error:
        fail(f"{out} cannot be written: {error.strerror}")
    files = [one for one in enclosed if one.name]
    console.print(plain(f"✓ {out}: {len(calls)} calls, {len(files)} files of the person's"), highlight=False)
    if in_clear:
        console.print(
            f"[red]![/] {out} is in clear: whoever has it hears it. Hand it over and delete it.", highlight=False
        )
    for why in sorted({one.why for one in enclosed if one.why}):
        many = sum(one.why == why for one in enclosed)
        console.print(plain(f"  {many} artifacts are not in it: {why}"), style="yellow", highlight=False)
    with out.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    listed = [{"path": one.path, "file": one.name, "sha256": one.sha256, "why_not": one.why} for one in enclosed]
    sealed_to = {"sha256": digest, "size": out.stat().st_size, "to": list(to or ()), "in_clear": in_clear}
    case.settled(request, calls, archive=sealed_to, enclosed=listed)


@app.command("erase")
def erase(
    reason: ReasonOption,
    number: NumberArgument = None,
    reference: ReferenceOption = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking once more.")] = False,
    wait_s: Annotated[
        float, typer.Option("--wait", min=0, help="Seconds to wait for the scribe to have done it.")
    ] = 30,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Destroy what may be destroyed of a person, call back what had left, list what must be kept and why.

    What waits in the outbox is not sent from this moment on. What a contract or the law demands is kept; what a legal
    hold covers is erased when the hold ends. Said again later, it makes record and letter of how it stands by then.
    """
    case = _case(config, number)
    calls = case.calls()
    if not yes:
        _show(case.settings, calls)
        if not sys.stdin.isatty() or not typer.confirm("Erase what may be erased?"):
            fail("nothing was done; --yes does it", 2)
    request = case.asked(Right.ERASE, reason, reference)
    rights.erase(case.catalog, case.journal, request, case.hashes, calls, case.settings.purpose)
    mine = {call.call.call_id for call in calls}
    deadline = time.monotonic() + wait_s
    while (calls := _those(case, mine)) and _pending(case.settings, calls) and time.monotonic() < deadline:
        time.sleep(LOOK_S)
    _show(case.settings, calls)
    if _pending(case.settings, calls):
        console.print(
            "[yellow]=[/] the scribe has not done it all yet (is it running? are calls still on?); nothing of it is "
            "sent meanwhile. Say the same again later for the final letter.",
            highlight=False,
        )
    case.settled(request, calls)


@app.command("restrict")
def restrict(
    reason: ReasonOption,
    number: NumberArgument = None,
    reference: ReferenceOption = "",
    lift: Annotated[bool, typer.Option("--lift", help="The restriction ends.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Freeze what is kept of a person: no use, no delivery, no deletion, here and at the centre, until it is lifted.

    With `two_person = true` in [retention] two persons lift it, as they release legal holds.
    """
    case = _case(config, number)
    if not lift:
        request = case.asked(Right.RESTRICT, reason, reference)
        rights.restrict(case.catalog, case.journal, request, case.hashes)
        calls = case.calls()
        console.print(f"[green]✓[/] {len(calls)} calls are restricted, and those that come later", highlight=False)
        case.settled(request, calls)
        return
    if not case.catalog.persons.restrictions(case.hashes):
        fail("nothing of this number is restricted")
    request = case.asked(Right.LIFT, reason, reference)
    two = case.settings.retention.two_person
    rights.lift(case.catalog, case.journal, request, case.hashes, two_person=two)
    waiting = bool(case.catalog.persons.restrictions(case.hashes))
    if waiting:
        console.print("[yellow]=[/] a second, other person says the same within a day", highlight=False)
    else:
        console.print("[green]✓[/] the restriction is lifted", highlight=False)
    case.settled(request, case.calls(), waiting=waiting)


@app.command("object")
def object_(
    number: NumberArgument = None,
    reason: ReasonOption = "objection",
    reference: ReferenceOption = "",
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Put a person on the opt-out list: none of their calls is recorded from now on. What there is, `erase` erases."""
    case = _case(config, number)
    settings = case.settings
    request = case.asked(Right.OBJECT, reason, reference)
    try:
        hashed = Hasher.made(settings.site.keys_dir, settings.site.calling_code)(case.number)
        entries = read_list(settings.lists_dir / OPT_OUT)
        if not any(entry.hash == hashed for entry in entries):
            today = datetime.now(UTC).strftime("%Y-%m-%d")
            write_list(settings.lists_dir / OPT_OUT, (*entries, Entry(hashed, today, f"request {request.number}")))
            said: dict[str, Field] = {"list": OPT_OUT.removesuffix(".txt"), "number": f"#{hashed[:SHOWN_DIGITS]}"}
            case.journal.append_all([JournalEntry("list.added", None, None, said | {"actor": request.actor})])
    except (OSError, ValueError) as error:
        fail(f"the opt-out list: {error}")
    calls = case.calls()
    console.print("[green]✓[/] no call of this number is recorded from now on", highlight=False)
    if any(call.kept(name) for call in calls for name in call.purposes(settings.purpose)):
        console.print(f"  {len(calls)} calls of before are kept; `greffier person erase` erases them", highlight=False)
    case.settled(request, calls)


@app.command("list")
def list_(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """List what persons asked for, by whom it was answered, and the beginning of the number's keyed hash."""
    settings = settings_of(config)
    table = PlainTable(title="Requests of persons (numbers are kept only as keyed hashes)")
    for column in ("no.", "right", "number", "when (UTC)", "by", "reference", "reason", "record"):
        table.add_column(column)
    for one in catalog_of(settings).persons.requests():
        record = one.record_sha256[:SHOWN_DIGITS] or "not finished: say the same again"
        told = (one.right.value, f"#{one.shown}", utc(one.at_ns), one.actor, one.reference, one.reason, record)
        table.add_row(str(one.number), *told)
    console.print(table)


def _case(config: Path, number: str | None) -> Case:
    settings = settings_of(config)
    catalog = catalog_of(settings)
    keys_dir = settings.site.keys_dir
    if number == "-":
        number = sys.stdin.readline()
    elif number is None:
        number = typer.prompt("Number")
    try:
        number = of_a_person(number)
        box = Box.of(keys_dir)
        key = box.read(keys_dir / "numbers.key")
        site_key = SiteKey.load(keys_dir / sitekeys.KEY, box)
        journal = Journal(settings.journal_dir, "cli", time.time_ns)
    except NotANumber as error:
        fail(str(error), 2)
    except (OSError, ValueError, Unsealable, sqlite3.Error) as error:
        fail(f"the keys of this site: {error}; be root, or the user the agent runs as")
    code = settings.site.calling_code
    shown = number_hash(key, international(number, code))[:SHOWN_DIGITS]
    return Case(settings, catalog, journal, site_key, number, number_hashes(key, number, code), shown)


def _those(case: Case, mine: set[str]) -> list[CallDossier]:
    """The calls that were there when it was asked, though the number may have been taken off some meanwhile."""
    rows = sorted((case.catalog.find_call(call_id) for call_id in mine), key=lambda row: (row.started_ns, row.call_id))
    return [dossier_of(case.catalog, row, case.hashes) for row in rows]


def _pending(settings: Settings, calls: Sequence[CallDossier]) -> bool:
    return any(
        fate(call, name, settings.purpose.get(name))[0] is Fate.PENDING
        for call in calls
        for name in call.purposes(settings.purpose)
    )


def _opted_out(settings: Settings, number: str) -> bool:
    try:
        hashed = Hasher.load(settings.site.keys_dir, settings.site.calling_code)(number)
        return any(entry.hash == hashed for entry in read_list(settings.lists_dir / OPT_OUT))
    except (OSError, ValueError):
        return False


def _must_be_recipient(recipient: str) -> None:
    try:
        check_recipient(recipient)
    except ValueError as error:
        fail(str(error), 2)


def _rows(settings: Settings, calls: Sequence[CallDossier]) -> list[dict[str, object]]:
    words = Words(ENGLISH, ZoneInfo(settings.site.timezone))
    rows: list[dict[str, object]] = []
    for call in calls:
        for name in call.purposes(settings.purpose):
            section = settings.purpose.get(name)
            kept = call.kept(name)
            stands, would = fate(call, name, section), outlook(call, name, section)
            rows.append(
                {
                    "call": call.call.call_id,
                    "began": utc(call.call.started_ns),
                    "purpose": name,
                    "here": sum(p.here for p in kept),
                    "centre": sum(p.at_centre for p in kept),
                    "until": words.day(call.until_ns(name)) if kept else None,
                    "restricted": call.restricted,
                    "fate": stands[0].value,
                    "said": words.fate(*stands),
                    "erasable": bool(kept) and would[0] is Fate.STAYS,
                }
            )
    return rows


def _show(settings: Settings, calls: Sequence[CallDossier]) -> None:
    if not calls:
        console.print("Nothing is kept of this number.")
        return
    table = PlainTable(title=f"{len(calls)} calls")
    for column in ("call", "began (UTC)", "purpose", "here", "centre", "until", "", "erasable"):
        table.add_column(column)
    for row in _rows(settings, calls):
        state = f"{row['said']}{' (restricted)' if row['restricted'] else ''}"
        erasable = "yes" if row["erasable"] else "–"
        call = str(row["call"])[:12]
        cells = (call, row["began"], row["purpose"], row["here"], row["centre"], row["until"] or "–", state, erasable)
        table.add_row(*map(str, cells))
    console.print(table)
