"""Packets that go where no description said: NAT has moved an end, or an end has moved without a word.

A stray is given to a stream only when exactly one live stream can claim it: its announced sender sends it, and what
the stream itself was to hear has not come, or has stopped and goes on from the same host. Two claims are none: a
voice in the wrong call is worse than one that is missing. Where only one side's description was heard, the other
voice is looked for too.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agent.model.call import Call, MediaStream

LEAST_PACKETS = 25
"""Half a second: less is a leftover."""
STOPPED_NS = 1_000_000_000
Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Stray:
    """Packets to an address that no stream has, from one source with one SSRC, since the last report."""

    destination: Address
    source: Address
    ssrc: int
    payload_type: int
    packets: int


@dataclass(frozen=True, slots=True)
class Heard:
    """What a stream has heard: its last SSRC and when its last packet came (UTC ns); 0 and 0: nothing."""

    ssrc: int
    last_ns: int


HeardAt = Callable[[Address], Heard | None]


@dataclass(frozen=True, slots=True)
class Claim:
    """A stray that is `stream` of a call; or, where `answers`, the voice of who hears that stream."""

    call_id: str
    stream: MediaStream
    stray: Stray
    answers: bool = False


def claims(strays: Sequence[Stray], calls: Sequence[Call], heard: HeardAt, now_ns: int) -> list[Claim]:
    """Which strays belong to which calls. `heard` is asked by the addresses of streams."""
    taken = {(s.host, s.port) for call in calls for s in call.streams}
    loud = [s for s in strays if s.packets >= LEAST_PACKETS and s.destination not in taken]
    found: list[Claim] = []
    sources = {stray.source[0] for stray in loud}
    for call in calls if loud else ():
        if not any(s.peer_host in sources or s.host in sources for s in call.streams):
            continue
        active = [s for s in call.streams if s.active]
        for stream in active:
            had = heard((stream.host, stream.port)) or Heard(0, 0)
            quiet = not had.last_ns or now_ns - had.last_ns >= STOPPED_NS
            for stray in loud:
                if quiet and _is_of(stray, stream, had):
                    found.append(Claim(call.call_id, stream, stray))
                elif len(active) == 1 and _answers(stray, stream):
                    found.append(Claim(call.call_id, stream, stray, answers=True))
    strays_claimed = Counter(claim.stray for claim in found)
    streams_claiming = Counter((claim.call_id, claim.stream.stream) for claim in found)
    return [
        claim
        for claim in found
        if strays_claimed[claim.stray] == 1 and streams_claiming[claim.call_id, claim.stream.stream] == 1
    ]


def _is_of(stray: Stray, stream: MediaStream, had: Heard) -> bool:
    if not any(f.payload_type == stray.payload_type for f in stream.every_format):
        return False
    if not stream.peer_host or stray.source[0] != stream.peer_host:
        return False  # some devices have the same SSRC in every call
    return stray.source[1] == stream.peer_port or bool(had.last_ns and stray.ssrc == had.ssrc)


def _answers(stray: Stray, stream: MediaStream) -> bool:
    """Symmetric RTP (RFC 4961): who hears a stream sends from where it is heard."""
    peer = (stream.peer_host, stream.peer_port)
    return stray.source == (stream.host, stream.port) and (not stream.peer_host or stray.destination == peer)
