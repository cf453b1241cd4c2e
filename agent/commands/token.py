"""`greffier token`: bearer tokens of the REST interface, and those of phones, hotkeys and desktops."""

import sqlite3
import time
from pathlib import Path
from typing import Annotated

import typer

from agent.commands.common import (
    DEFAULT_CONFIG,
    ConfigOption,
    changing_directory,
    console,
    errors,
    fail,
    journalled,
    settings_of,
    utc,
)
from agent.commands.plain import PlainTable
from agent.config.section import seconds
from agent.desk.tokens import parse_tokens
from agent.model.identity import Device, Right, Token, parse_scope
from agent.store.directory import ID_DIGITS, Directory, LastUse, digest_of

LONGEST_LIFE_S = seconds("100 years")

app = typer.Typer(
    help="Tokens of the REST interface: of agents, their phones and desktops, supervisors, monitoring, central "
    "systems.",
    no_args_is_help=True,
)


@app.command("add")
def add(
    scope: Annotated[
        str,
        typer.Argument(
            help="`admin`, `supervisor`, `metrics`, `agent:EXTENSION` for one agent's own calls, or `feed:PURPOSE` "
            "for a central system that fetches the artifacts of this purpose."
        ),
    ],
    name: Annotated[str, typer.Argument(help="What it is called in journal and lists.")] = "desk",
    device: Annotated[
        Device | None, typer.Option(help="A device of the agent's: a `phone` may press by action URL, and only so.")
    ] = None,
    expires: Annotated[str | None, typer.Option(help='It is good for so long, such as "90 days".')] = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Make a token. It is shown once; only its SHA-256 is stored."""
    now_ns = time.time_ns()
    with changing_directory():
        right, of = parse_scope(scope)
        until_ns = None if expires is None else now_ns + _lifetime_s(expires) * 1_000_000_000
        settings = settings_of(config)
        of_whom = {"purpose" if right is Right.FEED else "extension": of}
        if right is Right.FEED and of not in settings.purpose:
            raise ValueError(f"there is no [purpose.{of}] (known: {', '.join(settings.purpose) or 'none'})")
        directory = Directory(settings.directory_path)
        made = directory.add_token(right, now_ns, device=device, name=name, expires_ns=until_ns, **of_whom)
        journalled(settings, "token.added", token=digest_of(made)[:ID_DIGITS], scope=scope, device=device, name=name)
    console.print(made, highlight=False, soft_wrap=True)


@app.command("list")
def list_tokens(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """List tokens: what each is for, until when, and when it was last used."""
    settings = settings_of(config)
    table = PlainTable("id", "scope", "device", "name", "made", "expires", "last used", "")
    try:
        used = LastUse(settings.last_use_path).days()
    except sqlite3.Error as error:
        errors.print(f"last uses cannot be read: {error}", style="yellow", markup=False)
        used = {}
    with changing_directory():
        tokens = Directory(settings.directory_path).tokens()
    for token in tokens:
        made, until = utc(token.created_ns)[:10], utc(token.expires_ns)[:10] if token.expires_ns else "never"
        last = used.get(token.token_id, "–")
        table.add_row(token.token_id, token.scope, token.device or "", token.name, made, until, last, _state(token))
    console.print(table)


@app.command("revoke")
def revoke(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="Its id in `greffier token list`, or the beginning.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Take a token back: it opens nothing from the next request on."""
    with changing_directory():
        settings = settings_of(config)
        token = Directory(settings.directory_path).revoke(token_id, time.time_ns())
        journalled(settings, "token.revoked", token=token.token_id, name=token.name)
    console.print(f"[green]✓[/] {token.token_id} ({token.name}) is revoked", highlight=False)


@app.command("import")
def import_tokens(
    file: Annotated[Path | None, typer.Argument(help="The tokens file; without it, desk.tokens_file.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Take the tokens of a desk-tokens.txt into the directory. The file counts until it is deleted."""
    settings = settings_of(config)
    if (path := file or settings.desk.tokens_file) is None:
        fail("say which file: desk.tokens_file is not set", 2)
    try:
        found = parse_tokens(path.read_text(encoding="utf-8"))
        rows = [(digest, scope.right, scope.extension, None, scope.name, None) for digest, scope in found.items()]
        new = Directory(settings.directory_path).add_digests(rows, time.time_ns())
        journalled(settings, "token.imported", tokens=new)
    except (OSError, ValueError, sqlite3.Error) as error:
        fail(f"{path}: {error}; nothing was imported", 2)
    console.print(f"[green]✓[/] {new} tokens imported; delete {path}: what it holds is taken still", highlight=False)


def _lifetime_s(text: str) -> int:
    lifetime_s = seconds(text)
    if not 0 < lifetime_s <= LONGEST_LIFE_S:
        raise ValueError("a token is good for 1 s to 100 years; without --expires, until it is revoked")
    return lifetime_s


def _state(token: Token) -> str:
    if token.revoked_ns is not None:
        return f"revoked {utc(token.revoked_ns)[:10]}"
    return "" if token.is_good(time.time_ns()) else "expired"
