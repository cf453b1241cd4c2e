"""One call as it was captured: its records put back together into time-aligned channels, a channel a party.

A tape holds what was captured as it came; `Tape.heard` decodes what one purpose may hear. Every byte of G.711 lies at
its media position bit-exactly; where nothing was captured the samples are zero, and `Tape.captured` says where
something was.

Clocks: positions count on the sender's clock from where its stream began, and pauses act on them. Where that clock ran
so much faster or slower than ours that its channel would be more than 10 ms off by the end, `heard` leaves out or
doubles single samples, evenly, inside each visible span: sound that truly belongs before or after the span is then
silence, and nothing hidden moves into it. Spans, `captured` and gaps stay as they were counted.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from agent.capture.format import RecordKind
from agent.capture.reader import Record
from agent.media.decoders import is_decodable, is_wideband
from agent.media.quality import measure
from agent.model.call import CLOCK_RATE, Call, MediaStream, Party
from agent.model.events import CallChanged, CallContext, CallEnded, CallStarted
from agent.model.gate import GateMark
from agent.model.media import KeyPress, StreamCounts
from agent.model.purpose import Decision
from agent.model.quality import ChannelQuality
from agent.model.spans import merge
from agent.model.wire import load
from agent.scribe.hearing import Spans
from agent.scribe.sound import LONGEST_SAMPLES, WIDE_RATE, Clock, Sound, Stretch, render, stretch_of

MOST_CHANNELS = 32
DRIFT_SAMPLES = CLOCK_RATE // 100
"""A clock is corrected when it would be further off than this by the end of its stream: 10 ms."""
MOST_DRIFT_PPM = 500
"""No clock of a telephone is so wrong: such a sender does not keep to its RTP clock at all, and is left as it came."""

EVENT: Any = CallStarted | CallChanged | CallContext
DECISIONS: Any = tuple[Decision, ...]
COUNTS: Any = tuple[tuple[int, StreamCounts], ...]


@dataclass(frozen=True, slots=True)
class Tape:
    """A whole call, `samples` long. `lines` are the stretches captured, `captured` where they lie, a channel each.

    `decisions` are all there were, in order: a call that changed was decided on again. `contexts`: what others than the
    tap said of it. `rate` is that of the sound, samples per second: 16000 when anything captured is wideband, else
    8000; all positions count at CLOCK_RATE. `counts` pairs each stream with what the engine counted for it. `spoiled`
    records could not be opened or read: what they held is missing. `keys` are those pressed on the phones. `ended` is
    None when the log has no end.
    """

    call: Call
    decisions: tuple[Decision, ...]
    contexts: tuple[CallContext, ...]
    marks: tuple[GateMark, ...]
    counts: tuple[tuple[MediaStream, StreamCounts], ...]
    keys: tuple[KeyPress, ...]
    ended: CallEnded | None
    samples: int
    rate: int
    lines: tuple[tuple[Stretch, ...], ...]
    captured: tuple[Spans, ...]
    lost_samples: int
    spoiled: int
    _last: list[tuple[Spans, Sound]] = field(default_factory=list, repr=False, compare=False)

    def heard(self, spans: Spans) -> Sound:
        """`samples` at `rate` of each channel, silent outside `spans` and not depending on what lies there.

        Of codecs without a byte a sample, a packet is heard only when it lies wholly in a span. What was asked for last
        is remembered: purposes mostly hear the same, and decoding takes longest of all.
        """
        if not self._last or self._last[0][0] != spans:
            self._last.clear()
            self._last.append((spans, self._decoded(spans)))
        return self._last[0][1]

    def _decoded(self, spans: Spans) -> Sound:
        scale = self.rate // CLOCK_RATE
        channels = np.zeros((len(self.lines), self.samples * scale), np.int16)
        clocks = _clocks(self.lines, self.counts)
        undecoded = [0] * len(self.lines)
        for number, (channel, line) in enumerate(zip(channels, self.lines, strict=True)):
            for start, end in ((max(0, a), min(b, self.samples)) for a, b in spans):
                if start < end:
                    part, failed = render(line, (start, end), clocks, self.rate)
                    channel[start * scale : end * scale] = part
                    undecoded[number] += failed
        channels.flags.writeable = False
        return Sound(channels, tuple(undecoded))

    def quality(self, spans: Spans) -> tuple[ChannelQuality, ...]:
        """How each channel was heard within `spans`; nothing else is looked at."""
        sound = self.heard(spans)
        return tuple(
            measure(n, sound.channels[n], self.rate, spans, self.captured[n], sound.undecoded[n], _raw(line, spans))
            for n, line in enumerate(self.lines)
        )


def rebuild(call_id: str, records: Iterable[tuple[Record, bytes | None]]) -> Tape:
    """The call that these records (in order of the log, with their opened payloads) describe.

    A payload of None is a record that could not be opened. A call whose start is spoiled gets the little that the
    headers say.
    """
    call: Call | None = None
    first_ns: int | None = None
    streams: dict[int, MediaStream] = {}
    decisions: list[Decision] = []
    contexts: list[CallContext] = []
    marks: list[GateMark] = []
    keys: list[KeyPress] = []
    counted: tuple[tuple[int, StreamCounts], ...] = ()
    ended: CallEnded | None = None
    stretches: list[Stretch] = []
    lost = spoiled = 0
    for record, payload in records:
        head = record.header
        first_ns = head.at_ns if first_ns is None else first_ns
        if payload is None:
            spoiled += 1
            continue
        if head.kind is RecordKind.MEDIA:
            stretch = _stretch(record, payload)
            if stretch is None:
                spoiled += 1
                continue
            stretches.append(stretch)
            lost += head.lost_samples
            continue
        try:
            if head.kind is RecordKind.EVENT:
                event = load(EVENT, payload)
                call = seated(event.call) if isinstance(event, CallStarted) else changed(call, event)
                if isinstance(event, CallContext):
                    contexts.append(event)
                streams |= {s.stream: s for s in (call.streams if call else ())}
            elif head.kind is RecordKind.DECISIONS:
                decisions.extend(load(DECISIONS, payload))
            elif head.kind is RecordKind.GATE:
                marks.append(load(GateMark, payload))
            elif head.kind is RecordKind.KEY:
                keys.append(load(KeyPress, payload))
            elif head.kind is RecordKind.COUNTS:
                counted = load(COUNTS, payload)
            elif head.kind is RecordKind.END:
                ended = load(CallEnded, payload)
        except ValueError:
            spoiled += 1
    call = call or unreadable(call_id, first_ns or 0)
    channel_of = {number: stream.channel for number, stream in streams.items()}
    lines, captured = _lines(stretches, channel_of)
    ends = [s.end for s in stretches] + [min(m.since_samples, LONGEST_SAMPLES) for m in marks if m.verb == "end"]
    counts = tuple((streams[number], counts) for number, counts in counted if number in streams)
    return Tape(
        replace(call, streams=tuple(streams[n] for n in sorted(streams))),
        tuple(decisions),
        tuple(contexts),
        tuple(marks),
        counts,
        tuple(keys),
        ended,
        max([*ends, 0]),
        WIDE_RATE if any(is_wideband(s.format) for s in stretches) else CLOCK_RATE,
        lines,
        captured,
        lost,
        spoiled,
    )


def unreadable(call_id: str, at_ns: int) -> Call:
    """What stands for a call whose start cannot be read."""
    return Call(call_id, "", "unknown", "unknown", at_ns)


def changed(call: Call | None, event: CallChanged | CallContext) -> Call | None:
    """The call after new metadata, or new words of others; parties that the event no longer lists are kept."""
    if call is None:
        return None
    if isinstance(event, CallContext):
        return replace(call, queue=event.queue, tags=event.tags, consent=event.consent)
    parties: dict[str, Party] = {p.participant_id: p for p in call.parties}
    for party in event.parties:
        old = parties.get(party.participant_id, party)
        parties[party.participant_id] = replace(party, channel=old.channel)
    direction = event.direction if event.direction.value != "unknown" else call.direction
    return seated(replace(call, parties=tuple(parties.values()), streams=event.streams, direction=direction))


def seated(call: Call) -> Call:
    """The call with the channel of each party; one that no stream is of any more keeps the channel it had."""
    channels = {s.participant_id: s.channel for s in reversed(call.streams) if s.participant_id is not None}
    parties = (replace(p, channel=channels.get(p.participant_id, p.channel)) for p in call.parties)
    return replace(call, parties=tuple(parties))


def _stretch(record: Record, payload: bytes) -> Stretch | None:
    """What a MEDIA record holds, or None when it cannot be."""
    head = record.header
    return None if head.codec is None else stretch_of(head.stream, head.codec, head.position_samples, payload)


def _lines(
    stretches: list[Stretch], channel_of: dict[int, int]
) -> tuple[tuple[tuple[Stretch, ...], ...], tuple[Spans, ...]]:
    """The stretches of each channel in order, and the spans they cover."""
    count = max([c + 1 for c in channel_of.values()] + [0])
    for stretch in stretches:
        if stretch.stream not in channel_of:  # its event was spoiled: keep what was said, on a channel of its own
            channel_of[stretch.stream] = count
            count += 1
    count = min(count, MOST_CHANNELS)
    lines: list[list[Stretch]] = [[] for _ in range(count)]
    for stretch in stretches:
        lines[min(channel_of[stretch.stream], count - 1)].append(stretch)
    return tuple(tuple(line) for line in lines), tuple(
        tuple(merge(x for s in line for x in _covered(s))) for line in lines
    )


def _covered(stretch: Stretch) -> list[tuple[int, int]]:
    """The spans of a stretch with media in them."""
    if stretch.frames is None:
        return [(stretch.position, stretch.end)]
    begins = stretch.frames.begin + stretch.position
    ends = begins + stretch.frames.duration
    return merge(zip(begins.tolist(), ends.tolist(), strict=True))


def _raw(line: tuple[Stretch, ...], spans: Spans) -> tuple[str, ...]:
    """The codecs of a channel within `spans` that nothing decodes, by the names they were announced by."""
    formats = {s.format for s in line if any(a < s.end and s.position < b for a, b in spans)}
    names = {(f.name or f.codec.value)[:32] for f in formats if not is_decodable(f)}
    return tuple(sorted("".join(c if c.isascii() and c.isprintable() else "?" for c in name) for name in names))[:8]


def _clocks(
    lines: tuple[tuple[Stretch, ...], ...], counts: tuple[tuple[MediaStream, StreamCounts], ...]
) -> dict[int, Clock]:
    """The clocks that have to be corrected, by stream."""
    stretches = [stretch for line in lines for stretch in line]
    found = {}
    for stream, counted in counts:
        mine = [s for s in stretches if s.stream == stream.stream]
        if not mine or counted.jumps or abs(counted.drift_ppm) > MOST_DRIFT_PPM:
            continue  # a stream that began anew was set right by that
        anchor, end = min(s.position for s in mine), max(s.end for s in mine)
        if abs(counted.drift_ppm) / 1e6 * (end - anchor) > DRIFT_SAMPLES:
            found[stream.stream] = Clock(anchor, counted.drift_ppm)
    return found
