"""Where in a call samples may be written: half-open spans of media positions, a set per purpose and their union.

Positions decide, not the time of arrival, so a packet that comes late is treated as what it is: part of a pause or not.
"""

from collections.abc import Iterable
from itertools import chain

from agent.model.spans import FOREVER, Span, merge

MOST_SPANS = 256
"""Kept per purpose. Older ones are forgotten, and what is forgotten may not be written."""


class Writable:
    """Spans by purpose. `set` moves the current edge of one purpose; `parts` asks about all of them together."""

    def __init__(self, spans: dict[str, list[Span]] | None = None) -> None:
        self._spans = {name: list(mine) for name, mine in (spans or {}).items()}
        self._union = merge(chain.from_iterable(self._spans.values()))

    def set(self, purpose: str, writes: bool, at_samples: int) -> None:
        """From `at_samples` on, the purpose writes or does not."""
        mine = self._spans.setdefault(purpose, [])
        is_open = bool(mine) and mine[-1][1] == FOREVER
        if writes and not is_open:
            mine.append((at_samples, FOREVER))
            del mine[:-MOST_SPANS]
        elif is_open and not writes:
            start, _ = mine.pop()
            if at_samples > start:
                mine.append((start, at_samples))
        self._union = merge(chain.from_iterable(self._spans.values()))

    def add(self, purpose: str, spans: Iterable[Span]) -> None:
        """The purpose may have these as well, of which the last may be open."""
        self._spans[purpose] = merge([*self._spans.get(purpose, ()), *spans])[-MOST_SPANS:]
        self._union = merge(chain.from_iterable(self._spans.values()))

    def cut(self, purpose: str, at_samples: int) -> None:
        """The purpose may have nothing at or after `at_samples`, whatever it could have before."""
        mine = [(start, min(end, at_samples)) for start, end in self._spans.get(purpose, ()) if start < at_samples]
        self._spans[purpose] = mine
        self._union = merge(chain.from_iterable(self._spans.values()))

    def opened_at(self, purpose: str) -> int | None:
        """Where the span begins in which this purpose writes now; None when it does not."""
        mine = self._spans.get(purpose)
        return mine[-1][0] if mine and mine[-1][1] == FOREVER else None

    def of(self, purpose: str) -> tuple[Span, ...]:
        """The spans of one purpose, oldest first."""
        return tuple(self._spans.get(purpose, ()))

    def everything_since(self) -> int:
        """From where on every sample may be written as things stand; FOREVER when that is nowhere."""
        return self._union[-1][0] if self._union and self._union[-1][1] == FOREVER else FOREVER

    def everything_from(self, start: int) -> bool:
        """Whether every sample at or after `start` may be written as things stand."""
        return self.everything_since() <= start

    @property
    def permits_some(self) -> bool:
        """Whether anything may be written at all."""
        return bool(self._union)

    def parts(self, start: int, end: int) -> list[Span]:
        """What of [start, end) some purpose may write, in order."""
        if self._union and self._union[-1][0] <= start and end <= self._union[-1][1]:
            return [(start, end)]
        return [(max(a, start), min(b, end)) for a, b in self._union if a < end and b > start]
