"""Half-open spans of media positions, and their union."""

from collections.abc import Iterable

FOREVER = 1 << 62
"""End of a span that is still open."""

Span = tuple[int, int]


def merge(spans: Iterable[Span]) -> list[Span]:
    """The union of spans, sorted, those that overlap or touch made one; empty ones vanish."""
    union: list[Span] = []
    for start, end in sorted(spans):
        if union and start <= union[-1][1]:
            union[-1] = (union[-1][0], max(union[-1][1], end))
        elif end > start:
            union.append((start, end))
    return union
