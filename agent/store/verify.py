"""Checking, offline and with public keys only: each journal line, seal, timestamp, artifact and manifest, and what was
taken back.

With a purpose's secret key the manifests of that purpose are opened too, and what they say is compared with the files.
"""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from agent.model.artifact import Artifact
from agent.model.purpose import ArtifactKind
from agent.store.catalog import Catalog
from agent.store.deletions import Deletions
from agent.store.journal import JournalLine, read
from agent.store.proof import check_token, prove, token_path
from agent.store.report import Problem, Report, inside, opened, sha256_of
from agent.store.sealed import Sealed, check_journal, check_stamps
from agent.store.tombstones import Tombstones, check_delivered
from agent.vault.manifest import BadManifest, check_manifest
from agent.vault.signing import Trusted
from agent.vault.timestamp import Stamp, Trust

_ABOUT = re.compile(r"\.(manifest|tombstone)(-\d+)?\.json\.age$")
_TOMBSTONE = re.compile(r"\.tombstone(-\d+)?\.json\.age$")


def verify_journal(folder: Path, public: Trusted) -> list[Problem]:
    """Everything wrong with the journal in `folder`; nothing when it is whole and every seal is that of `public`."""
    report = Report()
    check_journal(folder, public, report)
    return report.problems


def verify_site(
    journal_dir: Path,
    outbox_dir: Path,
    catalog: Catalog,
    public: Trusted,
    identities: Sequence[str],
    trust: Trust | None = None,
) -> Report:
    """The journal, every local artifact and deletion against catalog and journal, timestamps, and what was masked
    or dropped.

    Manifests and tombstones that an identity opens are opened. `trust`: whose timestamps are believed."""
    report = Report()
    taken_back, forgotten = Tombstones(catalog, outbox_dir, public, identities), Deletions(catalog)

    def hear(line: JournalLine) -> None:
        taken_back.hear(line)
        forgotten.hear(line)

    known, stamped = catalog.artifacts(), catalog.timestamps.checkpoints()  # before the journal, which then says of all
    sealed = check_journal(journal_dir, public, report, hear)
    check_stamps(journal_dir, sealed, trust, report, stamped)
    _in_journal(known, journal_dir, sealed, report)
    local = [a for a in known if catalog.is_local(a.artifact_id)]
    here = []
    for artifact in local:
        path = outbox_dir / artifact.path
        if not path.is_file():
            if catalog.is_local(artifact.artifact_id):  # else it was deleted while we looked
                report.bad(artifact.path, "the file is missing, and no deletion was recorded")
            continue
        report.count("artifacts")
        here.append(artifact)
        if sha256_of(path) != artifact.cipher_sha256:
            report.bad(artifact.path, "changed since it was written (its SHA-256 is another)")
    gone = {a.path for a in known} - {a.path for a in local}
    tokens = {a.path for a in here if a.kind is ArtifactKind.TIMESTAMP}
    for manifest in (a for a in here if a.kind is ArtifactKind.MANIFEST):
        stamp = None
        if (beside := token_path(manifest.path)) in tokens:
            digest = bytes.fromhex(manifest.plain_sha256)
            stamp = check_token(beside, (outbox_dir / beside).read_bytes(), digest, trust, report)
        body = _manifest(outbox_dir, manifest.path, public, identities, report, gone=gone)
        prove(manifest.path, manifest.cipher_sha256, body, stamp, sealed, report)
    if waiting := catalog.timestamps.queue().waiting:
        report.count("of them wait for their timestamp", waiting)
    taken_back.check(report)
    forgotten.check(report)
    return report


def verify_folder(
    folder: Path,
    public: Trusted,
    identities: Sequence[str],
    trust: Trust | None = None,
    journal_dir: Path | None = None,
) -> Report:
    """Delivered artifacts: each manifest and tombstone that an identity opens, each file it speaks of, each timestamp;
    with a copy of the journal also that every file is one that was made, and the same."""
    report = Report()
    sealed = None
    if journal_dir is not None:
        sealed = check_journal(journal_dir, public, report)
        check_stamps(journal_dir, sealed, trust, report, [])
    gone = check_delivered(folder, public, identities, report)
    if sealed is not None:
        _made(folder, sealed, report)
    calls, named = set[str](), set(gone)
    for path in sorted(folder.rglob("*.manifest*.json.age")):
        root, name = path.parent.parent, f"{path.parent.name}/{path.name}"
        body = _manifest(root, name, public, identities, report, gone=gone)
        if body is not None:
            calls.add(_whose(name))
            named |= {str(a["path"]) for a in body["artifacts"]}
        prove(
            name, sha256_of(path), body, _delivered_token(root, name, body, identities, trust, report), sealed, report
        )
    for path in sorted(folder.rglob("*.manifest*.json.tsr")):
        name = f"{path.parent.name}/{path.name}"
        if name not in gone and not path.with_suffix(".age").exists():
            report.bad(name, "the manifest that it is of is not there")
    for path in folder.rglob("*.age"):
        name = f"{path.parent.name}/{path.name}"
        if _whose(name) in calls and name not in named and not _ABOUT.search(name):
            report.count("files that no manifest here names (is each known to the journal? --journal)")
    return report


