"""What is proven of a manifest: where it stands in the journal, what seals it, and since when it is known to exist."""

from dataclasses import dataclass
from typing import Any

from agent.store.journal import Position
from agent.store.report import Report
from agent.store.sealed import Seal, Sealed
from agent.vault.timestamp import BadToken, Stamp, Trust, check

_WHOLE_S = 1.0
"""Authorities may say whole seconds only."""


@dataclass(frozen=True, slots=True)
class Proof:
    """Of the manifest at `path`. None where there is nothing, or it does not hold.

    `follows`: the line that it says it was made after. `line`: process and number of the line that says that it was
    made. `seal`: the first checkpoint that seals this line; `seal_stamp`: number of the first checkpoint from there on
    that has a timestamp, and that. `stamp`: its own timestamp.
    """

    path: str
    opened: bool
    follows: Position | None
    line: tuple[str, int] | None
    seal: Seal | None
    seal_stamp: tuple[int, Stamp] | None
    stamp: Stamp | None


def prove(
    name: str,
    cipher_sha256: str,
    body: dict[str, Any] | None,
    stamp: Stamp | None,
    found: Sealed | None,
    report: Report,
) -> None:
    """Put together what holds of a manifest, and report what does not; `found` None: there is no journal here."""
    if body is not None and isinstance(made_ns := body.get("made_ns"), int) and ahead_s(made_ns, stamp):
        report.count("manifests made by a clock that was ahead of the timestamp authority's")
    follows = None if body is None else position_of(body)
    if found is None:
        report.proofs.append(Proof(name, body is not None, follows, None, None, None, stamp))
        return
    if follows is not None and not found.has(follows):
        report.bad(name, f"says that it follows line {follows.seq} of {follows.process}.jsonl, which is another now")
        follows = None
    line = found.made.get((name, cipher_sha256))
    seal = None if line is None else found.sealing(*line)
    if follows is not None and line is not None and line[0] == follows.process and line[1] <= follows.seq:
        report.bad(name, "says that it was made after the line that says that it was made")
    if seal is None and line is not None:
        report.count("manifests that no checkpoint seals yet")
    seal_stamp = None if seal is None else found.stamped_after(seal)
    report.proofs.append(Proof(name, body is not None, follows, line, seal, seal_stamp, stamp))


def ahead_s(made_ns: int | None, stamp: Stamp | None) -> float:
    """How far at least the site's clock was ahead of the authority's: what was made existed already before it was."""
    if made_ns is None or stamp is None:
        return 0.0
    return max(0.0, (made_ns - stamp.at_ns) / 1e9 - stamp.accuracy_s - _WHOLE_S)


def position_of(body: dict[str, Any]) -> Position | None:
    """Where a manifest says the journal was; None for one that says nothing."""
    try:
        said = body["journal"]
        return Position(str(said["process"]), int(said["seq"]), str(said["hash"]))
    except (KeyError, TypeError, ValueError):
        return None


def check_token(where: str, token: bytes, digest: bytes | None, trust: Trust | None, report: Report) -> Stamp | None:
    """A manifest's timestamp; `digest` None: the manifest is closed, so that only the authority's word is checked."""
    if trust is None:
        report.count("timestamps left unchecked (give the authority's certificate with --tsa-ca)")
        return None
    report.count("timestamps" if digest is not None else "timestamps of manifests that stay closed")
    try:
        return check(token, digest, trust)
    except BadToken as error:
        report.bad(where, str(error))
        return None


def token_path(manifest: str) -> str:
    """Where the timestamp of a manifest lies."""
    return manifest.removesuffix(".age") + ".tsr"
