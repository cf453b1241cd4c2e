"""Artifacts: the encrypted files that leave the scribe, one purpose each, and the life they lead."""

from dataclasses import dataclass
from enum import StrEnum

from agent.model.purpose import ArtifactKind


class Delivery(StrEnum):
    """Where an artifact is on its way (column `delivery` of the catalog)."""

    WAITING = "waiting"
    SENT = "sent"
    LOCAL_ONLY = "local-only"
    POISONED = "poisoned"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Artifact:
    """One age file in the outbox and its catalog row.

    `path` is relative to the outbox (`PURPOSE/CALL.KIND.EXT.age`) and is also the object key at the destination.
    Digests are SHA-256 in hexadecimal, of plaintext and ciphertext. Deadlines are UTC ns; 0 means none kept.
    """

    artifact_id: str
    call_id: str
    purpose: str
    kind: ArtifactKind
    path: str
    media_type: str
    size_bytes: int
    plain_sha256: str
    cipher_sha256: str
    created_ns: int
    local_deadline_ns: int
    central_deadline_ns: int
    destination: str | None
    delivery: Delivery = Delivery.WAITING
