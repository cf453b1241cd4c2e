"""Writing the evidence report of `greffier verify CALL --report FILE`."""

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.commands.common import fail
from agent.evidence.facts import Facts, from_catalog, from_manifest
from agent.evidence.page import Case, page
from agent.evidence.picture import COLUMNS
from agent.evidence.waveform import NoSound, envelope
from agent.evidence.words import Language
from agent.model.purpose import ArtifactKind
from agent.store.catalog import Catalog
from agent.store.proof import Proof
from agent.store.report import Problem, inside, opened
from agent.vault.manifest import BadManifest, check_manifest

_VERSION = re.compile(r"\.manifest(?:-([0-9]+))?\.json")


@dataclass(frozen=True, slots=True)
class Source:
    """What the report may read: where artifacts are, secret keys that open some, the site's public keys (oldest first),
    and the catalog, which is None where this is not the box."""

    roots: Sequence[Path]
    identities: Sequence[str]
    public: tuple[bytes, ...]
    catalog: Catalog | None

    def opened(self, path: str) -> bytes | None:
        """What an artifact says, from the first folder where a key opens it."""
        return next((p for root in self.roots if (p := opened(root / path, self.identities)) is not None), None)


def write_report(
    target: Path,
    language: Language,
    call_id: str,
    purpose: str | None,
    proofs: Sequence[Proof],
    problems: Sequence[Problem],
    source: Source,
    now_ns: int,
) -> None:
    """The page, readable by whoever asked for it only. The command ends where there is nothing to say, or no room."""
    proof = _chosen(proofs, purpose)
    sealed = None if proof is None else _sealed(proof, source)
    facts, key = sealed or (None, source.public[-1])
    if facts is None and source.catalog is not None:
        facts = _noted(source.catalog, call_id, proof.path.partition("/")[0] if proof else purpose)
    if facts is None:
        fail("there is nothing to report of this call here: no manifest that opens (give its key with --key)")
    peaks = None
    if facts.sealed and (audio := _audio(facts, source)) is not None:
        try:
            peaks = envelope(audio, facts.duration_s, COLUMNS, facts.cuts)
        except NoSound:
            peaks = None  # what is wrong with the file is among the problems
    case = Case(facts, proof, problems, peaks, hashlib.sha256(key).hexdigest(), now_ns)
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(page(case, language))
    except OSError as error:
        fail(f"{target} cannot be written: {error.strerror}")


def _chosen(proofs: Sequence[Proof], purpose: str | None) -> Proof | None:
    """The newest manifest of the purpose; of one that opens, or evidence, where none is named."""
    mine = [p for p in proofs if purpose is None or p.path.startswith(f"{purpose}/")]
    ranked = sorted(mine, key=lambda p: (p.opened, p.path.startswith("evidence/"), _version(p)))
    return ranked[-1] if ranked else None


def _version(proof: Proof) -> int:
    found = _VERSION.search(proof.path)
    return int(found[1] or 1) if found else 0


def _sealed(proof: Proof, source: Source) -> tuple[Facts, bytes] | None:
    """What the manifest says, and the site's key that signed it."""
    plain = source.opened(proof.path) if proof.opened else None
    if plain is None:
        return None
    for key in source.public:
        try:
            return from_manifest(check_manifest(plain, key)), key
        except BadManifest:
            continue  # another key's
        except (KeyError, TypeError, ValueError):
            return None
    return None


def _noted(catalog: Catalog, call_id: str, purpose: str | None) -> Facts | None:
    made = catalog.artifacts(call_id=call_id)
    names = [purpose] if purpose else sorted({a.purpose for a in made}, key=lambda name: name != "evidence")
    if not names:
        return None
    withdrawn = catalog.corrections.withdrawn(call_id)
    mine = [a for a in made if a.purpose == names[0] and a.artifact_id not in withdrawn]
    row = catalog.find_call(call_id)
    return from_catalog(row, names[0], catalog.parties(call_id), catalog.marks(call_id), mine)


def _audio(facts: Facts, source: Source) -> bytes | None:
    """The recording; none where it is not here or was changed."""
    for file in facts.files:
        if file.kind == ArtifactKind.AUDIO:
            plain = source.opened(inside(file.path))
            if plain is not None and hashlib.sha256(plain).hexdigest() == file.plain_sha256:
                return plain
    return None
