"""A transcript as JSON (`greffier-transcript-1`) and as WebVTT with voice tags (W3C WebVTT, §4.2.2)."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from agent.model.text import Transcript
from agent.scribe.paused import shifted

FORMAT = "greffier-transcript-1"


@dataclass(frozen=True, slots=True)
class Voice:
    """A party as artifacts name it: `ref` is p1, p2… in order of channel; number and name only where permitted.

    It took part from `joined_s` to `left_s`, seconds from the start of the call; None: to the end.
    """

    ref: str
    role: str
    channel: int | None
    number: str | None = None
    name: str | None = None
    joined_s: float = 0.0
    left_s: float | None = None

    def anonymous(self) -> "Voice":
        """The same voice without number and name."""
        return replace(self, number=None, name=None)

    def described(self) -> dict[str, object]:
        """As a JSON object, without fields that are absent."""
        return {k: v for k, v in asdict(self).items() if v is not None}


@dataclass(frozen=True, slots=True)
class Heading:
    """What a transcript says about itself. `absent` are spans in seconds that the purpose may not hear, `cuts` those of
    them that were taken out of the audio, which is so much shorter."""

    call_id: str
    site: str
    purpose: str
    started_ns: int
    duration_s: float
    absent: tuple[tuple[float, float], ...]
    cuts: tuple[tuple[float, float], ...] = ()


def to_json(heading: Heading, voices: Sequence[Voice], transcript: Transcript) -> bytes:
    """The transcript as UTF-8 JSON: parties by reference, segments in order of time, words timed.

    All times are those of the call, also where the audio is shorter by its cuts.
    """
    document = {
        "format": FORMAT,
        "call": heading.call_id,
        "site": heading.site,
        "purpose": heading.purpose,
        "started_ns": heading.started_ns,
        "duration_s": heading.duration_s,
        "language": transcript.language,
        "languages": list(transcript.languages),
        "engine": {
            "name": transcript.engine,
            "model": transcript.model,
            "model_sha256": transcript.model_digest,
            "test_only": transcript.test_only,
        },
        "parties": [v.described() for v in voices],
        "absent": [list(span) for span in heading.absent],
        "cuts": [list(span) for span in heading.cuts],
        "segments": [
            {
                "party": voice.ref if (voice := speaker(voices, s.channel, s.start_s)) else None,
                "channel": s.channel,
                "start": s.start_s,
                "end": s.end_s,
                "text": s.text,
                "words": [
                    {"text": w.text, "start": w.start_s, "end": w.end_s, "confidence": round(w.confidence, 4)}
                    for w in s.words
                ],
            }
            for s in transcript.segments
        ],
        "left_out": [
            {"channel": o.channel, "start": o.start_s, "end": o.end_s, "why": o.why} for o in transcript.left_out
        ],
    }
    return json.dumps(document, ensure_ascii=False, indent=1).encode()


def to_webvtt(heading: Heading, voices: Sequence[Voice], transcript: Transcript) -> bytes:
    """The transcript as WebVTT, one cue a segment, the speaker's role and reference as voice.

    Cues are played along with the audio, so they are at its times, from which what was cut is gone.
    """
    model = f"{transcript.engine}, {transcript.model}"
    warning = " - for tests and demonstrations only" if transcript.test_only else ""
    notes = [f"call {heading.call_id}, {heading.purpose}", f"written by {model}{warning}"]
    notes += [f"absent by decision: {_clock(a)} to {_clock(b)}" for a, b in heading.absent]
    notes += [f"cut out of the audio, and so of these times: {_clock(a)} to {_clock(b)}" for a, b in heading.cuts]
    blocks = ["WEBVTT"] + ["NOTE " + _plain(note) for note in notes]
    for number, s in enumerate(transcript.segments, 1):
        start = shifted(s.start_s, heading.cuts)
        end = max(shifted(s.end_s, heading.cuts), start + 0.001)
        voice = speaker(voices, s.channel, s.start_s)
        name = f"{voice.role} {voice.ref}" if voice else "other"
        blocks.append(f"{number}\n{_clock(start)} --> {_clock(end)}\n<v {_plain(name)}>{_plain(s.text)}")
    return ("\n\n".join(blocks) + "\n").encode()


def speaker(voices: Sequence[Voice], channel: int, at_s: float) -> Voice | None:
    """Whose voice a channel carries at a moment: after a transfer, that of the party who came."""
    mine = sorted((v for v in voices if v.channel == channel), key=lambda v: v.joined_s)
    return next((v for v in reversed(mine) if v.joined_s <= at_s), mine[0] if mine else None)


def _plain(text: str) -> str:
    """Text safe inside a cue: escaped, on one line (an arrow cannot survive the escaping of `>`)."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return " ".join(escaped.split())


def _clock(seconds: float) -> str:
    ms = max(0, round(seconds * 1000))
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}.{ms % 1000:03}"
