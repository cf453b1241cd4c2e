"""The look-back in RAM: stretches of media that are not old enough to be written, by stream and media position.

What a pause removes is let go at once, also where it shared memory with something that stays (I1).
"""

from bisect import insort
from collections.abc import Callable, Iterator

import numpy as np

from agent.model.call import Codec
from agent.model.media import Frames, StreamChunk
from agent.model.spans import Span, merge

MOST_BYTES = 1 << 20
"""Of a stretch put together from others: far below what a record may hold."""


class Holdback:
    """All streams of one call. Positions are samples from the call's media origin."""

    def __init__(self) -> None:
        self._streams: dict[int, list[StreamChunk]] = {}

    def __len__(self) -> int:
        """Samples held, of all streams."""
        return sum(chunk.samples for held in self._streams.values() for chunk in held)

    @property
    def holds_some(self) -> bool:
        """Whether there is anything."""
        return any(self._streams.values())

    @property
    def end_samples(self) -> int:
        """The position after the last sample held; 0 when nothing is."""
        return max((chunk.end_samples for held in self._streams.values() for chunk in held), default=0)

    def add(self, chunk: StreamChunk) -> None:
        """Hold a stretch; out of order is fine."""
        held = self._streams.setdefault(chunk.stream, [])
        if held and held[-1].position_samples > chunk.position_samples:
            insort(held, chunk, key=_position)
        else:
            held.append(chunk)

    def take(self, before: int) -> Iterator[StreamChunk]:
        """Let go of every sample before this position, stream by stream in order; a stretch is split at the sample, and
        what goes on without a break comes as one."""
        for held in self._streams.values():
            if not held or held[0].position_samples >= before:
                continue
            count = 1
            while count < len(held) and held[count].position_samples < before:
                count += 1
            ready, late = [], []
            for chunk in held[:count]:
                early, rest = (chunk, None) if chunk.end_samples <= before else split_at(chunk, before)
                if early is not None:
                    ready.append(early)
                if rest is not None:
                    late.append(rest)
            held[:count] = late
            if len(ready) > 1:
                yield from joined(ready)
            else:
                yield from ready

    def keep_only(self, parts: Callable[[int, int], list[Span]]) -> None:
        """Erase all but what `parts(start, end)` returns of each stretch. What stays of a cut stretch is a copy."""
        for stream, held in self._streams.items():
            self._streams[stream] = [kept for chunk in held for kept in keep(chunk, parts)]

    def clear(self) -> None:
        """Erase everything."""
        self._streams.clear()


def joined(chunks: list[StreamChunk]) -> Iterator[StreamChunk]:
    """Stretches of one stream, in order; those of one codec that touch as one, up to MOST_BYTES."""
    run: list[StreamChunk] = []
    held = 0
    for chunk in chunks:
        if run and not (_goes_on(run[-1], chunk) and held + len(chunk.payload) <= MOST_BYTES):
            yield _one(run)
            run, held = [], 0
        run.append(chunk)
        held += len(chunk.payload)
    if run:
        yield _one(run)


def _goes_on(before: StreamChunk, chunk: StreamChunk) -> bool:
    if chunk.codec is not before.codec or chunk.position_samples != before.end_samples:
        return False
    if before.frames is None or chunk.frames is None:
        return before.frames is chunk.frames
    return before.frames.format == chunk.frames.format


def _one(run: list[StreamChunk]) -> StreamChunk:
    first = run[0]
    if len(run) == 1:
        return first
    payload, lost = np.concatenate([chunk.payload for chunk in run]), sum(chunk.lost_samples for chunk in run)
    frames = None
    if first.frames is not None:
        parts = [(chunk.position_samples - first.position_samples, chunk.frames) for chunk in run if chunk.frames]
        frames = Frames(
            first.frames.format,
            run[-1].end_samples - first.position_samples,
            np.concatenate([shift + part.begin for shift, part in parts]),
            np.concatenate([part.duration for _, part in parts]),
            np.concatenate([part.size for _, part in parts]),
        )
    return StreamChunk(first.call_id, first.stream, first.codec, first.position_samples, payload, lost, frames)


def split_at(chunk: StreamChunk, at: int) -> tuple[StreamChunk | None, StreamChunk | None]:
    """What lies before position `at` and what does not; a packet is not taken apart and counts as what does not."""
    if chunk.end_samples <= at:
        return chunk, None
    if chunk.frames is not None:
        begin = chunk.frames.begin + chunk.position_samples
        end = begin + chunk.frames.duration
        while (
            across := (begin < at) & (end > at)
        ).any():  # packets may overlap: the split before one may lie in another
            at = int(begin[across].min())
    if at <= chunk.position_samples:
        return None, chunk
    return cut(chunk, chunk.position_samples, at), cut(chunk, at, chunk.end_samples)


def keep(chunk: StreamChunk, parts: Callable[[int, int], list[Span]]) -> list[StreamChunk]:
    """What of the stretch may stay: itself when all of it, else copies that share no memory with what may not.

    A packet stays only when all of it may, and so much before it as it may repeat of the packet before (RFC 6716
    §2.1.7: Opus carries the last frame once more, for when it is lost).
    """
    look_back = int(chunk.frames.duration.max(initial=0)) if chunk.frames and chunk.codec is Codec.OPUS else 0
    first = max(0, chunk.position_samples - look_back)
    kept = merge(parts(first, chunk.end_samples))
    if kept == [(first, chunk.end_samples)]:
        return [chunk]
    stay = []
    for start, end in kept:
        begin = max(start, chunk.position_samples)
        if begin < end:
            stay.append(cut(chunk, begin, end, copy=True, whole_from=start + look_back if start else 0))
    return stay


def cut(chunk: StreamChunk, start: int, end: int, copy: bool = False, whole_from: int = 0) -> StreamChunk:
    """The part [start, end) of a stretch, of packets those that lie all in it and begin at `whole_from` or later.

    Lost samples are shared out in proportion; the shares add up exactly.
    """
    low, high, length = start - chunk.position_samples, end - chunk.position_samples, chunk.samples
    if low == 0 and high == length and not copy:
        return chunk
    lost = chunk.lost_samples * high // length - chunk.lost_samples * low // length
    if chunk.frames is None:
        payload, frames = chunk.payload[low:high], None
    else:
        f = chunk.frames
        inside = (f.begin >= low) & (f.begin + f.duration <= high) & (f.begin + chunk.position_samples >= whole_from)
        payload = chunk.payload[np.repeat(inside, f.size)]
        frames = Frames(f.format, high - low, f.begin[inside] - low, f.duration[inside], f.size[inside])
    return StreamChunk(
        chunk.call_id, chunk.stream, chunk.codec, start, payload.copy() if copy else payload, lost, frames
    )


def _position(chunk: StreamChunk) -> int:
    return chunk.position_samples
