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
    """What a payload type carries, by its encoding name in SDP (RFC 3551, RFC 4566 §6).

    All audio is kept as received; OTHER is a codec nobody here knows. Their numbers on disk and on
    sockets are `CODEC_NUMBERS`.
    """

    PCMU = "PCMU"
    PCMA = "PCMA"
    G722 = "G722"
    OPUS = "OPUS"
    G729 = "G729"
    GSM = "GSM"
    ILBC = "ILBC"
    L16 = "L16"
    AMR = "AMR"
    AMR_WB = "AMR-WB"
    OTHER = "OTHER"
    TELEPHONE_EVENT = "TELEPHONE-EVENT"
    COMFORT_NOISE = "CN"

    @property
    def is_audio(self) -> bool:
        """Whether it is sound to be recorded: neither keys pressed (RFC 4733) nor comfort noise (RFC 3389)."""
        return self not in (Codec.TELEPHONE_EVENT, Codec.COMFORT_NOISE)

    @property
    def byte_a_sample(self) -> bool:
        """Whether each byte lasts one tick of `CLOCK_RATE`: G.711, and G.722 at its 64 kbit/s (RFC 3551 §4.5.2)."""
        return self in (Codec.PCMU, Codec.PCMA, Codec.G722)


CODEC_NUMBERS = {
    Codec.PCMU: 1,
    Codec.PCMA: 2,
    Codec.G722: 3,
    Codec.OPUS: 4,
    Codec.G729: 5,
    Codec.GSM: 6,
    Codec.ILBC: 7,
    Codec.L16: 8,
    Codec.AMR: 9,
    Codec.AMR_WB: 10,
    Codec.OTHER: 255,
}
"""Of audio, in the capture log and on the live socket."""


class Consent(StrEnum):
    """What the customer said to being recorded; the PBX asks, we are told (header, key, API)."""

    UNKNOWN = "unknown"
    GIVEN = "given"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class MediaFormat:
    """What a payload type means in one stream: `rtpmap` and `fmtp` (RFC 4566 §6).

    `clock_rate` is that of its RTP timestamps (8000 for G.722 too, RFC 3551 §4.5.2); `name` is the encoding name as
    written, where the codec is OTHER.
    """

    payload_type: int
    codec: Codec
    clock_rate: int = CLOCK_RATE
    channels: int = 1
    fmtp: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Party:
    """One participant (RFC 7865 §6.5). `number` is the user part of the AoR, as the gateway gave it.

    `channel` is the one its voice has or, once it has left, had; None in the events of a tap, where streams say it.
    """

    participant_id: str
    number: str
    name: str = ""
    role: Role = Role.OTHER
    joined_ns: int = 0
    left_ns: int | None = None
    channel: int | None = None


@dataclass(frozen=True, slots=True)
class MediaStream:
    """One recorded stream (RFC 7865 §6.6), numbered from 0 in order of appearance in the call.

    `channel` is the audio channel that its party owns in every derived artifact: a stream that replaces another of
    the same party shares its channel. Packets are sent to `host` and `port`, which are our own or, where we only
    listen, those of the other party; `peer_host` and `peer_port` are where their sender says it is ("" and 0: it does
    not say). `formats` are all payload types its sender may use, that of `codec` first; when empty there is no other.
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
    formats: tuple[MediaFormat, ...] = ()

    @property
    def every_format(self) -> tuple[MediaFormat, ...]:
        """`formats`, or the one that `codec` and `payload_type` say."""
        return self.formats or (MediaFormat(self.payload_type, self.codec),)


@dataclass(frozen=True, slots=True)
class Call:
    """One communication session as the tap knows it.

    `call_id` is ours (32 hexadecimal digits, time-ordered); `reference` is the gateway's name for the session
    (communication session id of RFC 7865, else the SIP Call-ID) and is what `percent` is decided on. `tags` are words
    or `name=value` that gateway, PBX or desktop said of the call, in alphabetical order.
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
    tags: tuple[str, ...] = ()
    consent: Consent = Consent.UNKNOWN

    @property
    def agent(self) -> Party | None:
        """The first party with the role of agent who is in the call; when all have left, the one who came last."""
        return self._first(Role.AGENT)

    @property
    def customer(self) -> Party | None:
        """The same of customers."""
        return self._first(Role.CUSTOMER)

    def _first(self, role: Role) -> Party | None:
        having = [p for p in self.parties if p.role is role]
        return next((p for p in having if p.left_ns is None), having[-1] if having else None)
