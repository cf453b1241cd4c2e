"""One call as overheard, of one or more dialogs: its parties and its streams, reckoned anew whenever a dialog changes.

A PBX that stands in the middle makes two dialogs of one call, a transfer makes new ones of an old one. Only the streams
of one dialog at a time are recorded: both voices are in it, and in no other would anything new be heard.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from agent.media.endpoint import key
from agent.model.call import Call, MediaFormat, MediaStream, Party, Role
from agent.sip.formats import expected, preferred
from agent.sip.sdp import PLAIN_RTP, SECURE_RTP, Description, Flow, OfferedMedia
from agent.tap.siprec.people import direction_of, role_of
from agent.tap.span.leg import Leg, Side, Stage
from agent.tap.span.strays import Claim

REFERRAL_NS = 20_000_000_000
"""So long after a REFER a new dialog is taken for what it asked for."""
MOST_LEGS = 16
MOST_STREAMS = 64
MOST_PARTIES = 32
MOST_MOVED = 16
address = lru_cache(1 << 16)(key)
"""The number of an address (`agent.media.endpoint.key`)."""
_SENDS, _HEARS = (Flow.SENDRECV, Flow.SENDONLY), (Flow.SENDRECV, Flow.RECVONLY)


@dataclass(frozen=True, slots=True)
class Voice:
    """What one side sends in one m-line: to where, from where, in which formats."""

    side: Side
    host: str
    port: int
    peer_host: str
    peer_port: int
    formats: tuple[MediaFormat, ...]
    active: bool


def is_secure(leg: Leg) -> bool:
    """Whether media of a leg is, or would be, secure RTP (RFC 3711), of which nothing can be heard in passing."""
    said = (leg.said(Side.CALLER), leg.said(Side.CALLED))
    lines = [media for description in said if description for media in description.media]
    return any(media.kind == "audio" and media.port and media.profile in SECURE_RTP for media in lines)


def voices(leg: Leg) -> list[Voice]:
    """What is to be heard of a leg: for each audio m-line the voice of each side, where it is known where it goes."""
    found = []
    said = [leg.said(Side.CALLER), leg.said(Side.CALLED)]
    for place in range(max(len(d.media) if d else 0 for d in said)):
        caller, called = (_line(d, place) for d in said)
        if caller is not None and called is not None and not (caller.port and called.port):
            continue  # refused
        for side, sends, hears in ((Side.CALLER, caller, called), (Side.CALLED, called, caller)):
            if hears is None or not _recordable(hears) or (sends is not None and sends.kind != "audio"):
                continue
            found.append(_voice(side, sends, hears))
    return found


def _line(description: Description | None, place: int) -> OfferedMedia | None:
    return description.media[place] if description and place < len(description.media) else None


def _recordable(media: OfferedMedia) -> bool:
    plain = media.kind == "audio" and media.profile in PLAIN_RTP and media.port != 0
    return plain and media.peer_host != "" and preferred(media.codecs) is not None


def _voice(side: Side, sends: OfferedMedia | None, hears: OfferedMedia) -> Voice:
    """RFC 3264 §5.1 and §6.1: payload types are those of who hears, the codec is one that both have."""
    common = {(f.codec, f.clock_rate) for f in sends.codecs} if sends else set()
    shared = [f for f in hears.codecs if (f.codec, f.clock_rate) in common]
    formats = expected(shared if preferred(shared) else hears.codecs)
    formats += tuple(f for f in hears.codecs if f not in formats)
    active = hears.flow in _HEARS and not (sends is not None and (sends.flow not in _SENDS or sends.port == 0))
    peer = (sends.peer_host, sends.port) if sends and sends.peer_host else ("", 0)
    return Voice(side, hears.peer_host, hears.port, *peer, formats, active)


def _has_agent(leg: Leg, agents: Sequence[str]) -> bool:
    return Role.AGENT in (role_of(leg.numbers.caller, agents), role_of(leg.called, agents))


@dataclass(frozen=True, slots=True)
class Moved:
    """Where the packets of a voice come to, and from where."""

    host: str
    port: int
    peer_host: str
    peer_port: int


@dataclass(slots=True)
class Conversation:
    """The call, from its first answer on, and its legs in order. `call` is None before."""

    legs: list[Leg]
    call: Call | None = None
    known: dict[str, str] = field(default_factory=dict)
    """The id of each party, by its number: what names a party in the catalog must not be its number."""
    channels: dict[str, int] = field(default_factory=dict)
    """Of each party, by its id."""
    moved: dict[str, Moved] = field(default_factory=dict)
    """Where voices were found that do not go where they were said to; by that address, or by the address of who speaks
    where nothing was said."""
    headers: list[str] = field(default_factory=list)
    """Values by which other dialogs are known to belong to it."""
    told_on: dict[str, str] = field(default_factory=dict)
    """On which dialog the keys of each party are told, by its id: a PBX in the middle tells them again on the other."""
    encrypted: bool = False
    """A side of it was heard to send or expect secure RTP."""
    refused: bool = False
    """There was no room for the call when it would have begun; it may begin with a later message."""

    @property
    def is_over(self) -> bool:
        """Whether every leg is."""
        return all(leg.stage is Stage.OVER for leg in self.legs)

    @property
    def addresses(self) -> set[int]:
        """All that its media goes to, went to, or may go to once a message says so."""
        found = {address(s.host, s.port) for s in (self.call.streams if self.call else ())}
        found |= {address(there.host, there.port) for there in self.moved.values()}
        for leg in self.legs:
            found.update(named((leg.caller_said, leg.called_said, *leg.early.values(), *leg.offered.values())))
        return found

    def take_over(self, other: "Conversation") -> None:
        """All legs of another conversation are this one's from now on."""
        self.legs += other.legs
        self.headers += other.headers

    def whose_key(self, leg: Leg, side: Side) -> str | None:
        """The id of the party at a side of a leg, of which a key was told there; None when its keys are told elsewhere,
        or nobody is known there."""
        number = leg.number(side)
        named = self.known.get(number or side.name)
        if self.call is None or named is None:
            return None
        live = {f"{one.call_id} {one.from_tag}" for one in self.legs if one.stage is not Stage.OVER}
        this = f"{leg.call_id} {leg.from_tag}"
        if self.told_on.get(named) not in live:
            self.told_on[named] = this
        return named if self.told_on[named] == this else None

    def waits(self, at_ns: int) -> bool:
        """Whether a party was asked a moment ago to call somebody else: that will be the same call."""
        return any(leg.referral and at_ns - leg.referral.at_ns < REFERRAL_NS for leg in self.legs)

    def recorded(self, agents: Sequence[str]) -> Leg | None:
        """The leg whose media is recorded: of those with media, the first that was answered, best one where an agent's
        own number is to be seen, so that each voice is known for whose it is."""
        heard = [leg for leg in self.legs if leg.is_open and voices(leg)]
        return min(heard, key=lambda leg: (leg.stage is not Stage.ANSWERED, not _has_agent(leg, agents)), default=None)

    def dialled(self, leg: Leg) -> str | None:
        """The number that was called first, where it is not the party that answered on `leg`."""
        first = self.legs[0]
        return leg.numbers.did or first.numbers.did or (first.called if first.called != leg.called else None)

    def reckon(self, agents: Sequence[str], at_ns: int, call: Call, recorded: Leg | None) -> Call:
        """The call as it stands at `at_ns`: parties and streams of `call` brought up to date, streams by `recorded`."""
        parties = self._parties(call.parties, agents, at_ns)
        streams = self._streams(call.streams, parties, recorded)
        caller = next((leg.numbers.caller for leg in self.legs), "")
        return replace(call, parties=parties, streams=streams, direction=direction_of(parties, caller))

    def _parties(self, before: Sequence[Party], agents: Sequence[str], at_ns: int) -> tuple[Party, ...]:
        known = {p.participant_id: p for p in before}
        present: dict[str, Party] = {}
        for leg in self.legs:
            if leg.stage is Stage.OVER or not (leg.is_open or leg is self.legs[0]):
                continue
            for number, name, side in (
                (leg.numbers.caller, leg.numbers.caller_name, Side.CALLER),
                (leg.called, leg.called_name, Side.CALLED),
            ):
                named = self._id(number, side)
                old = known.get(named)
                joined = old.joined_ns if old else at_ns
                present.setdefault(named, Party(named, number, name, role_of(number, agents), joined))
        everyone = known | present
        return tuple(
            p if p.participant_id in present else replace(p, left_ns=p.left_ns or at_ns)
            for p in list(everyone.values())[:MOST_PARTIES]
        )

    def _streams(
        self, before: Sequence[MediaStream], parties: Sequence[Party], leg: Leg | None
    ) -> tuple[MediaStream, ...]:
        streams = [replace(stream, active=False) for stream in before]
        if leg is None:
            return tuple(streams)
        for voice in self._found(voices(leg)):
            number = leg.numbers.caller if voice.side is Side.CALLER else leg.called
            named = self._id(number, voice.side)
            channel = self.channels.setdefault(named, len(self.channels))
            same = (voice.host, voice.port, named)
            at = next((n for n, s in enumerate(streams) if (s.host, s.port, s.label) == same), len(streams))
            if at >= MOST_STREAMS:
                continue
            first = voice.formats[0]
            stream = MediaStream(
                at,
                named,
                channel,
                named if any(p.participant_id == named for p in parties) else None,
                first.codec,
                first.payload_type,
                voice.port,
                voice.active,
                voice.host,
                voice.peer_host,
                voice.peer_port,
                voice.formats,
            )
            streams[at:] = [stream] if at == len(streams) else [stream, *streams[at + 1 :]]
        return tuple(streams)

    def move(self, claim: Claim) -> None:
        """What comes to an address that nobody named is a voice of this call from now on."""
        stray, stream = claim.stray, claim.stream
        if len(self.moved) < MOST_MOVED:
            named = f"from {stream.host} {stream.port}" if claim.answers else f"{stream.host} {stream.port}"
            self.moved[named] = Moved(*stray.destination, *stray.source)

    def _found(self, said: list[Voice]) -> list[Voice]:
        """The voices where they have been found to go."""
        found = [self._where(voice) for voice in said]
        if len(said) == 1 and (other := self.moved.get(f"from {said[0].host} {said[0].port}")):
            ends = (other.host, other.port, other.peer_host, other.peer_port)
            found.append(Voice(said[0].side.other, *ends, said[0].formats, active=True))
        return found

    def _where(self, voice: Voice) -> Voice:
        for _ in range(MOST_MOVED):
            if (there := self.moved.get(f"{voice.host} {voice.port}")) is None:
                break
            voice = replace(
                voice, host=there.host, port=there.port, peer_host=there.peer_host, peer_port=there.peer_port
            )
        return voice

    def _id(self, number: str, side: Side) -> str:
        """The same for a party in every leg of the call: by its number, or, without one, by its side."""
        return self.known.setdefault(number or side.name, f"p{len(self.known)}")


def used(call: Call) -> frozenset[int]:
    """The addresses that media of a call goes to now."""
    return frozenset(address(s.host, s.port) for s in call.streams if s.active)


def named(descriptions: Iterable[Description | None]) -> Iterator[int]:
    """The addresses that descriptions say media goes to."""
    for description in descriptions:
        for media in description.media if description else ():
            if media.peer_host:
                yield address(media.peer_host, media.port)
