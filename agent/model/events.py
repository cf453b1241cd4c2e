"""What a tap tells the recorder: started, parties changed, streams changed, ended (RFC 7865 terms)."""

from dataclasses import dataclass
from typing import Literal

from agent.model.call import Call, Consent, Direction, MediaStream, Party


@dataclass(frozen=True, slots=True)
class CallStarted:
    """A call was accepted and its media ports are bound."""

    call: Call
    kind: Literal["started"] = "started"

    @property
    def call_id(self) -> str:
        """The call it speaks of."""
        return self.call.call_id


@dataclass(frozen=True, slots=True)
class CallChanged:
    """New metadata or a new session description: the whole of parties and streams as they now stand.

    Parties that left keep their entry with `left_ns`; streams on hold have `active` false.
    """

    call_id: str
    at_ns: int
    parties: tuple[Party, ...]
    streams: tuple[MediaStream, ...]
    direction: Direction = Direction.UNKNOWN
    kind: Literal["changed"] = "changed"


@dataclass(frozen=True, slots=True)
class CallEnded:
    """The session is over. `cause` is one of: bye, cancelled, refused, no-ack, no-media, expired, interrupted,
    capture-ended (the file it was read from goes no further)."""

    call_id: str
    at_ns: int
    cause: str
    kind: Literal["ended"] = "ended"


@dataclass(frozen=True, slots=True)
class CallKeyed:
    """A key (RFC 4733 event number, 0 to 15) that a party pressed, told by SIP beside the media."""

    call_id: str
    at_ns: int
    participant_id: str
    event: int
    kind: Literal["keyed"] = "keyed"


CallEvent = CallStarted | CallChanged | CallEnded
"""What a tap tells."""


@dataclass(frozen=True, slots=True)
class CallContext:
    """What desktop, PBX or the customer said of a call: the whole of queue, tags and consent as they now stand.

    `actor` is who said it (`kind:name`), `source` by which way: `api`, `header`, `dtmf`, `info`, `ami`, `ari`, `esl`.
    """

    call_id: str
    at_ns: int
    queue: str | None
    tags: tuple[str, ...]
    consent: Consent
    actor: str
    source: str
    kind: Literal["context"] = "context"
