"""The body of a manifest: what one purpose received of one call, what it did not, and by whose decision."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType

from agent.media import dtmf
from agent.media.quality import rate_stream
from agent.model.artifact import Artifact
from agent.model.call import CLOCK_RATE, MediaStream
from agent.model.keys import KEY_NAMES
from agent.model.media import StreamCounts
from agent.model.purpose import ArtifactKind, PausedSound, Purpose
from agent.model.redaction import SecretKind
from agent.scribe.absence import Absence, why_nothing
from agent.scribe.channels import Tape
from agent.scribe.hearing import Spans, outside
from agent.scribe.text import Voice, speaker
from agent.store.journal import Position
from agent.store.rows import WrittenRow
from agent.vault.chain import GENESIS

FORMAT = "greffier-manifest-1"
BEGINNING = Position("scribe", 0, GENESIS)
MISSING_MIN_SAMPLES = CLOCK_RATE // 10
"""Stretches without media shorter than this are jitter, and are counted in `lost_samples` where packets were lost."""
MOST_LISTED = 500


@dataclass(frozen=True, slots=True)
class TranscriptState:
    """What the manifest says of the transcript: done, deferred, given-up, or not-permitted; by which engine, or why.

    `hidden`: how many secrets of each kind were taken out of it, and of the audio; None while that is not known.
    """

    state: str
    detail: str = ""
    engine: str = ""
    model: str = ""
    model_sha256: str = ""
    test_only: bool = False
    hidden: Mapping[str, int] | None = None


def body(
    tape: Tape,
    site: str,
    purpose: Purpose,
    spans: Spans,
    voices: Sequence[Voice],
    artifacts: Sequence[Artifact],
    transcript: TranscriptState,
    made_ns: int,
    version: int,
    absent: Sequence[Absence] = (),
    replaces: Sequence[tuple[Artifact, bool]] = (),
    written: Mapping[str, WrittenRow] = MappingProxyType({}),
    position: Position = BEGINNING,
) -> dict[str, object]:
    """The manifest's content as JSON values; times in UTC ns, spans in seconds from the call's media origin.

    `absent` is what the purpose may not have; `replaces` are earlier artifacts, and whether each may have been sent;
    `written` says of texts, by path, what wrote them; `position` is the end of the scribe's chain: what stands there
    was written before this.
    """
    call = tape.call
    return {
        "format": FORMAT,
        "version": version,
        "call": call.call_id,
        "site": site,
        "purpose": purpose.name,
        "basis": purpose.basis,
        "started_ns": call.started_ns,
        "ended_ns": tape.ended.at_ns if tape.ended else None,
        "cause": tape.ended.cause if tape.ended else "interrupted",
        "duration_s": tape.samples / CLOCK_RATE,
        "made_ns": made_ns,
        "journal": asdict(position),
        "timestamp": purpose.timestamp,
        "parties": [v.anonymous().described() for v in voices],
        "decisions": [
            {"applies": d.applies, "trigger": d.trigger.value, "rule": d.rule, "waits": d.waits, "at_ns": d.at_ns}
            for d in tape.decisions
            if d.purpose == purpose.name
        ],
        "consent": _consent(tape),
        "gate": [
            {
                "verb": m.verb,
                "state": m.state.value,
                "at_ns": m.at_ns,
                "since_s": m.since_samples / CLOCK_RATE,
                "actor": m.actor,
                "reason": m.reason,
                "cause": m.cause,
            }
            for m in tape.marks
            if m.purpose == purpose.name
        ],
        "absent": [_absence(a) for a in absent],
        "paused_sound": purpose.paused_sound.value,
        "cuts": [[a / CLOCK_RATE, b / CLOCK_RATE] for a, b in cuts_of(purpose, absent)],
        "nothing_captured": None if _captured(tape, spans) else why_nothing(spans, absent),
        "missing": _missing(tape, spans, voices),
        "keys": _keys(tape, purpose, spans),
        "quality": [
            {"label": s.label, "channel": s.channel, "codec": s.codec.value, **asdict(c), **_rated(s, c)}
            for s, c in tape.counts
        ]
        + [{"filled_samples": tape.lost_samples, "spoiled_records": tape.spoiled}],
        "sound": [asdict(channel) for channel in tape.quality(spans)],
        "redaction": _redaction(purpose, transcript),
        "transcript": {k: v for k, v in asdict(transcript).items() if k != "hidden"},
        "artifacts": [
            {
                "kind": a.kind.value,
                "path": a.path,
                "media_type": a.media_type,
                "size_bytes": a.size_bytes,
                "plain_sha256": a.plain_sha256,
                "cipher_sha256": a.cipher_sha256,
                "local_deadline_ns": a.local_deadline_ns,
                "central_deadline_ns": a.central_deadline_ns,
                "written_by": _written(written.get(a.path)),
            }
            for a in artifacts
        ],
        "replaces": [
            {"path": a.path, "cipher_sha256": a.cipher_sha256, "may_have_been_sent": left} for a, left in replaces
        ],
    }


def cuts_of(purpose: Purpose, absent: Sequence[Absence]) -> Spans:
    """What is taken out of the purpose's audio; nothing for one that has no audio."""
    if purpose.paused_sound is not PausedSound.CUT or ArtifactKind.AUDIO not in purpose.artifacts:
        return ()
    return hand_spans(absent)


