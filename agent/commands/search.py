"""`greffier search "résilier contrat" --purpose NAME`: in which calls it was said, where, and a few words around."""

import sqlite3
import time
from collections.abc import Callable
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from rich.text import Text

from agent.commands.common import (
    DEFAULT_CONFIG,
    ConfigOption,
    catalog_of,
    clock,
    console,
    fail,
    instant,
    journalled,
    settings_of,
    utc,
)
from agent.commands.plain import PlainTable, plain
from agent.config import Settings
from agent.model.call import CLOCK_RATE
from agent.search.cabinet import Cabinet
from agent.search.looking import Found
from agent.search.looking import search as look
from agent.search.shard import AFTER, BEFORE
from agent.search.words import terms
from agent.store.catalog import Catalog
from agent.vault.numbers import number_hash
from agent.vault.sealed import Box, Unsealable, read_sealed


def search(
    words: Annotated[str, typer.Argument(help='Words that were all said: résilier "mon contrat" abonn*')],
    purpose: Annotated[str, typer.Option("--purpose", "-p", help="A searchable purpose.")],
    agent: Annotated[str | None, typer.Option(help="Only calls of this extension.")] = None,
    since: Annotated[str | None, typer.Option(help='"yesterday", "today", "7 days", 2026-11-01.')] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=200, help="How many calls, best first.")] = 20,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Search the transcripts of one purpose that are still here (docs/search.md). Journalled, without the words."""
    settings = settings_of(config)
    searchable = [name for name, section in settings.purpose.items() if section.searchable]
    if purpose not in searchable:
        fail(f"purpose {purpose} is not searchable (those that are: {', '.join(searchable) or 'none'})", 2)
    try:
        asked = terms(words)
        since_ns = instant(since, ZoneInfo(settings.site.timezone)) if since is not None else 0
    except ValueError as error:
        fail(str(error), 2)
    catalog = catalog_of(settings)
    began_ns = time.time_ns()
    try:
        fits = _of_agent(settings, catalog, agent) if agent is not None else lambda _: True
        cabinet = Cabinet(settings.search_dir, settings.searchkeys_dir, Box.of(settings.site.keys_dir))
        found = look(cabinet, catalog, purpose, asked, now_ns=began_ns, since_ns=since_ns, fits=fits)
        shown = found[:limit]
        by_agent = {"agent_hash": _hashed(settings, agent)} if agent is not None else {}
        journalled(
            settings, "searched", purpose=purpose, calls=[f.call_id for f in shown], found=len(found), **by_agent
        )
    except LookupError as error:
        fail(str(error))
    except (OSError, sqlite3.Error, Unsealable) as error:
        fail(f"the index cannot be read: {error}; be root, or the user the agent runs as")
    if not shown:
        console.print("Nothing found.")
        return
    console.print(table(catalog, shown))
    if len(found) > limit:
        console.print(f"and {len(found) - limit} calls more; --limit shows them", highlight=False)


def table(catalog: Catalog, found: list[Found]) -> PlainTable:
    """Calls, when they began, and where in them what was said."""
    shown = PlainTable()
    for column in ("call", "began (UTC)", "at", "who", "said"):
        shown.add_column(column)
    for one in found:
        began = utc(catalog.find_call(one.call_id).started_ns)
        for number, line in enumerate(one.lines):
            first = (one.call_id[:12], began) if number == 0 else ("", "")
            shown.add_row(*first, clock(round(line.start_s * CLOCK_RATE)), line.party, _marked(line.snippet))
    return shown


def _marked(snippet: str) -> Text:
    """What was found stands out."""
    text = Text()
    for number, part in enumerate(snippet.replace(AFTER, BEFORE).split(BEFORE)):
        text.append(plain(part).plain, style="bold yellow" if number % 2 else None)
    return text


def _of_agent(settings: Settings, catalog: Catalog, agent: str) -> Callable[[str], bool]:
    hashed = _hashed(settings, agent)
    return lambda call_id: any(p.number_hash == hashed for p in catalog.parties(call_id))


def _hashed(settings: Settings, agent: str) -> str:
    return number_hash(read_sealed(settings.site.keys_dir, "numbers.key"), agent)
