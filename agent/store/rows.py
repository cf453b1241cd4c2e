"""What the catalog hands out: one frozen dataclass a row. Times are UTC ns; numbers only ever as keyed hashes."""

from dataclasses import dataclass
from typing import Any

from agent.model.artifact import Artifact, Delivery
from agent.model.purpose import ArtifactKind

ARTIFACT_COLUMNS: dict[str, type] = {
    "artifact_id": str,
    "call_id": str,
    "purpose": str,
    "kind": str,
    "path": str,
    "media_type": str,
    "size_bytes": int,
    "plain_sha256": str,
    "cipher_sha256": str,
    "created_ns": int,
    "local_deadline_ns": int,
    "central_deadline_ns": int,
    "destination": str,
    "delivery": str,
}
"""The fields of `agent.model.artifact.Artifact`, in its order."""


def artifact_of(row: dict[str, Any]) -> Artifact:
    """The artifact of a row with these columns."""
    return Artifact(**{**row, "kind": ArtifactKind(row["kind"]), "delivery": Delivery(row["delivery"])})


@dataclass(frozen=True, slots=True)
class CallRow:
    """One call. `state` is one of: live, ended, interrupted, finalised, forgotten."""

    call_id: str
    reference_hash: str
    tap: str
    gateway: str
    direction: str
    queue: str | None
    did_hash: str | None
    started_ns: int
    ended_ns: int | None
    cause: str | None
    state: str
    duration_samples: int


@dataclass(frozen=True, slots=True)
class PartyRow:
    """One participant of a call."""

    call_id: str
    participant_id: str
    role: str
    number_hash: str
    joined_ns: int
    left_ns: int | None
    channel: int | None


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """How far the delivery of an artifact is. `upload_id` is that of an unfinished multipart upload."""

    attempts: int
    next_attempt_ns: int
    upload_id: str | None
    detail: str
    sent_ns: int | None


@dataclass(frozen=True, slots=True)
class DeferredRow:
    """A purpose whose transcript waits, why, and since when. `version` is that of the manifest that will end it."""

    call_id: str
    purpose: str
    reason: str
    at_ns: int
    version: int = 2


@dataclass(frozen=True, slots=True)
class CorrectionRow:
    """A mask or a drop of one purpose in one call, as somebody asked for it at UTC `at_ns`.

    `verb` is mask (half-open media positions) or drop (positions 0). `state` is one of: asked, working, done, refused;
    `revision` is that of the artifacts that are made without what is masked (0: not begun); `detail` says why it waits,
    was refused, or what was done instead. `number` is given by the catalog.
    """

    call_id: str
    purpose: str
    verb: str
    from_samples: int
    to_samples: int
    actor: str
    reason: str
    at_ns: int
    state: str = "asked"
    revision: int = 0
    detail: str = ""
    done_ns: int | None = None
    number: int = 0

    @property
    def is_open(self) -> bool:
        """Whether it is still to be done."""
        return self.state in ("asked", "working")


@dataclass(frozen=True, slots=True)
class RewriteRow:
    """A finalised call that somebody wants transcribed again, at UTC `at_ns`, with `model` (empty: the usual one).

    `state` is one of: asked, working, done, refused; `revision` numbers the new files (0: not begun), `share` (0..1) is
    done, `detail` says why it was refused. `number` is given by the catalog.
    """

    call_id: str
    model: str
    actor: str
    at_ns: int
    state: str = "asked"
    revision: int = 0
    share: float = 0.0
    detail: str = ""
    done_ns: int | None = None
    number: int = 0

    @property
    def is_open(self) -> bool:
        """Whether it is still to be done."""
        return self.state in ("asked", "working")


@dataclass(frozen=True, slots=True)
class WrittenRow:
    """What wrote a transcript or its subtitles: program, model, SHA-256 (hex) of the model's files, language."""

    path: str
    call_id: str
    engine: str
    model: str
    model_sha256: str
    language: str
    test_only: bool = False


@dataclass(frozen=True, slots=True)
class IndexedRow:
    """A transcript (`entry` is its artifact's id) in a shard of its purpose's search index; `day` is when it came in
    (UTC), `size` the bytes of its text."""

    entry: str
    call_id: str
    purpose: str
    shard: str
    day: str
    size: int
