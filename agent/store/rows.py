"""What the catalog hands out: one frozen dataclass a row. Times are UTC ns; numbers only ever as keyed hashes."""

from dataclasses import dataclass


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
    """A purpose whose transcript waits, why, and since when."""

    call_id: str
    purpose: str
    reason: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class HoldRow:
    """A legal hold: nothing of the call is deleted locally until it is lifted."""

    call_id: str
    actor: str
    reason: str
    at_ns: int
