"""Half-open spans of media positions, and their union."""

from collections.abc import Iterable
from typing import TypeVar

FOREVER = 1 << 62
"""End of a span that is still open."""

Span = tuple[int, int]
Place = TypeVar("Place", int, float)
"""A media position, or seconds."""


def merge(spans: Iterable[tuple[Place, Place]]) -> list[tuple[Place, Place]]:
    """The union of spans, sorted, those that overlap or touch made one; empty ones vanish."""
    union: list[tuple[Place, Place]] = []
    for start, end in sorted(spans):
        if union and start <= union[-1][1]:
            union[-1] = (union[-1][0], max(union[-1][1], end))
        elif end > start:
            union.append((start, end))
    return union
