"""What is to be derived of a call: for each purpose that was kept, what it may have of it and what not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.model.gate import GateState
from agent.model.purpose import ArtifactKind, Purpose
from agent.policy.permit import permitted, recorded_spans
from agent.scribe.absence import Absence, absences, began, without
from agent.scribe.channels import Tape
from agent.scribe.correct import NOTHING, Corrected
from agent.scribe.hearing import Spans


@dataclass(frozen=True, slots=True)
class Job:
    """What one purpose gets of one call: permitted kinds, the spans it may see, and why not the others.

    `empty`: nothing was captured. `corrected`: what was asked for afterwards, and the revision that this makes.
    """

    purpose: Purpose
    kinds: tuple[ArtifactKind, ...]
    spans: Spans
    absent: tuple[Absence, ...]
    empty: bool
    corrected: Corrected = NOTHING


def jobs(tape: Tape, purposes: Sequence[Purpose], corrected: Mapping[str, Corrected]) -> list[Job]:
    """What each purpose that was kept, and not dropped, may have, in the order of the configuration."""
    found = []
    gone = dropped(tape)
    for purpose in purposes:
        asked = corrected.get(purpose.name, NOTHING)
        kinds = permitted(purpose, began(tape.marks, purpose))
        if kinds and not asked.dropped and purpose.name not in gone:
            spans = without(recorded_spans(list(tape.marks), purpose, tape.samples), asked.masks)
            absent = absences(tape.marks, purpose, spans, asked.masks, tape.samples)
            found.append(Job(purpose, kinds, spans, absent, not _overlap(tape.captured, spans), asked))
    return found


def dropped(tape: Tape) -> set[str]:
    """Purposes that were dropped while the call was on."""
    return {m.purpose for m in tape.marks if m.state is GateState.DROPPED}


def _overlap(captured: Sequence[Spans], spans: Spans) -> bool:
    return any(max(a, c) < min(b, d) for channel in captured for c, d in channel for a, b in spans)
