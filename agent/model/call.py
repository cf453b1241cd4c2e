"""Calls, parties and media streams, in the words of RFC 7865 (SIP recording metadata).

Times are UTC nanoseconds (`_ns`); media positions are samples at `CLOCK_RATE` from the call's media origin, which is
the instant the call started (`Call.started_ns`).
"""

from dataclasses import dataclass
from enum import StrEnum

CLOCK_RATE = 8000
"""Samples per second of every media position in the system (the RTP clock of G.711, RFC 3551 §4.5.14)."""


class Direction(StrEnum):
    """Which way the call went, seen from the site."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"
    INTERNAL = "internal"
    UNKNOWN = "unknown"


class Role(StrEnum):
    """What a party is to the site."""

    AGENT = "agent"
    CUSTOMER = "customer"
    OTHER = "other"


class Codec(StrEnum):
    """Codecs kept as received. The numbers of the capture log are in `agent.capture.format`."""

    PCMU = "PCMU"
    PCMA = "PCMA"


@dataclass(frozen=True, slots=True)
class Party:
    """One participant (RFC 7865 §6.5). `number` is the user part of the AoR, as the gateway gave it."""

    participant_id: str
    number: str
    name: str = ""
    role: Role = Role.OTHER
    joined_ns: int = 0
    left_ns: int | None = None


@dataclass(frozen=True, slots=True)
class MediaStream:
    """One recorded stream (RFC 7865 §6.6), numbered from 0 in order of appearance in the call.

    `channel` is the audio channel that its party owns in every derived artifact: a stream that replaces another of
    the same party shares its channel. Packets are sent to `host` and `port`, which are our own or, where we only
    listen, those of the other party; `peer_host` and `peer_port` are where their sender says it is ("" and 0: it does
    not say).
    """

    stream: int
    label: str
    channel: int
    participant_id: str | None
    codec: Codec
    payload_type: int
    port: int
    active: bool = True
    host: str = "0.0.0.0"  # noqa: S104 - any address of ours
    peer_host: str = ""
    peer_port: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """One communication session as the tap knows it.

    `call_id` is ours (32 hexadecimal digits, time-ordered); `reference` is the gateway's name for the session
    (communication session id of RFC 7865, else the SIP Call-ID) and is what `percent` is decided on.
    """

    call_id: str
    reference: str
    tap: str
    gateway: str
    started_ns: int
    direction: Direction = Direction.UNKNOWN
    parties: tuple[Party, ...] = ()
    streams: tuple[MediaStream, ...] = ()
    queue: str | None = None
    did: str | None = None

    @property
    def agent(self) -> Party | None:
        """The first party with the role of agent."""
        return next((p for p in self.parties if p.role is Role.AGENT), None)

    @property
    def customer(self) -> Party | None:
        """The first party with the role of customer."""
        return next((p for p in self.parties if p.role is Role.CUSTOMER), None)
