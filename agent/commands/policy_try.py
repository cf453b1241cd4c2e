"""`greffier policy try`: what a configuration would make of one call, or of the calls of the past."""

import json
import shlex
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from agent.commands.common import DEFAULT_CONFIG, ConfigOption, catalog_of, console, fail, instant, settings_of
from agent.commands.plain import PlainTable
from agent.config import Settings
from agent.model.call import Call, Consent, Direction, Party, Role
from agent.model.purpose import Purpose, Trigger
from agent.policy.decide import Policy
from agent.policy.rehearsal import Past, applied, rehearse
from agent.policy.share import Strata
from agent.recorder.policy import policy_of
from agent.store.catalog import Catalog
from agent.store.rows import CallRow
from agent.vault.numbers import number_hash
from agent.vault.sealed import Unsealable, read_sealed

KEYS = (
    "direction",
    "agent",
    "customer",
    "other",
    "queue",
    "did",
    "tags",
    "gateway",
    "tap",
    "consent",
    "at",
    "reference",
)


def try_(
    call: Annotated[
        str | None,
        typer.Option(
            "--call", help="""Such as 'direction=inbound agent=2001 queue=sales tags=vip at="2026-11-25 10:00"'."""
        ),
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", help='Over past calls: "yesterday", "today", "7 days", 2026-11-01.')
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Say what the configuration (or another: --config) would record. Nothing is changed."""
    settings = settings_of(config)
    try:
        policy = policy_of(settings)
    except (OSError, ValueError) as error:
        fail(str(error))
    if (call is None) == (since is None):
        fail("either --call or --since is needed", 2)
    rows = _one(policy, settings, call) if call is not None else _many(policy, settings, since or "")
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    table = PlainTable(title="What would be recorded")
    for column in rows[0] if rows else ():
        table.add_column(column.replace("_", " "))
    for row in rows:
        table.add_row(*("–" if value in (None, {}, "") else _shown(value) for value in row.values()))
    console.print(table)
    if since is not None and (policy.lists.opt_out or policy.lists.protected):
        console.print(
            "Numbers put on the lists after a call could not be evaluated: the catalog has other hashes.",
            style="yellow",
        )


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} ({count})" for name, count in value.items())
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)


# ---- one call


def _one(policy: Policy, settings: Settings, text: str) -> list[dict[str, Any]]:
    try:
        call, at_ns, drawn = described(text, settings)
    except ValueError as error:
        fail(str(error), 2)
    certain = replace(policy, purposes=tuple(p if drawn else _undrawn(p) for p in policy.purposes))
    rows = []
    for purpose, decision in zip(policy.purposes, certain.decide(call, at_ns, Strata("try")), strict=True):
        rule = decision.rule
        if purpose.trigger is Trigger.PERCENT and not drawn:
            rule = rule.replace("trigger all", f"{purpose.percent:g} % of such calls")
        rows.append({"purpose": purpose.name, "applies": decision.applies, "waits": decision.waits, "rule": rule})
    return rows


def _undrawn(purpose: Purpose) -> Purpose:
    return replace(purpose, trigger=Trigger.ALL) if purpose.trigger is Trigger.PERCENT else purpose


def described(text: str, settings: Settings) -> tuple[Call, int, bool]:
    """The call that words such as `agent=2001 tags=vip,new` describe, when it is (UTC ns; now, unless they say), and
    whether they name its reference, on which `percent` draws. Raises ValueError in words."""
    words: dict[str, str] = {}
    for word in shlex.split(text):
        key, equals, value = word.partition("=")
        if not equals or key not in KEYS:
            raise ValueError(f"{word.partition('=')[0]!r} is not known here; known: {', '.join(KEYS)}")
        words[key] = value
    at = datetime.now(UTC)
    if "at" in words:
        at = datetime.fromisoformat(words["at"])
        at = at.replace(tzinfo=ZoneInfo(settings.site.timezone)) if at.tzinfo is None else at
    roles = {"agent": Role.AGENT, "customer": Role.CUSTOMER, "other": Role.OTHER}
    parties = tuple(Party(name, words[name], role=role) for name, role in roles.items() if name in words)
    call = Call(
        "0" * 32,
        words.get("reference", "try"),
        words.get("tap", "siprec"),
        words.get("gateway", ""),
        int(at.timestamp() * 1e9),
        Direction(words.get("direction", "unknown")),
        parties,
        queue=words.get("queue"),
        did=words.get("did"),
        tags=tuple(sorted(tag for tag in words.get("tags", "").split(",") if tag)),
        consent=Consent(words.get("consent", "unknown")),
    )
    return call, call.started_ns, "reference" in words


# ---- calls of the past


def _many(policy: Policy, settings: Settings, since: str) -> list[dict[str, Any]]:
    try:
        since_ns = instant(since, ZoneInfo(settings.site.timezone))
        key = read_sealed(settings.site.keys_dir, "numbers.key")
    except (OSError, ValueError, Unsealable) as error:
        fail(str(error), 2)
    catalog = catalog_of(settings)
    calls = [_past(catalog, row) for row in catalog.calls_since(since_ns)]
    return [compared(policy, purpose, calls, key) for purpose in policy.purposes]


def compared(policy: Policy, purpose: Purpose, calls: list[Past], key: bytes) -> dict[str, Any]:
    """How often a purpose applied then and would apply now, and what could not be evaluated."""
    then = would = newly = no_longer = unknown = 0
    drawn, why = 0.0, Counter[str]()
    for past in calls:
        was = applied(past, purpose.name)
        found = rehearse(past, purpose, policy.calendar.moment(past.call.started_ns), lambda n: number_hash(key, n))
        then += was
        if found.share is None:
            unknown += 1
            why.update(found.unknown)
        elif 0 < found.share < 1:
            drawn += found.share
        else:
            would += found.share == 1
            newly += found.share == 1 and not was
            no_longer += found.share == 0 and was
    return {
        "purpose": purpose.name,
        "calls": len(calls),
        "applied_then": then,
        "would_apply": would,
        "newly": newly,
        "no_longer": no_longer,
        "by_draw_about": round(drawn, 1),
        "not_evaluated": unknown,
        "because_of": dict(why),
    }


def _past(catalog: Catalog, row: CallRow) -> Past:
    said = catalog.contexts(row.call_id)
    last = said[-1] if said else None
    call = Call(
        row.call_id,
        "",
        row.tap,
        row.gateway,
        row.started_ns,
        Direction(row.direction),
        tuple(
            Party(p.participant_id, p.number_hash, role=Role(p.role), joined_ns=p.joined_ns, left_ns=p.left_ns)
            for p in catalog.parties(row.call_id)
        ),
        queue=last.queue if last else row.queue,
        did=row.did_hash,
        tags=last.tags if last else (),
        consent=last.consent if last else Consent.UNKNOWN,
    )
    return Past(call, last is not None, tuple(catalog.decisions(row.call_id)))
