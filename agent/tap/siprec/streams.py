"""A session description as media streams: which m-line is which stream of the call, on which of our ports and channels.

RFC 3264 §8: m-lines keep their place for the life of a session; a label (RFC 4574) that reappears in another place is
the same stream. Streams are numbered once and never dropped: one that was removed stays, inactive, with its port.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from agent.model.call import MediaStream, Party
from agent.sip.answer import Line, accept, refuse
from agent.sip.formats import expected
from agent.sip.metadata import Metadata
from agent.sip.sdp import Description, OfferedMedia
from agent.tap.siprec.forks import Fork, Side
from agent.tap.siprec.people import party_of
from agent.tap.siprec.secrecy import StreamSecret, agree

MAX_STREAMS = 32

Slots = tuple[int | None, ...]
"""For each m-line of the session, the stream it carries."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of an offer: all streams of the call, the place of each, and our answer line by line.

    `secrets` are those of the streams that are secure RTP, by stream.
    """

    streams: tuple[MediaStream, ...]
    slots: Slots
    lines: tuple[Line, ...]
    secrets: Mapping[int, StreamSecret] = field(default_factory=dict)


def take(
    description: Description,
    streams: Sequence[MediaStream],
    slots: Slots,
    host: str,
    lend: Callable[[], int | None],
    secrets: Mapping[int, StreamSecret],
    others: frozenset[int] = frozenset(),
) -> Taken:
    """Apply an offer to the streams of a call. `lend` gives a port of `host` for a new stream, or None: its m-line is
    refused.

    New streams have neither participant nor channel yet: see `settle`. `others` are streams that another leg of the
    call describes: they stay as they are.
    """
    now = {s.stream: s if s.stream in others else replace(s, active=False) for s in streams}
    agreed = dict(secrets)
    new_slots: list[int | None] = []
    lines: list[Line] = []
    for place, media in enumerate(description.media):
        number = _stream_of(media, now, [*new_slots, *others], slots[place] if place < len(slots) else None)
        if not media.usable:
            new_slots.append(slots[place] if place < len(slots) else None)
            lines.append(refuse(media))
            continue
        formats = expected(media.codecs)
        codec = formats[0]
        if number is None:
            port = lend() if len(now) < MAX_STREAMS else None
            if port is None:
                new_slots.append(None)
                lines.append(refuse(media))
                continue
            number = len(now)
            now[number] = MediaStream(number, media.label, -1, None, codec.codec, codec.payload_type, port, host=host)
        stream = replace(
            now[number],
            label=media.label or now[number].label,
            codec=codec.codec,
            payload_type=codec.payload_type,
            formats=formats,
            active=not media.held,
            peer_host=media.peer_host,
            peer_port=media.port if media.peer_host else 0,
        )
        now[number] = stream
        new_slots.append(number)
        secret = agree(media, agreed.pop(number, None))
        if secret is not None:
            agreed[number] = secret
        lines.append(accept(media, stream.port, (secret.ours,) if secret else ()))
    return Taken(tuple(now.values()), tuple(new_slots), tuple(lines), agreed)


def _stream_of(
    media: OfferedMedia, streams: dict[int, MediaStream], used: Sequence[int | None], before: int | None
) -> int | None:
    if before is not None and before not in used and _same_label(media.label, streams[before].label):
        return before
    if media.label:
        for stream in streams.values():
            if stream.label == media.label and stream.stream not in used:
                return stream.stream
    return None


def _same_label(offered: str, before: str) -> bool:
    return not offered or not before or offered == before


def settle(streams: Sequence[MediaStream], metadata: Metadata | None, sole: str | None) -> tuple[MediaStream, ...]:
    """Streams with their participants, as metadata has them, and with channels.

    `sole` is the participant of a call without metadata, who owns its only stream. Metadata that says nothing at all of
    who sends what, from gateways that leave it out, is taken in order: first participant, first stream. A mixed stream
    (several senders) has no participant. A channel belongs to a party: a stream that takes the place of an inactive one
    of the same party shares its channel.
    """
    if metadata is not None:
        streams = _assign(streams, metadata)
    elif sole is not None and len(streams) == 1:
        streams = [replace(streams[0], participant_id=sole)]
    with_channel = [s for s in streams if s.channel >= 0]
    settled: list[MediaStream] = []
    for stream in streams:
        is_new = stream.channel < 0
        settled.append(replace(stream, channel=_channel(stream, with_channel, settled)) if is_new else stream)
    return tuple(settled)


def of_side(
    streams: Sequence[MediaStream], own: frozenset[int], fork: Fork, parties: Sequence[Party]
) -> tuple[MediaStream, ...]:
    """The streams of a leg (`own`) given to the party at its side: near end on channel 0, far end on channel 1,
    whichever leg came first. A stream that has its channel keeps it."""
    party = party_of(parties, fork.side) if fork.side is not None else None
    if party is None:
        return tuple(streams)
    channel = 0 if fork.side is Side.NEAR else 1
    taken = {s.channel for s in streams}
    given = []
    for stream in streams:
        if stream.stream in own:
            free = stream.channel < 0 and channel not in taken
            stream = replace(  # noqa: PLW2901
                stream, participant_id=party.participant_id, channel=channel if free else stream.channel
            )
            taken.add(stream.channel)
        given.append(stream)
    return tuple(given)


def _assign(streams: Sequence[MediaStream], metadata: Metadata) -> list[MediaStream]:
    silent = not any(a.send for a in metadata.associations)
    present = [p.participant_id for p in metadata.participants if not p.left]
    if silent and len(present) == len(streams):
        return [
            s if s.participant_id in present else replace(s, participant_id=p)
            for s, p in zip(streams, present, strict=True)
        ]
    assigned = []
    for stream in streams:
        senders = metadata.senders(stream.label) if stream.label else ()
        sender = senders[0] if len(senders) == 1 else None
        assigned.append(replace(stream, participant_id=sender) if senders else stream)
    return assigned


def _channel(stream: MediaStream, before: Sequence[MediaStream], settled: Sequence[MediaStream]) -> int:
    others = [*before, *(s for s in settled if s not in before)]
    if stream.participant_id is not None:
        mine = [s for s in others if s.participant_id == stream.participant_id]
        if mine and not any(s.active for s in mine):
            return mine[-1].channel
    return max((s.channel for s in others), default=-1) + 1
