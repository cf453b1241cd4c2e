"""Segments of several channels as one conversation in order of time: a segment ends where its party fell silent.

Engines leave silence out before they listen, so that one of their segments may hold words from before and after an
answer of the other party. It is cut there, and the answer comes in between.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from agent.model.text import Segment, Word

PAUSE_S = 1.5
"""A party silent for so long has ended its turn."""
BREATH_S = 0.3
"""A shorter silence never ends a turn, whoever speaks meanwhile."""


def merged(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    """The conversation: segments cut into turns, sorted by start, end and channel; no word is lost or changed."""
    begins = [(w.start_s, s.channel) for s in segments for w in s.words]
    turns = [turn for s in segments for turn in _turns(s, begins)]
    return tuple(sorted(turns, key=lambda s: (s.start_s, s.end_s, s.channel)))


def _turns(segment: Segment, begins: Sequence[tuple[float, int]]) -> Iterator[Segment]:
    words = segment.words
    if segment.text != " ".join(w.text for w in words):  # a language without spaces: nothing to put together anew
        yield segment
        return
    first = 0
    for number, (a, b) in enumerate(pairwise(words), 1):
        if _ends(segment.channel, a, b, begins):
            yield _part(segment, words[first:number], last=False, first=first == 0)
            first = number
    yield _part(segment, words[first:], last=True, first=first == 0)


def _ends(channel: int, a: Word, b: Word, begins: Sequence[tuple[float, int]]) -> bool:
    gap = b.start_s - a.end_s
    if gap < BREATH_S:
        return False
    return gap >= PAUSE_S or any(other != channel and a.end_s <= at < b.start_s for at, other in begins)


def _part(segment: Segment, words: tuple[Word, ...], *, first: bool, last: bool) -> Segment:
    start = segment.start_s if first else words[0].start_s
    end = segment.end_s if last else words[-1].end_s
    return replace(segment, start_s=start, end_s=end, text=" ".join(w.text for w in words), words=words)
