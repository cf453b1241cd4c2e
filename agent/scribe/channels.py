"""One call as it was captured: its records put back together into time-aligned channels, a channel a party.

Every byte that arrived lies at its media position, decoded bit-exactly (ITU-T G.711); where nothing was captured the
samples are zero, and `Tape.captured` says where something was.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from agent.capture.format import RecordKind
from agent.capture.reader import Record
from agent.media.g711 import decode
from agent.model.call import CLOCK_RATE, Call, Codec, MediaStream, Party
from agent.model.events import CallChanged, CallEnded, CallStarted
from agent.model.gate import GateMark
from agent.model.media import StreamCounts
from agent.model.purpose import Decision
from agent.model.wire import load
from agent.scribe.hearing import Spans

LONGEST_SAMPLES = 24 * 3600 * CLOCK_RATE
"""Media beyond a day after the start of its call is no part of it."""
MOST_CHANNELS = 32

EVENT: Any = CallStarted | CallChanged
DECISIONS: Any = tuple[Decision, ...]
COUNTS: Any = tuple[tuple[int, StreamCounts], ...]


@dataclass(frozen=True, slots=True)
class Tape:
    """A whole call. `channels` is int16 [channels, samples] at 8 kHz; `captured` has the spans present, a channel each.

    `counts` pairs each stream with what the engine counted for it. `spoiled` records could not be opened or read:
    what they held is missing. `ended` is None when the log has no end.
    """

    call: Call
    decisions: tuple[Decision, ...]
    marks: tuple[GateMark, ...]
    counts: tuple[tuple[MediaStream, StreamCounts], ...]
    ended: CallEnded | None
    channels: npt.NDArray[np.int16]
    captured: tuple[Spans, ...]
    lost_samples: int
    spoiled: int

    @property
    def samples(self) -> int:
        """Length of the call in samples."""
        return int(self.channels.shape[1])


@dataclass(frozen=True, slots=True)
class _Stretch:
    stream: int
    codec: Codec
    position: int
    payload: bytes


def rebuild(call_id: str, records: Iterable[tuple[Record, bytes | None]]) -> Tape:
    """The call that these records (in order of the log, with their opened payloads) describe.

    A payload of None is a record that could not be opened. A call whose start is spoiled gets the little that the
    headers say.
    """
    call: Call | None = None
    first_ns: int | None = None
    streams: dict[int, MediaStream] = {}
    decisions: tuple[Decision, ...] = ()
    marks: list[GateMark] = []
    counted: tuple[tuple[int, StreamCounts], ...] = ()
    ended: CallEnded | None = None
    stretches: list[_Stretch] = []
    lost = spoiled = 0
    for record, payload in records:
        head = record.header
        first_ns = head.at_ns if first_ns is None else first_ns
        if payload is None:
            spoiled += 1
            continue
        if head.kind is RecordKind.MEDIA:
            if head.codec is None or not 0 <= head.position_samples <= LONGEST_SAMPLES - len(payload):
                spoiled += 1
                continue
            stretches.append(_Stretch(head.stream, head.codec, head.position_samples, payload))
            lost += head.lost_samples
            continue
        try:
            if head.kind is RecordKind.EVENT:
                event = load(EVENT, payload)
                call = event.call if isinstance(event, CallStarted) else changed(call, event)
                streams |= {s.stream: s for s in (call.streams if call else ())}
            elif head.kind is RecordKind.DECISIONS:
                decisions = load(DECISIONS, payload)
            elif head.kind is RecordKind.GATE:
                marks.append(load(GateMark, payload))
            elif head.kind is RecordKind.COUNTS:
                counted = load(COUNTS, payload)
            elif head.kind is RecordKind.END:
                ended = load(CallEnded, payload)
        except ValueError:
            spoiled += 1
    call = call or unreadable(call_id, first_ns or 0)
    channel_of = {number: stream.channel for number, stream in streams.items()}
    channels, captured = _place(stretches, channel_of, marks)
    counts = tuple((streams[number], counts) for number, counts in counted if number in streams)
    return Tape(
        replace(call, streams=tuple(streams[n] for n in sorted(streams))),
        decisions,
        tuple(marks),
        counts,
        ended,
        channels,
        captured,
        lost,
        spoiled,
    )


def unreadable(call_id: str, at_ns: int) -> Call:
    """What stands for a call whose start cannot be read."""
    return Call(call_id, "", "unknown", "unknown", at_ns)


def changed(call: Call | None, event: CallChanged) -> Call | None:
    """The call after new metadata; parties that the event no longer lists are kept."""
    if call is None:
        return None
    parties: dict[str, Party] = {p.participant_id: p for p in call.parties}
    parties |= {p.participant_id: p for p in event.parties}
    direction = event.direction if event.direction.value != "unknown" else call.direction
    return replace(call, parties=tuple(parties.values()), streams=event.streams, direction=direction)


def _place(
    stretches: list[_Stretch], channel_of: dict[int, int], marks: list[GateMark]
) -> tuple[npt.NDArray[np.int16], tuple[Spans, ...]]:
    count = max([c + 1 for c in channel_of.values()] + [0])
    for stretch in stretches:
        if stretch.stream not in channel_of:  # its event was spoiled: keep what was said, on a channel of its own
            channel_of[stretch.stream] = count
            count += 1
    count = min(count, MOST_CHANNELS)
    ends = [s.position + len(s.payload) for s in stretches]
    ends += [min(m.since_samples, LONGEST_SAMPLES) for m in marks if m.verb == "end"]
    channels = np.zeros((count, max([*ends, 0])), np.int16)
    spans: list[list[tuple[int, int]]] = [[] for _ in range(count)]
    for stretch in stretches:
        channel = min(channel_of[stretch.stream], count - 1)
        end = stretch.position + len(stretch.payload)
        channels[channel, stretch.position : end] = decode(np.frombuffer(stretch.payload, np.uint8), stretch.codec)
        spans[channel].append((stretch.position, end))
    return channels, tuple(merge(s) for s in spans)


def merge(spans: list[tuple[int, int]]) -> Spans:
    """Half-open spans in order, those that touch or overlap made one."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(s for s in spans if s[1] > s[0]):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)
