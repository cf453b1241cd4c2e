"""The sections `[purpose.NAME]`: why a call is recorded, what may be kept, who may read it, and for how long."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from agent.config.section import Duration, Section, Size, listed
from agent.config.when import When
from agent.model.purpose import ArtifactKind, AudioFormat, KeepFrom, PausedSound, Stratify, Subtitles, Trigger
from agent.model.redaction import NO_REDACTION, Policy, SecretKind, Treatment


class Sensitive(StrEnum):
    """What a purpose may redact, as the configuration calls it."""

    CARD = "card"
    BANK = "bank"
    IDENTITY = "identity"
    PHONE = "phone"
    EMAIL = "email"
    ADDRESS = "address"


_KINDS = {
    Sensitive.CARD: (SecretKind.CARD, SecretKind.CVV, SecretKind.EXPIRY),
    Sensitive.BANK: (SecretKind.IBAN,),
    Sensitive.IDENTITY: (SecretKind.NIR,),
    Sensitive.PHONE: (SecretKind.PHONE,),
    Sensitive.EMAIL: (SecretKind.EMAIL,),
    Sensitive.ADDRESS: (SecretKind.ADDRESS,),
}
_CARD_AND_BANK = (Sensitive.CARD, Sensitive.BANK)
_BY_PURPOSE = {
    "assistance": (*_CARD_AND_BANK, Sensitive.IDENTITY),
    "training": _CARD_AND_BANK,
    "analytics": (*_CARD_AND_BANK, Sensitive.IDENTITY, Sensitive.PHONE, Sensitive.EMAIL),
}
"""What purposes of these names hide when they do not say (DESIGN §4)."""


def _masked(value: object) -> object:
    """A list of what is masked is short for a table."""
    words = listed(value)
    return dict.fromkeys(words, Treatment.MASK) if isinstance(words, list | tuple) else value


Redact = Annotated[dict[Sensitive, Treatment], BeforeValidator(_masked)]


_SAID = {ArtifactKind.AUDIO, ArtifactKind.TRANSCRIPT}


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
    importance: int = Field(0, ge=-1000, le=1000)
    """Higher is sent first, and derived for longest as the outbox fills; of equals, what is configured first."""
    disk_budget: Size | None = None
    """Bytes of its artifacts that may be here (docs/delivery.md)."""
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
    timestamp: bool | None = None
    """An authority vouches for when its manifests existed; by default those of a purpose named evidence, where there is
    a `[timestamp]`."""
    redact: Redact | None = None
    """What that was said is hidden, in text and in audio; by default by the purpose's name."""

    def redaction(self, name: str) -> Policy:
        """`redact`, or what purposes of this name hide."""
        chosen = self.redact
        if chosen is None:
            chosen = dict.fromkeys(_BY_PURPOSE.get(name, ()), Treatment.MASK)
        if not chosen:
            return NO_REDACTION
        of = {t: frozenset(k for s, u in chosen.items() if u is t for k in _KINDS[s]) for t in Treatment}
        return Policy(of[Treatment.MASK], of[Treatment.PSEUDONYMISE])

    @property
    def may_be_withdrawn(self) -> bool:
        """`withdrawable`, or what the basis says."""
        binding = any(word in self.basis.lower() for word in ("contract", "legal", "obligation"))
        return not binding if self.withdrawable is None else self.withdrawable

    @model_validator(mode="after")
    def _check(self) -> Self:
        if ArtifactKind.TOMBSTONE in self.artifacts:
            raise ValueError("artifacts: tombstones are made where they are needed, and not asked for")
        if ArtifactKind.VCON in self.artifacts and not _SAID & {*self.artifacts}:
            raise ValueError("artifacts: a vcon holds the audio and the transcript of its purpose: name one of them")
        if ArtifactKind.TIMESTAMP in self.artifacts:
            raise ValueError("artifacts: timestamps are of manifests: timestamp = true")
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


def by_importance(sections: Mapping[str, PurposeSection]) -> tuple[str, ...]:
    """Names of purposes, the most important first; of equals the one that is configured first."""
    return tuple(sorted(sections, key=lambda name: -sections[name].importance))
