"""Media that waits in RAM for the customer's consent: old enough to be written, if only it were agreed to.

What is older than the limit is let go, and so is what a pause removes (I1); nothing of it was ever written.
"""

from collections.abc import Iterator

from agent.capture.holdback import Holdback, keep
from agent.capture.writable import Writable
from agent.model.media import StreamChunk
from agent.model.spans import FOREVER, Span


class Waiting:
    """Of one call. `limit_samples`: how much of it is kept. Positions are samples from the call's media origin."""

    def __init__(self, limit_samples: int) -> None:
        self._limit = limit_samples
        self._hoped = Writable()
        self._held = Holdback()
        self._since = 0

    @property
    def holds_some(self) -> bool:
        """Whether there is media here."""
        return self._held.holds_some

    @property
    def held_samples(self) -> int:
        """Samples in RAM, of all streams."""
        return len(self._held)

    def parts(self, start: int, end: int) -> list[Span]:
        """What of [start, end) some purpose hopes for."""
        first = max(start, self._since)
        return self._hoped.parts(first, end) if first < end else []

    def set(self, purpose: str, hopes: bool, at: int) -> None:
        """From `at` on, the purpose hopes for what comes, or does not; what it hoped for before stays hoped for."""
        self._hoped.set(purpose, hopes, at)

    def of(self, purpose: str) -> list[Span]:
        """What one purpose hopes for and may still have."""
        return [(max(a, self._since), b) for a, b in self._hoped.of(purpose) if b > self._since]

    def hopes_from(self, purpose: str) -> int:
        """Since when the purpose hopes for what comes; 0 when it does not."""
        return self._hoped.opened_at(purpose) or 0

    def cut(self, purpose: str, at: int) -> None:
        """It hopes for nothing at or after `at` any more, whatever it hoped for."""
        self._hoped.cut(purpose, at)

    def agreed(self, purpose: str, now: int) -> list[Span]:
        """What the purpose hoped for and may have now, no older than the limit; it hopes for nothing any more."""
        self._since = max(self._since, now - self._limit)
        spans = self.of(purpose)
        self.give_up(purpose)
        return spans

    def give_up(self, purpose: str) -> None:
        """It hopes for nothing any more."""
        self._hoped.cut(purpose, 0)

    def add(self, chunk: StreamChunk, written: Writable) -> None:
        """Keep what of a stretch is hoped for and is not written anyway."""
        for part in keep(chunk, lambda a, b: _without(self.parts(a, b), written.parts(a, b))):
            self._held.add(part)

    def take(self, written: Writable) -> Iterator[StreamChunk]:
        """What may be written by now; it is here no more."""
        if not self._held.holds_some:
            return
        for chunk in list(self._held.take(FOREVER)):
            yield from keep(chunk, written.parts)
            self.add(chunk, written)

    def age(self, now: int) -> None:
        """Let go of what is older than the limit."""
        self._since = max(self._since, now - self._limit)
        for _ in self._held.take(self._since):
            pass

    def forget(self, now: int) -> None:
        """Let go of what is older than the limit, and of what nobody hopes for."""
        self.age(now)
        self._held.keep_only(self.parts)

    def clear(self) -> None:
        """Erase everything."""
        self._held.clear()


def _without(spans: list[Span], less: list[Span]) -> list[Span]:
    """`spans` less `less`, both in order."""
    for start, end in less:
        spans = [part for a, b in spans for part in ((a, min(b, start)), (max(a, end), b)) if part[0] < part[1]]
    return spans
