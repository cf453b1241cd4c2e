"""The record of processing activities (GDPR art. 30 (1)) and the retention table, from the configuration in force."""

import hashlib
from dataclasses import dataclass
from urllib.parse import urlsplit

from agent.config import Settings
from agent.config.destinations import AnyDestination, FolderSection, PullSection, PutSection, S3Section
from agent.model.purpose import ArtifactKind, Purpose

DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Processing:
    """One purpose as art. 30 wants it. `readers` are fingerprints of those whom it is encrypted to; `to` says where it
    goes, `hidden` what that was said is taken out; times in seconds, `central_s` 0 where the centre has no deadline."""

    name: str
    basis: str
    trigger: str
    data: tuple[str, ...]
    hidden: tuple[str, ...]
    readers: tuple[str, ...]
    to: str
    local_s: int
    central_s: int
    consent: bool
    withdrawable: bool
    pseudonymised: bool
    live: bool


def processings(settings: Settings) -> list[Processing]:
    """A record for each purpose, in the order of the configuration. Raises OSError, ValueError: recipients unread."""
    return [_processing(settings, purpose) for purpose in settings.purposes()]


def _processing(settings: Settings, purpose: Purpose) -> Processing:
    section = settings.purpose[purpose.name]
    percent = f" {section.percent:g} %" if section.percent < 100 else ""
    return Processing(
        purpose.name,
        section.basis,
        section.trigger.value + percent,
        tuple(kind.value for kind in purpose.artifacts if kind is not ArtifactKind.MANIFEST),
        tuple(sorted(purpose.redaction.hidden)),
        tuple(fingerprint(recipient) for recipient in purpose.recipients),
        "" if section.destination is None else _place(section.destination, settings.destination[section.destination]),
        purpose.local_retention_s,
        purpose.central_retention_s,
        section.consent,
        section.may_be_withdrawn,
        purpose.pseudonymise,
        section.live,
    )


def fingerprint(recipient: str) -> str:
    """By what a reader's public key is told from others: the first 16 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(recipient.encode()).hexdigest()[:16]


def _place(name: str, section: AnyDestination) -> str:
    """Where it is, without anything secret."""
    if isinstance(section, FolderSection):
        return f"{name}: {section.path}"
    if isinstance(section, PullSection):
        return f"{name}: GET /v1/feed"
    if isinstance(section, S3Section):
        return f"{name}: s3 {urlsplit(section.endpoint_url or '').hostname or 'AWS'}/{section.bucket}"
    if isinstance(section, PutSection):
        return f"{name}: https {urlsplit(section.url).hostname}"
    return f"{name}: sftp {section.host}"
