"""The sections `[purpose.NAME]`: why a call is recorded, what may be kept, who may read it, and for how long."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from agent.config.section import Duration, Section
from agent.config.when import When
from agent.model.purpose import ArtifactKind, AudioFormat, KeepFrom, PausedSound, Stratify, Subtitles, Trigger


class PurposeSection(Section):
    """One `[purpose.NAME]`."""

    trigger: Trigger
    percent: float = Field(100.0, ge=0, le=100)
    stratify: Stratify | None = None
    """Each agent, or each queue, has exactly this share of its calls recorded."""
    keep_from: KeepFrom = KeepFrom.START
    when: When = When()
    artifacts: tuple[ArtifactKind, ...] = ()
    audio_format: AudioFormat = AudioFormat.FLAC
    pseudonymise: bool = False
    keys: bool = False
    recipients_file: Path | None = None
    destination: str | None = None
    local_retention: Duration = 7 * 86400
    central_retention: Duration = 0
    basis: str = ""
    consent: bool = False
    """Nothing is written before the customer has agreed."""
    withdrawable: bool | None = None
    """Whether a customer or agent may withdraw; by default unless the basis is a contract or a legal obligation."""
    holdback_s: float | None = Field(None, ge=0, le=30)
    paused_sound: PausedSound = PausedSound.SILENCE
    live: bool = False
    """Listened to while it lasts, and nothing kept (docs/live-audio.md). Its `holdback_s` is 0 by default."""
    subtitles: Subtitles = Subtitles.VTT
    searchable: bool = False
    """Its transcripts can be searched on the box (docs/search.md says at what price)."""

    @property
    def may_be_withdrawn(self) -> bool:
        """`withdrawable`, or what the basis says."""
        binding = any(word in self.basis.lower() for word in ("contract", "legal", "obligation"))
        return not binding if self.withdrawable is None else self.withdrawable

    @model_validator(mode="after")
    def _check(self) -> Self:
        if ArtifactKind.TOMBSTONE in self.artifacts:
            raise ValueError("artifacts: tombstones are made where they are needed, and not asked for")
        if self.live and self.artifacts:
            raise ValueError("live: of what is only listened to nothing is kept; artifacts take a purpose of their own")
        if self.artifacts and self.recipients_file is None:
            raise ValueError("recipients_file is missing: without a reader's key nothing may be kept")
        if self.searchable and ArtifactKind.TRANSCRIPT not in self.artifacts:
            raise ValueError('searchable is for purposes with "transcript" among their artifacts')
        if self.trigger is not Trigger.PERCENT and self.percent != 100.0:
            raise ValueError('percent is only for trigger = "percent"')
        if self.stratify and self.trigger is not Trigger.PERCENT:
            raise ValueError('stratify is only for trigger = "percent"')
        if self.stratify and not (self.percent * 10).is_integer():
            raise ValueError("a stratified percent is a multiple of 0.1: blocks of calls would be too long otherwise")
        return self
