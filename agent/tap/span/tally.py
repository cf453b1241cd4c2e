"""Packets to addresses that no call has announced are counted, by source and SSRC, to be told to the watcher."""

from dataclasses import replace

import numpy as np

from agent.media import rtp
from agent.media.block import Frames
from agent.media.frames import Numbers, Payloads
from agent.tap.span.strays import Stray

MOST_ROWS = 4096
"""Packets looked at in a while; who sends media will be among them."""
MOST_STREAMS = 64


class Tally:
    """Counts until it is asked."""

    def __init__(self) -> None:
        self._seen: dict[tuple[int, ...], Stray] = {}
        self._looked_at = 0

    def note(self, frames: Frames, found: Payloads, rows: Numbers) -> None:
        """These rows of what was found are of no call."""
        rows = rows[: max(0, MOST_ROWS - self._looked_at)]
        if not len(rows):
            return
        self._looked_at += len(rows)
        heads = rtp.parse(found.chosen(frames, rows))
        rows = rows[heads.valid]
        named = (found.destination[rows], found.source[rows], heads.ssrc[heads.valid], heads.payload_type[heads.valid])
        streams, first, counts = np.unique(np.stack(named, axis=1), axis=0, return_index=True, return_counts=True)
        for number in np.argsort(-counts)[:MOST_STREAMS].tolist():
            stream, count = tuple(streams[number].tolist()), int(counts[number])
            if (before := self._seen.get(stream)) is not None:
                self._seen[stream] = replace(before, packets=before.packets + count)
            elif len(self._seen) < MOST_STREAMS:
                source, destination = found.ends(frames.memory, int(rows[first[number]]))
                self._seen[stream] = Stray(destination, source, int(stream[2]), int(stream[3]), count)

    def take(self) -> list[Stray]:
        """What was seen since this was asked last, the most frequent first."""
        seen = sorted(self._seen.values(), key=lambda stray: -stray.packets)
        self._seen.clear()
        self._looked_at = 0
        return seen
