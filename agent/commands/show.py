"""`greffier show CALL`: one call, everything known about it."""

from typing import Annotated

import typer

from agent.commands.calls import live_calls, live_table
from agent.commands.common import (
    DEFAULT_CONFIG,
    ConfigOption,
    catalog_of,
    clock,
    console,
    find_call,
    settings_of,
    utc,
)
from agent.commands.plain import PlainTable, plain
from agent.media.quality import complaints, rate_stream
from agent.model.call import Role
from agent.model.gate import GateMark
from agent.store.catalog import Catalog
from agent.store.rows import CallRow


def show(
    call: Annotated[str, typer.Argument(help="Call id, or its first digits.")], config: ConfigOption = DEFAULT_CONFIG
) -> None:
    """Show one call: parties, decisions with their rules, pauses, quality, artifacts and where they went."""
    settings = settings_of(config)
    live = [c for c in live_calls(settings) if c["call_id"].startswith(call.lower())]
    if live:
        console.print(live_table(live))
        if not settings.catalog_path.exists():
            return
    catalog = catalog_of(settings)
    row = find_call(catalog, call)
    console.print(f"[bold]Call {row.call_id}[/]  {row.direction}, {row.state}", highlight=False)
    console.print(
        f"  {utc(row.started_ns)} to {utc(row.ended_ns)} UTC, {clock(row.duration_samples)}, ended: {row.cause or '–'}"
        f", from gateway {row.gateway}",
        highlight=False,
        markup=False,
    )
    for part in (_parties, _decisions, _consent, _gates, _streams, _line_quality, _sound):
        if (table := part(catalog, row)).row_count:
            console.print(table)
    nothing = [f"nothing for {name}: {why}" for name, why in catalog.nothing(row.call_id).items()]
    for words in (*_forgotten(catalog, row), *_complaints(catalog, row), *nothing):
        console.print(f"  {words}", style="yellow", highlight=False, markup=False)
    console.print(artifacts_table(catalog, row))
    for part in (_timestamps, _texts, _corrections, _rewrites):
        if (table := part(catalog, row)).row_count:
            console.print(table)
    if (until_ns := catalog.corrections.kept_until(row.call_id)) is not None:
        console.print(
            f"  its key is kept until {utc(until_ns)} UTC: until then a span can be masked, and "
            "its text be written again",
            highlight=False,
        )
    for held in catalog.legal_holds.of_call(row.call_id):
        what = f"held ({held.purpose or 'all purposes'}) for case {held.case}"
        console.print(plain(f"  {what} since {utc(held.at_ns)} by {held.actor}: {held.reason}"), style="yellow")
    for deferred in catalog.deferred():
        if deferred.call_id == row.call_id:
            console.print(f"  deferred for {deferred.purpose}: {deferred.reason}", style="yellow", markup=False)


def _parties(catalog: Catalog, row: CallRow) -> PlainTable:
    table = PlainTable(title="Parties (numbers are kept only as keyed hashes)")
    for column in ("role", "number", "channel", "joined", "left"):
        table.add_column(column)
    for p in catalog.parties(row.call_id):
        table.add_row(
            p.role,
            f"#{p.number_hash[:10]}",
            "–" if p.channel is None else str(p.channel),
            utc(p.joined_ns),
            utc(p.left_ns),
        )
    return table


def _decisions(catalog: Catalog, row: CallRow) -> PlainTable:
    table = PlainTable(title="Decisions")
    for column in ("at", "purpose", "applies", "rule"):
        table.add_column(column)
    for d in catalog.decisions(row.call_id):
        applies = "yes" if d.applies else "with consent" if d.waits else "no"
        table.add_row(utc(d.at_ns or row.started_ns), d.purpose, applies, d.rule)
    return table


def _consent(catalog: Catalog, row: CallRow) -> PlainTable:
    table = PlainTable(title="What others said of it")
    for column in ("at", "consent", "queue", "tags", "by", "way"):
        table.add_column(column)
    for c in catalog.contexts(row.call_id):
        table.add_row(utc(c.at_ns), c.consent.value, c.queue or "–", " ".join(c.tags) or "–", c.actor, c.source)
    return table


def _gates(catalog: Catalog, row: CallRow) -> PlainTable:
    table = PlainTable(title="Gates")
    for column in ("at", "purpose", "what", "since", "state", "by", "held by", "reason"):
        table.add_column(column)
    for m in catalog.marks(row.call_id):
        since, cause = clock(m.since_samples), m.cause or "–"
        table.add_row(utc(m.at_ns), m.purpose, m.verb, since, m.state.value, m.actor, cause, m.reason)
    return table


def _forgotten(catalog: Catalog, row: CallRow) -> list[str]:
    """A pause that nobody ended, in words."""
    found: list[str] = []
    paused: dict[str, GateMark] = {}
    for m in catalog.marks(row.call_id):
        if m.verb == "limit" and (begun := paused.get(m.purpose)) is not None:
            span = f"{clock(begun.since_samples)} to {clock(m.since_samples)}"
            found.append(f"forgotten pause: {m.purpose}, {span}, paused by {begun.actor} and ended by the limit")
        if m.state.is_paused:
            paused.setdefault(m.purpose, m)
        else:
            paused.pop(m.purpose, None)
    return found


