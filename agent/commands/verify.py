"""`greffier verify`: is everything as it was written? Offline, with public keys only."""

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from agent.commands.common import DEFAULT_CONFIG, ConfigOption, catalog_of, console, fail, find_call, settings_of, utc
from agent.commands.evidence import Source, write_report
from agent.commands.export import read_identity
from agent.commands.plain import plain
from agent.evidence.words import Language
from agent.store.proof import Proof
from agent.store.report import Report
from agent.store.verify import verify_folder, verify_site
from agent.vault.signing import load_public
from agent.vault.sitekeys import trusted, with_public
from agent.vault.timestamp import Trust, load_trust


def verify(
    call: Annotated[
        str | None, typer.Argument(help="Say what is proven of this call (its id, or its first digits).")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--folder", help="Also check delivered artifacts in this folder.")
    ] = None,
    key: Annotated[
        list[Path] | None, typer.Option("--key", "-k", help="Open manifests with this key; repeatable.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option("--report", help="Write the evidence report of the call to this HTML file.")
    ] = None,
    language: Annotated[Language, typer.Option("--language", help="Of the report.")] = Language.FR,
    purpose: Annotated[
        str | None, typer.Option("--purpose", help="Of the report; without it, that of a manifest that opens.")
    ] = None,
    public: Annotated[
        Path | None,
        typer.Option(
            help="The site's public key (site.pem.pub, with site-keys.json beside it if it had several): no "
            "configuration is read, only --folder."
        ),
    ] = None,
    journal: Annotated[
        Path | None, typer.Option("--journal", help="With --public: a copy of the site's journal.")
    ] = None,
    tsa_ca: Annotated[
        Path | None, typer.Option("--tsa-ca", help="Believe timestamps of these authorities (PEM).")
    ] = None,
    trust: Annotated[
        Path | None,
        typer.Option(
            help="A public key of the site (site.pem.pub) that you have from elsewhere: all keys must follow from it."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs: what was found, as one JSON object.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Check every journal line, checkpoint, timestamp and artifact; with --key also every manifest's signature and
    digests. Offline.

    On the box: `greffier verify CALL --key evidence.key.txt --report call.html`. Elsewhere, with what was delivered:
    `greffier verify CALL --folder DIR --public site.pem.pub --tsa-ca tsa.pem [--journal DIR] [--key FILE]`.
    """
    identities = [read_identity(path) for path in key or ()]
    if report is not None and call is None:
        fail("--report is of one call: name it", 2)
    if public is not None:
        if folder is None:
            fail("--public is for delivered files: --folder says where they are", 2)
        keys = _keys(public)
        roots, catalog = [folder], None
        reports = [verify_folder(folder, keys, identities, _trust(tsa_ca), journal)]
        call_id = None if call is None else _call_in(reports[0], call)
    else:
        if journal is not None:
            fail("--journal goes with --public: on the box its own journal is checked", 2)
        settings = settings_of(config)
        keys = _own_keys(settings.site.keys_dir, trust)
        catalog = catalog_of(settings)
        call_id = None if call is None else find_call(catalog, call).call_id
        section = settings.timestamp
        authorities = _trust(tsa_ca) or (None if section is None else _trust(section.ca, section.policy))
        roots = [settings.outbox_dir, *([folder] if folder else [])]
        reports = [
            verify_site(settings.journal_dir, settings.outbox_dir, catalog, keys, identities, authorities),
            *([verify_folder(folder, keys, identities, authorities)] if folder else []),
        ]
    if not any(one.counts for one in reports):
        fail(f"there is nothing of greffier's in {folder}")
    problems = [problem for one in reports for problem in one.problems]
    proofs = [p for one in reports for p in one.proofs if call_id is not None and f"/{call_id}." in p.path]
    if as_json:
        found = {
            "intact": not problems,
            "problems": [asdict(p) for p in problems],
            "proofs": [asdict(p) for p in proofs],
        }
        counts = [one.counts for one in reports]
        console.print(json.dumps(found | {"checked": counts}), highlight=False, soft_wrap=True, markup=False)
    else:
        _say(reports, proofs)
    if report is not None and call_id is not None:
        source = Source(roots, identities, keys, catalog)
        write_report(report, language, call_id, purpose, proofs, problems, source, time.time_ns())
        if not as_json:
            console.print(f"[green]✓[/] {report}", highlight=False, soft_wrap=True)
    if problems:
        raise typer.Exit(1)


def _say(reports: list[Report], proofs: list[Proof]) -> None:
    """What was found, in lines."""
    for one in reports:
        for problem in one.problems:
            console.print(plain(f"✗ {problem.where}: {problem.what}"), style="red", highlight=False, soft_wrap=True)
        checked = ", ".join(f"{count} {what}" for what, count in one.counts.items())
        console.print(f"{'[yellow]![/]' if one.problems else '[green]✓[/]'} checked {checked}", highlight=False)
    for proof in proofs:
        _say_proof(proof)
    if not any(one.problems for one in reports):
        console.print("[green]✓[/] everything is as it was written")


def _say_proof(proof: Proof) -> None:
    """One manifest, in lines."""
    lines = [proof.path + (": its signature holds" if proof.opened else ": closed (give its key with --key)")]
    if proof.follows is not None:
        lines.append(f"made after line {proof.follows.seq} of {proof.follows.process}.jsonl")
    if proof.line is not None:
        sealed = f"sealed by checkpoint {proof.seal.seq}" if proof.seal else "not sealed yet"
        lines.append(f"in the journal: line {proof.line[1]} of {proof.line[0]}.jsonl, {sealed}")
    if proof.seal_stamp is not None:
        seq, by = proof.seal_stamp
        lines.append(f"checkpoint {seq} existed at {utc(by.at_ns)} UTC, says {by.authority}")
    if proof.stamp is not None:
        lines.append(f"existed at {utc(proof.stamp.at_ns)} UTC, says {proof.stamp.authority}")
    for number, line in enumerate(lines):
        console.print(plain(f"{'    ' if number else '  '}{line}"), highlight=False, soft_wrap=True)


def _keys(public: Path) -> tuple[bytes, ...]:
    """The site's keys as a stranger has them."""
    try:
        return with_public(public)
    except (OSError, ValueError) as error:
        fail(f"the site's public keys: {error}")


def _own_keys(keys_dir: Path, pinned: Path | None) -> tuple[bytes, ...]:
    try:
        return trusted(keys_dir, None if pinned is None else load_public(pinned))
    except (OSError, ValueError) as error:
        fail(f"the site's public keys: {error}")


def _trust(ca: Path | None, policy: str | None = None) -> Trust | None:
    if ca is None:
        return None
    try:
        return load_trust(ca, policy)
    except (OSError, ValueError) as error:
        fail(f"the timestamp authority's certificate: {error}")


def _call_in(report: Report, prefix: str) -> str:
    """The call of a delivered manifest whose id begins so, or the command ends."""
    found = {p.path.partition("/")[2].partition(".")[0] for p in report.proofs}
    fitting = sorted(call_id for call_id in found if call_id.startswith(prefix.lower()))
    if len(fitting) != 1:
        fail(f"no manifest of a call {prefix} is there" if not fitting else f"several calls begin with {prefix!r}")
    return fitting[0]
