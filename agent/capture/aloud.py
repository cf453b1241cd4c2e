"""Where one call may be listened to live, and back to where what was heard must be forgotten.

Only the present counts: from the press of pause on nothing goes out, be it from before the press, and what is heard
after it begins where the pause ended. Positions are samples from the call's media origin.
"""

from collections.abc import Mapping

import numpy as np

from agent.model.media import Frames, StreamChunk
from agent.model.spans import FOREVER, Span


class Aloud:
    """Of one call. `holdbacks`: its live purposes, and how long sound waits before it may be heard for each."""

    def __init__(self, holdbacks: Mapping[str, int]) -> None:
        self._holdbacks = dict(holdbacks)
        self._open: dict[str, int] = {}
        self._closed_at = FOREVER
        self.since = FOREVER
        """From where on the call may be heard as things stand; FOREVER when that is nowhere."""
        self.holdback_samples = 0
        """How old sound must be before it is heard."""

    @property
    def is_wanted(self) -> bool:
        """Whether the call has any live purpose."""
        return bool(self._holdbacks)

    def open(self, purpose: str, since: int) -> None:
        """This live purpose hears what lies at or after `since`."""
        self._open[purpose] = since
        self._stand()

    def shut(self, purpose: str, at: int, *, dropped: bool) -> None:
        """A purpose, live or written, has nothing at or after `at`; one that was `dropped` has nothing at all."""
        self._open.pop(purpose, None)
        self._stand()
        self._closed_at = min(self._closed_at, 0 if dropped and purpose in self._holdbacks else at)

    def take_forgotten(self) -> int | None:
        """Back to where a listener must forget the call, for all that was shut since this was asked last; None: nothing
        is to be forgotten. While a live purpose goes on hearing, nothing is: it may have what the others may not."""
        at, self._closed_at = self._closed_at, FOREVER
        return at if at < FOREVER and not self._open else None

    def parts(self, start: int, end: int) -> list[Span]:
        """What of [start, end) may be heard, holdback left aside."""
        start = max(start, self.since)
        return [(start, end)] if start < end else []

    def _stand(self) -> None:
        self.since = min(self._open.values(), default=FOREVER)
        self.holdback_samples = min((self._holdbacks[name] for name in self._open), default=0)


def later(chunk: StreamChunk, at: int) -> StreamChunk | None:
    """What of a stretch ends after position `at`; packets that begin before it, by rounding, count from there."""
    if at <= chunk.position_samples:
        return chunk
    if at >= chunk.end_samples:
        return None
    low, f = at - chunk.position_samples, chunk.frames
    if f is None:
        return StreamChunk(chunk.call_id, chunk.stream, chunk.codec, at, chunk.payload[low:])
    left = f.begin + f.duration > low
    begin = np.maximum(f.begin[left], low)
    frames = Frames(f.format, f.samples - low, begin - low, f.begin[left] + f.duration[left] - begin, f.size[left])
    payload = chunk.payload[np.repeat(left, f.size)]
    return StreamChunk(chunk.call_id, chunk.stream, chunk.codec, at, payload, 0, frames)
