"""Which artifacts a purpose may have, and when they must be gone. Pure."""

from agent.model.gate import GateMark, GateState
from agent.model.purpose import ArtifactKind, Purpose

NS = 1_000_000_000


def permitted(purpose: Purpose, kept: bool) -> tuple[ArtifactKind, ...]:
    """What may be derived for a purpose that applies. Nothing when it was armed and never kept.

    A purpose that permits nothing (live assistance) has no manifest either: there is nothing to vouch for.
    """
    if not kept or not purpose.artifacts:
        return ()
    kinds = list(purpose.artifacts)
    if ArtifactKind.TRANSCRIPT in kinds and ArtifactKind.SUBTITLES not in kinds:
        kinds.append(ArtifactKind.SUBTITLES)
    if ArtifactKind.MANIFEST not in kinds:
        kinds.append(ArtifactKind.MANIFEST)
    return tuple(kinds)


def local_deadline_ns(purpose: Purpose, made_ns: int) -> int:
    """When the local copy must be gone (UTC ns)."""
    return made_ns + purpose.local_retention_s * NS


def central_deadline_ns(purpose: Purpose, made_ns: int) -> int:
    """When the central copy must be gone (UTC ns); 0 when nothing is kept centrally."""
    return made_ns + purpose.central_retention_s * NS if purpose.central_retention_s else 0


def recorded_spans(marks: list[GateMark], purpose: Purpose, end_samples: int) -> tuple[tuple[int, int], ...]:
    """Half-open spans of media positions that `purpose` may see, from its gate marks in order of time.

    Samples outside them are silence in every artifact of the purpose. For `on_demand` that keeps from the start,
    the armed time before the press counts once *keep* was pressed.
    """
    mine = [m for m in marks if m.purpose == purpose.name]
    from_start = any(m.verb == "keep" for m in mine) and purpose.keep_from.value == "start"
    visible = {GateState.RECORDING} | ({GateState.ARMED} if from_start else set())
    spans: list[tuple[int, int]] = []
    open_at: int | None = None
    for mark in mine:
        if open_at is not None and mark.state not in visible:
            if mark.since_samples > open_at:
                spans.append((open_at, mark.since_samples))
            open_at = None
        elif open_at is None and mark.state in visible:
            open_at = mark.since_samples
    if open_at is not None and end_samples > open_at:
        spans.append((open_at, end_samples))
    return tuple(spans)