def _corrections(catalog: Catalog, row: CallRow) -> PlainTable:
    table = PlainTable(title="Corrections")
    for column in ("asked", "what", "purpose", "span", "by", "reason", "state"):
        table.add_column(column)
    for c in catalog.corrections.of_call(row.call_id):
        span = f"{clock(c.from_samples)} to {clock(c.to_samples)}" if c.verb == "mask" else "all"
        state = f"{c.state}: {c.detail}" if c.detail else c.state
        table.add_row(utc(c.at_ns), c.verb, c.purpose, span, c.actor, c.reason, state)
    return table


def _texts(catalog: Catalog, row: CallRow) -> PlainTable:
    table = PlainTable(title="Texts")
    for column in ("file", "engine", "model", "sha256", "language"):
        table.add_column(column)
    filed = {a.path for a in catalog.artifacts(call_id=row.call_id)}
    for path, w in catalog.rewrites.written(row.call_id).items():
        if path in filed:
            table.add_row(path, w.engine, w.model, w.model_sha256[:16] or "–", w.language)
    return table


def _rewrites(catalog: Catalog, row: CallRow) -> PlainTable:
    table = PlainTable(title="Transcribed again")
    for column in ("asked", "by", "model", "version", "state"):
        table.add_column(column)
    for r in catalog.rewrites.of_call(row.call_id):
        state = f"{r.state}: {r.detail}" if r.detail else f"{r.state}, {r.share:.0%}" if r.is_open else r.state
        table.add_row(utc(r.at_ns), r.actor, r.model or "the usual one", str(r.revision or "–"), state)
    return table


def _timestamps(catalog: Catalog, row: CallRow) -> PlainTable:
    table = PlainTable(title="Timestamps")
    for column in ("file", "existed at", "says", "state"):
        table.add_column(column)
    for s in catalog.timestamps.of_call(row.call_id):
        state = (
            f"waits since {utc(s.since_ns)}{f': {s.detail}' if s.detail else ''}" if s.state == "waiting" else s.state
        )
        table.add_row(s.path, utc(s.at_ns), s.authority or "–", state)
    return table


def _streams(catalog: Catalog, row: CallRow) -> PlainTable:
    table = PlainTable(title="Streams (packets)")
    for column in (
        "channel",
        "codec",
        "received",
        "lost",
        "late",
        "duplicate",
        "reordered",
        "foreign",
        "stale",
        "jumps",
        "undecryptable",
    ):
        table.add_column(column)
    for stream, c in catalog.counts(row.call_id):
        numbers = (c.received, c.lost, c.late, c.duplicates, c.reordered, c.foreign, c.stale, c.jumps, c.undecryptable)
        table.add_row(str(stream.channel), "/".join(c.formats) or stream.codec.value, *map(str, numbers))
    return table


def _line_quality(catalog: Catalog, row: CallRow) -> PlainTable:
    table = PlainTable(title="Line quality")
    for column in ("channel", "loss", "jitter", "at most", "clock", "keys", "MOS (estimated)"):
        table.add_column(column)
    for stream, c in catalog.counts(row.call_id):
        rated = rate_stream(stream.codec, c)
        table.add_row(
            str(stream.channel),
            f"{rated.loss_percent:.2f} %",
            f"{c.jitter_ms:.1f} ms",
            f"{c.jitter_max_ms:.1f} ms",
            f"{c.drift_ppm:+.0f} ppm",
            str(c.keys),
            "not rated" if rated.mos is None else f"{rated.mos:.1f}",
        )
    return table


def _sound(catalog: Catalog, row: CallRow) -> PlainTable:
    table = PlainTable(title="Sound")
    for column in ("channel", "heard", "longest gap", "silent", "clipped"):
        table.add_column(column)
    for c in catalog.quality(row.call_id):
        shares = (f"{c.silent_share:.0%}", f"{c.clipped_share:.2%}")
        table.add_row(str(c.channel), f"{c.heard_s:.1f} s", f"{c.longest_gap_s:.1f} s", *shares)
    return table


def _complaints(catalog: Catalog, row: CallRow) -> list[str]:
    who = {p.channel: p.role for p in catalog.parties(row.call_id) if p.channel is not None and p.role != Role.OTHER}
    streams = [(s.channel, s.codec, c) for s, c in catalog.counts(row.call_id)]
    return complaints(catalog.quality(row.call_id), streams, who)


def artifacts_table(catalog: Catalog, row: CallRow) -> PlainTable:
    """What was derived from a call, per purpose, where it is and until when."""
    table = PlainTable(title="Artifacts")
    for column in ("purpose", "kind", "bytes", "delivery", "destination", "local copy", "centre until"):
        table.add_column(column)
    for a in sorted(catalog.artifacts(call_id=row.call_id), key=lambda a: (a.purpose, a.path)):
        local = f"until {utc(a.local_deadline_ns)}" if catalog.is_local(a.artifact_id) else "deleted"
        table.add_row(
            a.purpose,
            a.kind.value,
            str(a.size_bytes),
            a.delivery.value,
            a.destination or "–",
            local,
            utc(a.central_deadline_ns or None),
        )
    return table
