"""What the report says of a call: taken from the purpose's manifest where a key opened it, else from the catalog."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.model.artifact import Artifact
from agent.model.call import CLOCK_RATE
from agent.model.gate import GateMark
from agent.model.purpose import ABOUT
from agent.store.rows import CallRow, PartyRow


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the call, in seconds from its start, that is not in the recording (`to_s` None: to the end).

    `verb`: pause, mask, arm, wait, exclude, end, or gap (nothing was received, on one channel). By whom, and why.
    """

    from_s: float
    to_s: float | None
    verb: str
    actor: str = ""
    reason: str = ""
    channel: int | None = None
    forgotten: bool = False


@dataclass(frozen=True, slots=True)
class File:
    """An artifact: its kind, its path, its size, and both its digests (SHA-256, hex)."""

    kind: str
    path: str
    size_bytes: int
    plain_sha256: str
    cipher_sha256: str


@dataclass(frozen=True, slots=True)
class Facts:
    """One call as one purpose has it. `parties`: reference, role and channel; `cuts`: seconds taken out of the audio;
    `models`: what wrote each text. `sealed`: it is all said by a manifest whose signature holds."""

    call: str
    purpose: str
    sealed: bool
    started_ns: int
    ended_ns: int | None
    duration_s: float
    site: str = ""
    basis: str = ""
    made_ns: int | None = None
    parties: tuple[tuple[str, str, int | None], ...] = ()
    spans: tuple[Span, ...] = ()
    cuts: tuple[tuple[float, float], ...] = ()
    files: tuple[File, ...] = ()
    rules: tuple[str, ...] = ()
    models: tuple[tuple[str, str, str], ...] = ()


def from_manifest(body: Mapping[str, Any]) -> Facts:
    """What a manifest says. Raises KeyError, TypeError or ValueError when it is not written as manifests are."""
    absent = [
        Span(a["from_s"], a["to_s"], a["verb"], a["actor"], a["reason"], None, bool(a.get("forgotten")))
        for a in body["absent"]
    ]
    gaps = [
        Span(m["from_s"], m["to_s"], "gap", reason=m.get("reason", ""), channel=m.get("channel"))
        for m in body["missing"]
    ]
    texts = [a["written_by"] for a in body["artifacts"] if a.get("written_by")]
    return Facts(
        call=str(body["call"]),
        purpose=str(body["purpose"]),
        sealed=True,
        started_ns=int(body["started_ns"]),
        ended_ns=body["ended_ns"],
        duration_s=float(body["duration_s"]),
        site=str(body["site"]),
        basis=str(body["basis"]),
        made_ns=int(body["made_ns"]),
        parties=tuple((p["ref"], p["role"], p.get("channel")) for p in body["parties"]),
        spans=tuple(sorted([*absent, *gaps], key=lambda s: s.from_s)),
        cuts=tuple((float(a), float(b)) for a, b in body.get("cuts", ())),
        files=tuple(
            File(a["kind"], a["path"], a["size_bytes"], a["plain_sha256"], a["cipher_sha256"])
            for a in body["artifacts"]
        ),
        rules=tuple(d["rule"] for d in body["decisions"]),
        models=tuple(dict.fromkeys((t["engine"], t["model"], t["model_sha256"]) for t in texts)),
    )


def from_catalog(
    row: CallRow, purpose: str, parties: Sequence[PartyRow], marks: Sequence[GateMark], artifacts: Sequence[Artifact]
) -> Facts:
    """What the box itself has noted of a call; `artifacts` are those of the purpose."""
    duration_s = row.duration_samples / CLOCK_RATE
    return Facts(
        call=row.call_id,
        purpose=purpose,
        sealed=False,
        started_ns=row.started_ns,
        ended_ns=row.ended_ns,
        duration_s=duration_s,
        parties=tuple((f"p{n}", p.role, p.channel) for n, p in enumerate(parties, 1)),
        spans=_paused([m for m in marks if m.purpose == purpose], duration_s),
        files=tuple(
            File(a.kind.value, a.path, a.size_bytes, a.plain_sha256, a.cipher_sha256)
            for a in artifacts
            if a.kind not in ABOUT
        ),
    )


def _paused(marks: Sequence[GateMark], duration_s: float) -> tuple[Span, ...]:
    found: list[Span] = []
    begun: GateMark | None = None
    for mark in marks:
        at_s = mark.since_samples / CLOCK_RATE
        if begun is not None and not mark.state.is_paused:
            from_s = begun.since_samples / CLOCK_RATE
            found.append(Span(from_s, at_s, "pause", begun.actor, begun.reason, None, mark.verb == "limit"))
            begun = None
        elif begun is None and mark.state.is_paused:
            begun = mark
    if begun is not None:
        found.append(Span(begun.since_samples / CLOCK_RATE, duration_s, "pause", begun.actor, begun.reason))
    return tuple(found)
