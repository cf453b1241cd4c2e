"""What of one call is in RAM: the look-back, and what waits for consent, sound and keys; and where it may be written.

Positions decide. What nobody may have any more is let go at once, not when it would have been written (I1).
"""

from agent.capture.holdback import Holdback, keep
from agent.capture.sink import GateSink
from agent.capture.waiting import Waiting
from agent.capture.writable import Writable
from agent.model.media import KeyPress, StreamChunk
from agent.model.spans import FOREVER, Span, merge

MOST_KEYS = 1000
"""Keys of one call that wait in RAM."""


class Held:
    """`writable` and `waiting` are for whoever turns the gates; `frontier`: what lies before it was released.

    `wait_samples`: so much waits for consent; `keeping` are the purposes that keep keys. `now` is a media position.
    """

    def __init__(self, sink: GateSink, wait_samples: int, keeping: frozenset[str]) -> None:
        self.writable = Writable()
        self.waiting = Waiting(wait_samples)
        self.frontier = 0
        self._sink = sink
        self._keeping = keeping
        self.sound = Holdback()
        self.keys: list[KeyPress] = []

    def __len__(self) -> int:
        """Samples in RAM, of all streams."""
        return len(self.sound) + self.waiting.held_samples

    @property
    def is_empty(self) -> bool:
        """Whether there is neither sound nor a key."""
        return not (self.sound.holds_some or self.waiting.holds_some or self.keys)

    @property
    def passing(self) -> tuple[int, int]:
        """See `agent.capture.gate.CallGate.passing`."""
        return self.writable.everything_since(), 0 if self.sound.holds_some else FOREVER

    def add(self, chunk: StreamChunk, now: int) -> None:
        """Take what of a stretch may be held."""
        if self.writable.everything_from(chunk.position_samples):
            self.sound.add(chunk)
            return
        for part in keep(chunk, lambda start, end: self._may_stay(start, end, now)):
            self.sound.add(part)

    def press(self, key: KeyPress) -> None:
        """Take a key, if anybody keeps keys."""
        if self._keeping and len(self.keys) < MOST_KEYS:
            self.keys.append(key)

    def release(self, now: int, back: int) -> None:
        """Hand to the sink, or let go, all that lies more than `back` samples before `now`."""
        self.frontier = max(self.frontier, now - back)
        self._hand_over(self.frontier)
        self.waiting.age(now)
        self._trim(now)

    def release_all(self, now: int) -> None:
        """Hand to the sink all that may be written, whatever its age."""
        self.frontier = max(self.frontier, now)
        self._hand_over(self.frontier)

    def settle(self, now: int) -> None:
        """Write what was agreed to, and let go of what nobody may have."""
        for chunk in self.waiting.take(self.writable):
            self._sink.media(chunk)
        self.waiting.forget(now)
        self._trim(now)

    def clear(self) -> None:
        """Let go of everything."""
        self.sound.clear()
        self.waiting.clear()
        self.keys.clear()

    def _hand_over(self, before: int) -> None:
        for chunk in self.sound.take(before):
            if chunk.frames is None and self.writable.everything_from(chunk.position_samples):
                self._sink.media(chunk)
                continue
            for part in keep(chunk, self.writable.parts):
                self._sink.media(part)
            self.waiting.add(chunk, self.writable)
        keys, self.keys = self.keys, []
        for key in keys:
            if key.position_samples >= before:
                self.keys.append(key)
            elif self._keeps(key):
                self._sink.key(key)
            elif self._hopes_for(key):
                self.keys.append(key)

    def _keeps(self, key: KeyPress) -> bool:
        spans = [span for name in self._keeping for span in self.writable.of(name)]
        return any(start <= key.position_samples < end for start, end in spans)

    def _hopes_for(self, key: KeyPress) -> bool:
        spans = [span for name in self._keeping for span in self.waiting.of(name)]
        return any(start <= key.position_samples < end for start, end in spans)

    def _trim(self, now: int) -> None:
        """Let go of what nobody may have of what was said lately."""
        if not self.writable.everything_from(self.frontier):
            self.sound.keep_only(lambda start, end: self._may_stay(start, end, now))
        self.keys = [k for k in self.keys if k.position_samples >= now or self._keeps(k) or self._hopes_for(k)]

    def _may_stay(self, start: int, end: int, now: int) -> list[Span]:
        """What of [start, end) may be held: where some purpose writes or hopes to, and what a press may still open."""
        now = min(max(start, now), end)
        past = [*self.writable.parts(start, now), *self.waiting.parts(start, now)]
        return merge([*past, (now, end)]) if now > start else [(start, end)]
