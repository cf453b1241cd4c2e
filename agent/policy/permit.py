"""Which artifacts a purpose may have, and when they must be gone. Pure."""

from agent.model.gate import GateMark, GateState
from agent.model.purpose import ArtifactKind, KeepFrom, Purpose
from agent.model.spans import FOREVER, merge

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

    Samples outside them are silence in every artifact of the purpose. For `on_demand` that keeps from the start, the
    armed time before the press counts once *keep* was pressed; the time of waiting for consent counts, as far back as
    the mark that ended it says. A mark that reaches back takes away what was seen before. A purpose that was dropped
    sees nothing.
    """
    mine = [m for m in marks if m.purpose == purpose.name]
    if any(m.state is GateState.DROPPED for m in mine):
        return ()
    kept = any(m.verb == "keep" and m.state in (GateState.RECORDING, GateState.PAUSED) for m in mine)
    seen = {GateState.RECORDING: _Spans(), GateState.ARMED: _Spans(), GateState.WAITING: _Spans()}
    for mark in mine:
        waited = seen[GateState.WAITING]
        if mark.verb in ("select", "arm"):
            into = GateState.RECORDING if mark.verb == "select" else GateState.ARMED
            seen[into].spans.extend((max(a, mark.since_samples), b) for a, b in waited.spans if b > mark.since_samples)
            waited.spans.clear()
        else:
            for state, spans in seen.items():
                if state is not mark.state:
                    spans.close(mark.since_samples)
        if mark.verb == "exclude":
            waited.spans.clear()
        if mark.state in seen:
            seen[mark.state].open(mark.since_samples)
    visible = list(seen[GateState.RECORDING].spans)
    if kept and purpose.keep_from is KeepFrom.START:
        visible += seen[GateState.ARMED].spans
    return tuple(merge((max(a, 0), min(b, end_samples)) for a, b in visible))


class _Spans:
    """Spans of which the last may still be open."""

    def __init__(self) -> None:
        self.spans: list[tuple[int, int]] = []

    def open(self, at: int) -> None:
        """From `at` on, unless it is open already."""
        if not self.spans or self.spans[-1][1] != FOREVER:
            self.spans.append((at, FOREVER))

    def close(self, at: int) -> None:
        """Nothing at or after `at`, whatever there was."""
        self.spans = [(a, min(b, at)) for a, b in self.spans if a < at]
