"""`greffier keys`: who may read each purpose, the site's own keys, and how they are kept (docs/keys.md)."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

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
from agent.commands.keys_ceremony import ceremony, from_paper
from agent.commands.keys_list import Found, found_in
from agent.commands.keys_protect import protect
from agent.commands.plain import PlainTable, plain
from agent.config import Settings
from agent.config.recipients import Reader, check_label, parse_line, read_readers, with_reader, without_reader
from agent.retain.identities import ages_s, ensure_current
from agent.retain.ntp import read_clocks
from agent.retain.trusted import believed_ns
from agent.store.journal import Journal
from agent.vault import sitekeys
from agent.vault.age import check_recipient, fingerprint
from agent.vault.sealed import Box, Unsealable
from agent.vault.secretfile import as_owner, write_private

SHORTEST_START = 12
STAYS = "What was encrypted until now stays readable to whoever has the old key: it is not encrypted anew."

PurposeArgument = Annotated[str, typer.Argument(help="A purpose of the configuration.")]
LabelOption = Annotated[str, typer.Option("--label", "-l", help="Whose key it is, or where it is kept.")]

app = typer.Typer(
    help="Who may read each purpose, the site's signing key, working identities, and how they are kept.",
    no_args_is_help=True,
)


@app.command("list")
def list_keys(
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """List every key: readers of each purpose, the site's own, working identities, other secrets. Shows no secret."""
    settings = settings_of(config)
    try:
        found = found_in(settings, time.time_ns())
    except (OSError, ValueError) as error:
        fail(str(error))
    if as_json:
        console.print(json.dumps(found.as_dict(), indent=1), highlight=False, soft_wrap=True, markup=False)
        return
    _show(found)


def _show(found: Found) -> None:
    table = PlainTable("purpose", "reader", "fingerprint", "added", "may read", title="Readers")
    for purpose, readers in found.readers.items():
        for reader in readers:
            may = f"until {reader.revoked}" if reader.revoked else "yes"
            table.add_row(
                purpose, reader.label or "–", fingerprint(reader.recipient), reader.added or "–", may,
                style="dim" if reader.revoked else None,
            )  # fmt: skip
    console.print(table)
    site = ", ".join(fingerprint(key) for key in found.site_keys[:-1])
    console.print(f"site key    {fingerprint(found.site_keys[-1])}", highlight=False)
    if site:
        console.print(f"  before    {site}", highlight=False)
    console.print(f"kept        {found.kept.value}: {found.how}", highlight=False)
    ages = ", ".join(f"{age / 3600:.1f} h" for age in found.identity_ages_s) or "none"
    console.print(f"working     {len(found.identity_ages_s)} identities, old: {ages}", highlight=False)
    others = PlainTable("secret", "kept", "mode", title="Files")
    for name, kept, mode in found.files:
        others.add_row(name, kept, mode)
    console.print(others)