def hand_spans(absent: Sequence[Absence]) -> Spans:
    """What was paused or masked, in order, spans that touch made one."""
    found: list[tuple[int, int]] = []
    for a in absent:
        if a.is_hand and found and found[-1][1] == a.start:
            found[-1] = (found[-1][0], a.end)
        elif a.is_hand:
            found.append((a.start, a.end))
    return tuple(found)


def _redaction(purpose: Purpose, transcript: TranscriptState) -> dict[str, object]:
    """What is hidden of what was said, by kind; never what it was."""
    return {
        "mask": sorted(purpose.redaction.mask),
        "pseudonymise": sorted(purpose.redaction.pseudonymise),
        "hidden": transcript.hidden,
    }


def _consent(tape: Tape) -> list[dict[str, object]]:
    """What was said of consent, each time it changed: what, when, by whom, by which way."""
    said: list[dict[str, object]] = []
    before = "unknown"
    for c in tape.contexts:
        if c.consent.value != before:
            said.append({"consent": c.consent.value, "at_ns": c.at_ns, "actor": c.actor, "source": c.source})
        before = c.consent.value
    return said


def _written(row: WrittenRow | None) -> dict[str, object] | None:
    """Of a text: the program, the model and its digest, the language. None of what no engine wrote."""
    return {k: v for k, v in asdict(row).items() if k not in ("path", "call_id")} if row else None


def _absence(absence: Absence) -> dict[str, object]:
    """One span that this purpose may not have, with who decided so and why; of a pause also what held and ended it."""
    told: dict[str, object] = {
        "from_s": absence.start / CLOCK_RATE,
        "to_s": absence.end / CLOCK_RATE,
        "verb": absence.verb,
        "actor": absence.actor,
        "reason": absence.reason,
    }
    if absence.verb == "pause":
        told |= {"causes": list(absence.causes), "until": absence.until, "forgotten": absence.until == "limit"}
    return told


def _captured(tape: Tape, spans: Spans) -> bool:
    return any(max(a, c) < min(b, d) for channel in tape.captured for c, d in channel for a, b in spans)


def _keys(tape: Tape, purpose: Purpose, spans: Spans) -> list[dict[str, object]]:
    """Keys pressed within what the purpose may hear, where it may keep them: those that phones told of (RFC 4733 §3.2),
    and those that are heard as tones."""
    if not purpose.keys or SecretKind.CARD in purpose.redaction.hidden:  # a card may be typed as well
        return []
    channels = {s.stream: s.channel for s in tape.call.streams}
    told: list[dict[str, object]] = [
        {"key": KEY_NAMES[k.event], "at_s": k.position_samples / CLOCK_RATE, "channel": channels.get(k.stream)}
        for k in tape.keys
        if 0 <= k.event < len(KEY_NAMES) and any(a <= k.position_samples < b for a, b in spans)
    ]
    heard: list[dict[str, object]] = [
        {"key": tone.key, "at_s": tone.start / tape.rate, "channel": channel, "heard": True}
        for channel, pcm in enumerate(tape.heard(spans).channels)
        for tone in dtmf.find(pcm, tape.rate)
    ]
    return told + heard


def _rated(stream: MediaStream, counts: StreamCounts) -> dict[str, object]:
    return asdict(rate_stream(stream.codec, counts))


def _missing(tape: Tape, spans: Spans, voices: Sequence[Voice]) -> list[dict[str, object]]:
    """What this purpose should have and nobody captured: hold, no media, lost power."""
    gaps: list[dict[str, object]] = []
    for channel, captured in enumerate(tape.captured):
        for start, end in outside(captured, tape.samples):
            for a, b in spans:
                low, high = max(a, start), min(b, end)
                if high - low >= MISSING_MIN_SAMPLES and len(gaps) < MOST_LISTED:
                    voice = speaker(voices, channel, low / CLOCK_RATE)
                    entry = {"channel": channel, "party": voice.ref if voice else None}
                    gaps.append({**entry, "from_s": low / CLOCK_RATE, "to_s": high / CLOCK_RATE})
    if tape.ended is None or tape.ended.cause == "interrupted":
        gaps.append(
            {
                "from_s": tape.samples / CLOCK_RATE,
                "to_s": None,
                "reason": "the recorder was interrupted: what it held back, and at most one second more, is missing",
            }
        )
    return gaps
