"""Purposes: why a recording exists, what it may contain, who may read it and until when (DESIGN §4)."""

from dataclasses import dataclass
from enum import StrEnum

from agent.model.condition import ANY_CALL, Condition
from agent.model.redaction import NO_REDACTION, Policy


class Trigger(StrEnum):
    """What starts a purpose."""

    ALL = "all"
    PERCENT = "percent"
    ON_DEMAND = "on_demand"


class KeepFrom(StrEnum):
    """Where an `on_demand` recording begins."""

    START = "start"
    PRESS = "press"


class ArtifactKind(StrEnum):
    """What can be derived from a call. A manifest is made for every purpose that applies, a tombstone for what was
    destroyed here after it had left; a timestamp is another's word for when a manifest existed."""

    AUDIO = "audio"
    TRANSCRIPT = "transcript"
    SUBTITLES = "subtitles"
    VCON = "vcon"
    MANIFEST = "manifest"
    TOMBSTONE = "tombstone"
    TIMESTAMP = "timestamp"


ABOUT = frozenset({ArtifactKind.MANIFEST, ArtifactKind.TOMBSTONE, ArtifactKind.TIMESTAMP})
"""Kinds without a word or sound of the call: they speak of the others."""


class AudioFormat(StrEnum):
    """Container and codec of derived audio, one channel per party."""

    FLAC = "flac"
    OPUS = "opus"
    WAV = "wav"


class Subtitles(StrEnum):
    """In what form a transcript is played along with its audio."""

    VTT = "vtt"
    SRT = "srt"

    @property
    def media_type(self) -> str:
        """As IANA and players know it; SubRip never was registered."""
        return "text/vtt" if self is Subtitles.VTT else "application/x-subrip"


class PausedSound(StrEnum):
    """What derived audio has where a purpose was paused. CUT takes the time out as well; the manifest keeps it."""

    SILENCE = "silence"
    TONE = "tone"
    CUT = "cut"


class Stratify(StrEnum):
    """By what `percent` is made exact: each agent, or each queue, has its share."""

    AGENT = "agent"
    QUEUE = "queue"


@dataclass(frozen=True, slots=True)
class Purpose:
    """One use of recordings, complete: trigger, permitted artifacts, readers, destination, deadlines.

    `keys`: whether the manifest may say which keys were pressed on the phones. `consent`: nothing is written before
    the customer has agreed. `withdrawable`: its basis lets a customer or agent withdraw, and then it is destroyed.
    `holdback_s`: its own look-back; None: that of the site. `paused_sound`: what is heard where it was paused. `live`:
    nothing is written, but the call may be listened to while it lasts. `searchable`: its transcripts can be searched on
    the box as long as they are there (docs/search.md). `redaction`: what that was said is hidden, in text and in audio.
    `timestamp`: an authority is to vouch for when its manifests existed (docs/evidence.md).
    """

    name: str
    trigger: Trigger
    artifacts: tuple[ArtifactKind, ...]
    recipients: tuple[str, ...]
    destination: str | None
    percent: float = 100.0
    stratify: Stratify | None = None
    keep_from: KeepFrom = KeepFrom.START
    when: Condition = ANY_CALL
    audio_format: AudioFormat = AudioFormat.FLAC
    pseudonymise: bool = False
    keys: bool = False
    local_retention_s: int = 7 * 86400
    central_retention_s: int = 0
    basis: str = ""
    consent: bool = False
    withdrawable: bool = True
    holdback_s: float | None = None
    paused_sound: PausedSound = PausedSound.SILENCE
    live: bool = False
    subtitles: Subtitles = Subtitles.VTT
    searchable: bool = False
    redaction: Policy = NO_REDACTION
    timestamp: bool = False


@dataclass(frozen=True, slots=True)
class Draw:
    """What `percent` drew for a call and purpose: drawn once, kept whatever becomes of the call."""

    taken: bool
    how: str


@dataclass(frozen=True, slots=True)
class Decision:
    """Why a purpose applies to a call or not: `rule` is a sentence for the journal, free of numbers and names.

    `waits`: it would apply, once the customer has agreed. `at_ns`: when it was decided (UTC); a call that changes is
    decided on again, `draw` being kept.
    """

    purpose: str
    applies: bool
    trigger: Trigger
    rule: str
    waits: bool = False
    at_ns: int = 0
    draw: Draw | None = None