@app.command("add-recipient")
def add_recipient(
    purpose: PurposeArgument,
    recipient: Annotated[str, typer.Argument(help="An age public key (age1…), or an ssh-ed25519 line in quotes.")],
    label: LabelOption = "",
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Let one more key read a purpose, from the next artifact on. What is there already is not encrypted anew."""
    settings = settings_of(config)
    path = _file_of(settings, purpose)
    reader = _reader(recipient, label)
    _change(settings, path, purpose, lambda text: with_reader(text, reader), added=(reader,))
    console.print(f"[green]✓[/] {fingerprint(reader.recipient)} may read {purpose} from now on", highlight=False)


@app.command("revoke")
def revoke(
    purpose: PurposeArgument,
    recipient: Annotated[str, typer.Argument(help="The public key, its first 12 characters, or its label.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Encrypt nothing more to a key. The past stays readable to its holder."""
    settings = settings_of(config)
    path = _file_of(settings, purpose)
    readers = _active(path)
    gone = _meant(readers, recipient)
    if len(readers) == 1:
        fail(f"{purpose} would have no reader left; `greffier keys rotate {purpose} NEW-KEY` puts another in its place")
    _change(settings, path, purpose, lambda text: without_reader(text, gone.recipient, _today()), revoked=(gone,))
    console.print(
        f"[green]✓[/] nothing more of {purpose} is encrypted to {fingerprint(gone.recipient)}", highlight=False
    )
    console.print(f"[yellow]![/] {STAYS}", highlight=False)


@app.command("rotate")
def rotate(
    purpose: Annotated[str | None, typer.Argument(help="A purpose: NEW takes the place of its readers.")] = None,
    new: Annotated[str | None, typer.Argument(help="The new public key, as `keys ceremony` shows it.")] = None,
    label: LabelOption = "",
    beside: Annotated[bool, typer.Option("--beside", help="The readers there are go on as well.")] = False,
    site: Annotated[bool, typer.Option("--site", help="The site's signing key.")] = False,
    working: Annotated[bool, typer.Option("--working", help="The working identity, now instead of daily.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Change a key: of a purpose (PURPOSE NEW), the site's signing key (--site), the working identity (--working)."""
    settings = settings_of(config)
    if site + working + (purpose is not None) != 1:
        fail("say which key: PURPOSE NEW-KEY, --site or --working", 2)
    if site:
        _rotate_site(settings)
    elif working:
        _rotate_working(settings)
    elif purpose is None or new is None:
        fail(f"the new public key is needed: `greffier keys ceremony {purpose}` makes one, on a machine you trust", 2)
    else:
        _rotate_purpose(settings, purpose, _reader(new, label), beside)


def _rotate_purpose(settings: Settings, purpose: str, reader: Reader, beside: bool) -> None:
    path = _file_of(settings, purpose)
    old = () if beside else tuple(_active(path))

    def changed(text: str) -> str:
        text = with_reader(text, reader)
        for one in old:
            text = without_reader(text, one.recipient, _today())
        return text

    _change(settings, path, purpose, changed, added=(reader,), revoked=old)
    console.print(f"[green]✓[/] {purpose} is encrypted to {fingerprint(reader.recipient)} from now on", highlight=False)
    console.print(f"[yellow]![/] {STAYS} Keep the old key as long as anything of the past is kept.", highlight=False)


def _rotate_site(settings: Settings) -> None:
    def tell(old: bytes, made: bytes) -> None:
        journalled(settings, "site_key.rotated", previous=old.hex(), public=made.hex())

    keys_dir = settings.site.keys_dir
    try:
        old, made = sitekeys.rotate(keys_dir, Box.of(keys_dir), time.time_ns(), tell)
    except (OSError, ValueError, Unsealable) as error:
        fail(f"the site key was not changed: {error}; doing it again is safe")
    console.print(f"[green]✓[/] the site signs with {fingerprint(made)} from now on", highlight=False)
    console.print(f"    {fingerprint(old)} stays trusted for what it signed: it signed its successor", highlight=False)
    console.print(
        f"[yellow]![/] give {keys_dir / sitekeys.LINKS} (public) to whoever verifies this site's records elsewhere",
        highlight=False,
        soft_wrap=True,
    )


def _rotate_working(settings: Settings) -> None:
    folder = settings.identities_dir
    if not folder.is_dir():
        fail(f"there is no {folder} yet: the scribe makes the first working identity when it starts")
    try:
        box = Box.of(settings.site.keys_dir)
        journal = Journal(settings.journal_dir, "cli", time.time_ns)
        journal.append("identity.asked", actor=actor())
        now_ns = believed_ns(catalog_of(settings), settings.retention, read_clocks())
        before = len(ages_s(folder, 0))
        with as_owner(folder):
            ensure_current(folder, settings.recipient_file, 0, now_ns, journal, box)
    except (OSError, ValueError, Unsealable) as error:
        fail(f"no working identity was made: {error}")
    if len(ages_s(folder, 0)) == before:
        fail("the clock, as it is believed, is behind the newest working identity; that one goes on until then")
    console.print("[green]✓[/] calls that begin from now on are under a new working identity", highlight=False)
    console.print("    those before it are destroyed once no call needs them", highlight=False)


app.command("protect")(protect)
app.command("ceremony")(ceremony)
app.command("from-paper")(from_paper)


# ---- recipients files


def _file_of(settings: Settings, purpose: str) -> Path:
    section = settings.purpose.get(purpose)
    if section is None:
        fail(f"there is no purpose {purpose} (known: {', '.join(sorted(settings.purpose))})", 2)
    if section.recipients_file is None:
        fail(f"purpose {purpose} keeps nothing, and has no readers", 2)
    return section.recipients_file


def _reader(text: str, label: str) -> Reader:
    try:
        reader = parse_line(text.strip())
        if reader is None or reader.revoked:
            raise ValueError("expected a public key (age1… or ssh-ed25519 …)")
        check_recipient(reader.recipient)
        return Reader(reader.recipient, check_label(label or reader.label), _today())
    except ValueError as error:
        if "AGE-SECRET-KEY" in text.upper():
            fail("that is a SECRET key: it must not be on this box; the public one begins with age1", 2)
        fail(str(error), 2)


def _active(path: Path) -> list[Reader]:
    try:
        return [reader for reader in read_readers(path) if not reader.revoked]
    except (OSError, ValueError) as error:
        fail(str(error))


def _meant(readers: list[Reader], text: str) -> Reader:
    text = text.strip()
    start = len(text) >= SHORTEST_START
    found = [r for r in readers if text in (r.recipient, r.label) or (start and r.recipient.startswith(text))]
    if len(found) != 1:
        fail("no reader is called so; `greffier keys list` lists them" if not found else "several readers are meant", 2)
    return found[0]


def _change(
    settings: Settings,
    path: Path,
    purpose: str,
    change: Callable[[str], str],
    *,
    added: tuple[Reader, ...] = (),
    revoked: tuple[Reader, ...] = (),
) -> None:
    """The line of the journal first: a kill after it leaves a line too many, never a reader that nobody was told of."""
    try:
        text = path.read_text(encoding="utf-8")
        changed = change(text)
        for kind, readers in (("reader.added", added), ("reader.revoked", revoked)):
            for one in readers:
                journalled(settings, kind, purpose=purpose, recipient=one.recipient, label=one.label)
        write_private(path, changed.encode(), path.stat().st_mode & 0o777)
    except (OSError, ValueError, LookupError) as error:
        fail(f"{purpose}: {error}")
    shared = sorted(n for n, s in settings.purpose.items() if s.recipients_file == path and n != purpose)
    if shared:
        console.print("[yellow]![/]", plain(f"the same file is that of {', '.join(shared)}"), highlight=False)


def _today() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d")
