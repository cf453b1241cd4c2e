"""What one purpose may not have of a call, span by span, each with who decided so: pauses, masks, never asked for."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from agent.model.gate import GateMark, GateState
from agent.model.purpose import KeepFrom, Purpose
from agent.scribe.hearing import Spans, outside

_WAITING = (GateState.WAITING, GateState.WAITING_PAUSED)


@dataclass(frozen=True, slots=True)
class Mask:
    """Half-open positions that somebody masked after the fact, at UTC `at_ns`."""

    start: int
    end: int
    actor: str
    reason: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class Absence:
    """Half-open positions that a purpose may not have. `verb` says why: pause, mask, arm (not yet asked for), wait (for
    consent), exclude (policy), end.

    Of a pause, `causes` are all that held it, and `until` is what ended it: resume, limit (nobody did), end, …
    """

    start: int
    end: int
    verb: str
    actor: str = ""
    reason: str = ""
    causes: tuple[str, ...] = ()
    until: str = ""

    @property
    def is_hand(self) -> bool:
        """Whether somebody wished not to have it, other than by not asking for it."""
        return self.verb in ("pause", "mask")


@dataclass(frozen=True, slots=True)
class _Stay:
    """A gate stayed so from mark to mark. `opener` is the press that began the pause, if it is one."""

    start: int
    end: int
    mark: GateMark
    opener: GateMark | None = None
    causes: tuple[str, ...] = ()
    until: str = ""


def without(spans: Spans, masks: Sequence[Mask]) -> Spans:
    """The spans less what is masked."""
    for mask in masks:
        spans = tuple(
            (a, b)
            for start, end in spans
            for a, b in ((start, min(end, mask.start)), (max(start, mask.end), end))
            if b > a
        )
    return spans


def absences(
    marks: Sequence[GateMark], purpose: Purpose, spans: Spans, masks: Sequence[Mask], length: int
) -> tuple[Absence, ...]:
    """All of 0..`length` outside `spans` (those that `purpose` may hear, less `masks`), in order, told from the call's
    marks. What was paused was never written, so where a mask lies over a pause it is the pause that is told."""
    mine = [m for m in marks if m.purpose == purpose.name]
    stays = _stays(mine, length)
    from_start = purpose.keep_from is KeepFrom.START and any(_begins(m) and m.verb == "keep" for m in mine)
    agreed = [m.since_samples for m in mine if m.verb == "select" or (from_start and m.verb == "arm")]
    pauses = [s for s in stays if s.opener is not None and _hides(s, min(agreed, default=length), from_start)]
    edges = {edge for s in stays for edge in (s.start, s.end)} | {edge for m in masks for edge in (m.start, m.end)}
    found: list[Absence] = []
    for start, end in outside(spans, length):
        for a, b in pairwise(sorted({start, end, *(e for e in edges if start < e < end)})):
            told = _told(a, b, stays, pauses, masks)
            if found and found[-1].end == a and replace(found[-1], end=b) == replace(told, start=found[-1].start):
                found[-1] = replace(found[-1], end=b)
            else:
                found.append(told)
    return tuple(found)


def began(marks: Sequence[GateMark], purpose: Purpose) -> bool:
    """Whether the purpose ever recorded, or would have but for a pause."""
    return any(m.purpose == purpose.name and _begins(m) for m in marks)


def never_began(marks: Sequence[GateMark], purpose: Purpose) -> str:
    """Why a purpose that might have recorded never did, in words for people."""
    states = {m.state for m in marks if m.purpose == purpose.name}
    if states & set(_WAITING):
        return "consent was never given"
    if states & {GateState.ARMED, GateState.ARMED_PAUSED}:
        return "keep was never pressed"
    return "recording never began"


def why_nothing(spans: Spans, absent: Sequence[Absence]) -> str:
    """Why a purpose that recorded has not one sample, in words for people."""
    if spans:
        return "no media came"
    verbs = {a.verb for a in absent if a.is_hand}
    if verbs == {"pause"}:
        return "it was paused all through"
    if verbs == {"mask"}:
        return "all of it was masked"
    if verbs:
        return "what was not paused was masked"
    return "it was excluded" if any(a.verb == "exclude" for a in absent) else "no media came"


def _begins(mark: GateMark) -> bool:
    return mark.verb in ("select", "keep") and mark.state in (GateState.RECORDING, GateState.PAUSED)


def _stays(mine: Sequence[GateMark], length: int) -> list[_Stay]:
    found: list[_Stay] = []
    opener: GateMark | None = None
    causes: tuple[str, ...] = ()
    first = 0
    for mark, following in zip(mine, [*mine[1:], None], strict=True):
        if not mark.state.is_paused:
            found[first:] = [replace(s, causes=causes, until=mark.verb) if s.opener else s for s in found[first:]]
            opener, causes, first = None, (), len(found)
        else:
            opener = opener or mark
            if mark.verb == "pause" and mark.cause and mark.cause not in causes:
                causes = (*causes, mark.cause)
        end = length if following is None else following.since_samples
        if end > mark.since_samples:
            found.append(_Stay(mark.since_samples, end, mark, opener))
    found[first:] = [replace(s, causes=causes) if s.opener else s for s in found[first:]]
    return found


def _hides(stay: _Stay, agreed: int, from_start: bool) -> bool:
    """Whether this purpose would have had it, had nobody paused; `agreed`: from where on the waiting counted."""
    state = stay.mark.state
    if state is GateState.WAITING_PAUSED:
        return stay.end > agreed
    return state is GateState.PAUSED or (from_start and state is GateState.ARMED_PAUSED)


def _told(a: int, b: int, stays: Sequence[_Stay], pauses: Sequence[_Stay], masks: Sequence[Mask]) -> Absence:
    for pause in pauses:
        if pause.start <= a < pause.end and pause.opener is not None:
            return Absence(a, b, "pause", pause.opener.actor, pause.opener.reason, pause.causes, pause.until)
    for mask in masks:
        if mask.start <= a < mask.end:
            return Absence(a, b, "mask", mask.actor, mask.reason)
    stay = next((s for s in stays if s.start <= a < s.end), None)
    if stay is not None and stay.mark.state in _WAITING:
        return Absence(a, b, "wait", reason="consent was not given yet")
    if stay is not None and stay.mark.verb == "exclude":
        return Absence(a, b, "exclude", stay.mark.actor, stay.mark.reason)
    if stay is not None and stay.mark.state is GateState.ENDED:
        return Absence(a, b, "end", reason="after the end of the call")
    return Absence(a, b, "arm", reason="not yet asked for")
