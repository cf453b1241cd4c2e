"""Checking, offline and with public keys only: each journal line, seal, artifact and manifest, and what was taken back.

With a purpose's secret key the manifests of that purpose are opened too, and what they say is compared with the files.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from agent.model.artifact import Artifact
from agent.model.purpose import ArtifactKind
from agent.store.catalog import Catalog
from agent.store.checkpoint import holds, sealed_heads
from agent.store.journal import CHECKPOINTS, JournalLine, chains, decoded, hash_of
from agent.store.report import Problem, Report, inside, opened, sha256_of
from agent.store.tombstones import Tombstones, check_delivered
from agent.vault.chain import GENESIS
from agent.vault.manifest import BadManifest, check_manifest
from agent.vault.signing import Trusted


def verify_journal(folder: Path, public: Trusted) -> list[Problem]:
    """Everything wrong with the journal in `folder`; nothing when it is whole and every seal is that of `public`."""
    report = Report()
    _journal(folder, public, report)
    return report.problems


def verify_site(
    journal_dir: Path, outbox_dir: Path, catalog: Catalog, public: Trusted, identities: Sequence[str]
) -> Report:
    """The journal, every local artifact against the catalog, and what was masked or dropped; manifests and tombstones
    that an identity opens are opened."""
    report = Report()
    taken_back = Tombstones(catalog, outbox_dir, public, identities)
    _journal(journal_dir, public, report, taken_back.hear)
    manifests = []
    for artifact in catalog.artifacts(local=True):
        path = outbox_dir / artifact.path
        if not path.is_file():
            if catalog.is_local(artifact.artifact_id):  # else it was deleted while we looked
                report.bad(artifact.path, "the file is missing, and no deletion was recorded")
            continue
        report.count("artifacts")
        if sha256_of(path) != artifact.cipher_sha256:
            report.bad(artifact.path, "changed since it was written (its SHA-256 is another)")
        if artifact.kind is ArtifactKind.MANIFEST:
            manifests.append(artifact)
    gone = {a.path for a in catalog.artifacts(local=False)}
    for manifest in manifests:
        _manifest(outbox_dir, manifest.path, public, identities, report, gone=gone, row=manifest)
    taken_back.check(report)
    return report


def verify_folder(folder: Path, public: Trusted, identities: Sequence[str]) -> Report:
    """Delivered artifacts: each manifest and tombstone that an identity opens, and each file it speaks of."""
    report = Report()
    gone = check_delivered(folder, public, identities, report)
    for path in sorted(folder.rglob("*.manifest*.json.age")):
        root, name = path.parent.parent, f"{path.parent.name}/{path.name}"
        _manifest(root, name, public, identities, report, gone=gone)
    return report


def _manifest(
    root: Path,
    name: str,
    public: Trusted,
    identities: Sequence[str],
    report: Report,
    *,
    gone: set[str] | None = None,
    row: Artifact | None = None,
) -> None:
    plain = opened(root / name, identities)
    if plain is None:
        report.count("manifests not opened (give their key with --key)" if identities else "manifests left closed")
        return
    report.count("manifests")
    try:
        body = check_manifest(plain, public)
        listed = [(inside(a["path"]), str(a["cipher_sha256"])) for a in body["artifacts"]]
    except BadManifest as error:
        report.bad(name, str(error))
        return
    except (KeyError, TypeError, ValueError):
        report.bad(name, "does not list its artifacts as a manifest does")
        return
    if row is not None and (body.get("call"), body.get("purpose")) != (row.call_id, row.purpose):
        report.bad(name, "speaks of another call or purpose")
    for path, digest in listed:
        if gone is not None and path in gone:
            continue
        report.count("files named by manifests")
        if not (root / path).is_file():
            report.bad(path, f"named by {name}, but not there")
        elif sha256_of(root / path) != digest:
            report.bad(path, f"is not what {name} says (its SHA-256 is another)")


def _journal(folder: Path, public: Trusted, report: Report, hear: Callable[[JournalLine], None] | None = None) -> None:
    heads: dict[str, dict[int, str]] = {}
    for path in chains(folder):
        heads[path.stem] = {}
        for line in _chain(path, report):
            heads[path.stem][line.seq] = line.hash
            if hear is not None:
                hear(line)
        report.count("journal lines", len(heads[path.stem]))
    seals = folder / f"{CHECKPOINTS}.jsonl"
    if not seals.exists():
        if heads:
            report.bad(seals.name, "there is no checkpoint: nothing seals the journal")
        return
    newest = 0
    for seal in _chain(seals, report):
        where = f"{seals.name} line {seal.seq}"
        report.count("checkpoints")
        if (by := holds(seal, public)) is None:
            report.bad(where, "the signature does not hold")
            continue
        if by < newest:
            report.bad(where, "is signed by a key that the site had given up by then")
            continue
        newest = by
        for process, (seq, hash_) in sealed_heads(seal).items():
            if heads.get(process, {}).get(seq) != hash_:
                report.bad(f"{process}.jsonl line {seq}", f"is not the line that {where} sealed")


def _chain(path: Path, report: Report) -> Iterator[JournalLine]:
    """The good lines of a chain; each that is spoiled, missing or out of place is reported."""
    seq, head = 0, GENESIS
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            where = f"{path.name} line {number}"
            if not raw.endswith(b"\n"):
                break  # being written, or torn: never acknowledged
            try:
                line = decoded(raw)
            except ValueError:
                report.bad(where, "is not a journal line: it was changed")
                continue
            if hash_of(line) != line.hash or line.process != path.stem:
                report.bad(where, "was changed: its hash is another")
                continue
            if line.seq != seq + 1 or line.prev != head:
                report.bad(where, f"does not follow line {seq}: lines before it were changed, removed or moved")
            seq, head = line.seq, line.hash
            yield line