def _in_journal(known: Sequence[Artifact], journal_dir: Path, sealed: Sealed, report: Report) -> None:
    """Every artifact that the catalog has is one that the journal says was made; `Tombstones` looks after those."""
    others = [a for a in known if a.kind is not ArtifactKind.TOMBSTONE]
    unsaid = [a for a in others if (a.path, a.cipher_sha256) not in sealed.made]
    later = Sealed()
    for call_id in {a.call_id for a in unsaid}:  # the line comes a moment after the row
        for line in read(journal_dir, call_id):
            later.hear(line)
    for artifact in unsaid:
        if (artifact.path, artifact.cipher_sha256) not in later.made:
            report.bad(artifact.path, "no line of the journal says that this was made")


def _made(folder: Path, sealed: Sealed, report: Report) -> None:
    """Every delivered file is one that the journal says was made, byte for byte."""
    paths = sealed.paths()
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix in (".age", ".tsr")):
        name = f"{path.parent.name}/{path.name}"
        report.count("files that the journal knows")
        if (name, sha256_of(path)) not in sealed.made:
            known = "changed: the journal has another SHA-256 of it" if name in paths else "unknown to the journal"
            report.bad(name, known)
    there = {_whose(f"{path.parent.name}/{path.name}") for path in folder.rglob("*.age")}
    for name in sorted(n for n in sealed.delivered if _TOMBSTONE.search(n) and _whose(n) in there):
        if not any(path.parent.name == name.partition("/")[0] for path in folder.rglob(PurePosixPath(name).name)):
            report.bad(name, "was delivered, says the journal, and is not there: what it calls back may be")


def _whose(name: str) -> str:
    """PURPOSE/CALL of a file's name."""
    return name.partition(".")[0]


def _delivered_token(
    root: Path,
    name: str,
    body: dict[str, Any] | None,
    identities: Sequence[str],
    trust: Trust | None,
    report: Report,
) -> Stamp | None:
    """The timestamp beside a delivered manifest."""
    beside = token_path(name)
    if not (root / beside).is_file():
        if body is not None and body.get("timestamp"):
            report.count("manifests whose timestamp is not there")
        return None
    plain = opened(root / name, identities)
    digest = None if plain is None else hashlib.sha256(plain).digest()
    return check_token(beside, (root / beside).read_bytes(), digest, trust, report)


def _manifest(
    root: Path,
    name: str,
    public: Trusted,
    identities: Sequence[str],
    report: Report,
    *,
    gone: set[str] | None = None,
) -> dict[str, Any] | None:
    """Check one manifest. Returns what it says, None where it stays closed or does not hold."""
    plain = opened(root / name, identities)
    if plain is None:
        report.count("manifests not opened (give their key with --key)" if identities else "manifests left closed")
        return None
    report.count("manifests")
    try:
        body = check_manifest(plain, public)
        listed = [(inside(a["path"]), str(a["cipher_sha256"])) for a in body["artifacts"]]
    except BadManifest as error:
        report.bad(name, str(error))
        return None
    except (KeyError, TypeError, ValueError):
        report.bad(name, "does not list its artifacts as a manifest does")
        return None
    if f"{body.get('purpose')}/{body.get('call')}" != _whose(name):
        report.bad(name, "speaks of another call or purpose")
    for path, digest in listed:
        if gone is not None and path in gone:
            continue
        report.count("files named by manifests")
        if not (root / path).is_file():
            report.bad(path, f"named by {name}, but not there")
        elif sha256_of(root / path) != digest:
            report.bad(path, f"is not what {name} says (its SHA-256 is another)")
    return body
