"""Purposes: why a recording exists, what it may contain, who may read it and until when (DESIGN §4)."""

from dataclasses import dataclass
from enum import StrEnum

from agent.model.call import Direction


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
    """What can be derived from a call. A manifest is made for every purpose that applies."""

    AUDIO = "audio"
    TRANSCRIPT = "transcript"
    SUBTITLES = "subtitles"
    MANIFEST = "manifest"


class AudioFormat(StrEnum):
    """Container and codec of derived audio, one channel per party."""

    FLAC = "flac"
    OPUS = "opus"
    WAV = "wav"


@dataclass(frozen=True, slots=True)
class Condition:
    """Narrowing of a trigger; every field that is set must hold. Numbers, queues and DIDs are shell patterns."""

    direction: tuple[Direction, ...] = ()
    numbers: tuple[str, ...] = ()
    exclude_numbers: tuple[str, ...] = ()
    queue: tuple[str, ...] = ()
    did: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Purpose:
    """One use of recordings, complete: trigger, permitted artifacts, readers, destination, deadlines.

    `keys`: whether the manifest may say which keys were pressed on the phones.
    """

    name: str
    trigger: Trigger
    artifacts: tuple[ArtifactKind, ...]
    recipients: tuple[str, ...]
    destination: str | None
    percent: float = 100.0
    keep_from: KeepFrom = KeepFrom.START
    when: Condition = Condition()
    audio_format: AudioFormat = AudioFormat.FLAC
    pseudonymise: bool = False
    keys: bool = False
    local_retention_s: int = 7 * 86400
    central_retention_s: int = 0
    basis: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """Why a purpose applies to a call or not: `rule` is a sentence for the journal, free of numbers and names."""

    purpose: str
    applies: bool
    trigger: Trigger
    rule: str
