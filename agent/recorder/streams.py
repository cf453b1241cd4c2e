"""What changes in a live call: its streams by their addresses, the counts of all the times each was listened to, and
since when those are there who are named."""

from collections.abc import Sequence
from dataclasses import replace

from agent.media.endpoint import key
from agent.model.call import CLOCK_RATE, Call, MediaStream, Party
from agent.model.media import StreamCounts
from agent.model.spans import FOREVER

_SUMMED = (
    "received",
    "lost",
    "late",
    "duplicates",
    "reordered",
    "foreign",
    "stale",
    "undecryptable",
    "keys",
    "noise",
    "ssrcs",
)


def added_up(counts: list[tuple[int, StreamCounts]]) -> tuple[tuple[int, StreamCounts], ...]:
    """The counts of each stream, of all the times it was listened to; what was measured is that of the last."""
    whole: dict[int, StreamCounts] = {}
    for stream, part in counts:
        before = whole.get(stream, StreamCounts())
        sums = {name: getattr(before, name) + getattr(part, name) for name in _SUMMED}
        highest = max(before.jitter_max_ms, part.jitter_max_ms)
        formats = tuple(dict.fromkeys(before.formats + part.formats))
        again = part.jumps + (stream in whole)
        whole[stream] = replace(part, **sums | {"jumps": before.jumps + again}, jitter_max_ms=highest, formats=formats)
    return tuple(whole.items())


def heard_streams(call: Call) -> dict[int, MediaStream]:
    """The streams by the address their packets are sent to. Where that is the same for several, it is the active one's,
    the last of those."""
    found: dict[int, MediaStream] = {}
    for stream in call.streams:
        address = key(stream.host, stream.port)
        if address not in found or stream.active or not found[address].active:
            found[address] = stream
    return found


def named_since(before: Call, parties: Sequence[Party]) -> int:
    """Where in the call the first of those joined whose number is known only now; FOREVER where there are none."""
    known = {(p.participant_id, p.number) for p in before.parties}
    joined = [p.joined_ns for p in parties if p.number and (p.participant_id, p.number) not in known]
    return max(0, min(joined) - before.started_ns) * CLOCK_RATE // 1_000_000_000 if joined else FOREVER
