"""Packets that go where no description said: NAT has moved an end, or an end has moved without a word.

A stray is given to a stream only when exactly one live stream can claim it: its announced sender sends it, and what the
stream itself was to hear has not come, or has stopped under the same SSRC. Two claims are none: a voice in the wrong
call is worse than one that is missing.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

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


def place(
    strays: Sequence[Stray], calls: Sequence[Call], heard: Mapping[Address, Heard], now_ns: int
) -> list[tuple[str, tuple[MediaStream, ...]]]:
    """For each call that strays belong to, its id and its streams as they are then: the one that moved is inactive, and
    another in its place listens where the packets go."""
    taken = {(s.host, s.port) for call in calls for s in call.streams}
    claims: dict[int, list[tuple[Call, MediaStream]]] = defaultdict(list)
    loud = [s for s in strays if s.packets >= LEAST_PACKETS and s.destination not in taken]
    for call in calls:
        for stream in call.streams:
            had = heard.get((stream.host, stream.port), Heard(0, 0))
            if not stream.active or (had.last_ns and now_ns - had.last_ns < STOPPED_NS):
                continue
            for number, stray in enumerate(loud):
                if _is_of(stray, stream, had):
                    claims[number].append((call, stream))
    moved: dict[str, tuple[MediaStream, ...]] = {}
    for number, claimed in claims.items():
        if len(claimed) != 1 or sum(1 for c in claims.values() if claimed[0] in c) != 1:
            continue
        call, stream = claimed[0]
        moved[call.call_id] = _moved(moved.get(call.call_id, call.streams), stream, loud[number])
    return list(moved.items())


def _is_of(stray: Stray, stream: MediaStream, had: Heard) -> bool:
    if had.last_ns and stray.ssrc == had.ssrc:
        return True
    announced = bool(stream.peer_host) and stray.source == (stream.peer_host, stream.peer_port)
    return announced and any(f.payload_type == stray.payload_type for f in stream.every_format)


def _moved(streams: tuple[MediaStream, ...], stream: MediaStream, stray: Stray) -> tuple[MediaStream, ...]:
    host, port = stray.destination
    still = [replace(s, active=False) if s.stream == stream.stream else s for s in streams]
    there = replace(
        stream, stream=len(still), host=host, port=port, peer_host=stray.source[0], peer_port=stray.source[1]
    )
    return (*still, there)
