"""The look-back in RAM: stretches of media that are not old enough to be written, by stream and media position.

What a pause removes is let go at once, also where it shared memory with something that stays (I1).
"""

from bisect import insort
from collections.abc import Callable, Iterator

import numpy as np

from agent.capture.writable import Span, merge
from agent.model.media import StreamChunk


class Holdback:
    """All streams of one call. Positions are samples from the call's media origin."""

    def __init__(self) -> None:
        self._streams: dict[int, list[StreamChunk]] = {}

    def __len__(self) -> int:
        """Samples held, of all streams."""
        return sum(len(chunk.payload) for held in self._streams.values() for chunk in held)

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
            ready, held[:count] = held[:count], []
            late = [cut(chunk, before, chunk.end_samples) for chunk in ready if chunk.end_samples > before]
            held[:0] = late
            yield from joined(ready, before)

    def keep_only(self, parts: Callable[[int, int], list[Span]]) -> None:
        """Erase all but what `parts(start, end)` returns of each stretch. What stays of a cut stretch is a copy."""
        for stream, held in self._streams.items():
            self._streams[stream] = [kept for chunk in held for kept in keep(chunk, parts)]

    def clear(self) -> None:
        """Erase everything."""
        self._streams.clear()


def joined(chunks: list[StreamChunk], before: int) -> Iterator[StreamChunk]:
    """What of these stretches of one stream, in order, lies before a position; those of one codec that touch as one."""
    run: list[StreamChunk] = []
    for chunk in chunks:
        if run and not (chunk.codec is run[-1].codec and chunk.position_samples == run[-1].end_samples):
            yield _one(run, before)
            run = []
        run.append(chunk)
    yield _one(run, before)


def _one(run: list[StreamChunk], before: int) -> StreamChunk:
    first, last = run[0], run[-1]
    excess = last.end_samples - before
    if len(run) == 1:
        return first if excess <= 0 else cut(first, first.position_samples, before)
    payloads, lost = [chunk.payload for chunk in run], sum(chunk.lost_samples for chunk in run)
    if excess > 0:
        length = len(last.payload)
        payloads[-1] = last.payload[: length - excess]
        lost += last.lost_samples * (length - excess) // length - last.lost_samples
    payload = np.concatenate(payloads)
    return StreamChunk(first.call_id, first.stream, first.codec, first.position_samples, payload, lost)


def keep(chunk: StreamChunk, parts: Callable[[int, int], list[Span]]) -> list[StreamChunk]:
    """What of the stretch may stay: itself when all of it, else copies that share no memory with what may not."""
    kept = merge(parts(chunk.position_samples, chunk.end_samples))
    if kept == [(chunk.position_samples, chunk.end_samples)]:
        return [chunk]
    return [cut(chunk, start, end, copy=True) for start, end in kept]


def cut(chunk: StreamChunk, start: int, end: int, copy: bool = False) -> StreamChunk:
    """The part [start, end) of a stretch. Lost samples are shared out in proportion; the shares add up exactly."""
    low, high, length = start - chunk.position_samples, end - chunk.position_samples, len(chunk.payload)
    if low == 0 and high == length and not copy:
        return chunk
    payload = chunk.payload[low:high]
    lost = chunk.lost_samples * high // length - chunk.lost_samples * low // length
    return StreamChunk(chunk.call_id, chunk.stream, chunk.codec, start, payload.copy() if copy else payload, lost)


def _position(chunk: StreamChunk) -> int:
    return chunk.position_samples
