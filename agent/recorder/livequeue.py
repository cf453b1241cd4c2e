"""What waits to be heard: bounded in bytes, the oldest sound dropped and counted, and nobody is ever waited for.

A pause wipes what waits of its call. Format: docs/live-audio.md.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from agent.model.call import Codec
from agent.model.live import SOUND_HEAD, Dropped, Forget, Message, Over, pack, pack_sound

MOST_BYTES = 4 << 20
"""Of sound that waits: more than four minutes of one party in G.711."""
MOST_OTHERS = 10_000
"""Other messages that wait: several for each of the most calls there can be."""


@dataclass(slots=True)
class _Waiting:
    """A message. `number` is its place in the order of all; `sent` bytes of it are gone, `data` is the rest."""

    number: int
    data: bytes
    call_id: str = ""
    stream: int = 0
    samples: int = 0
    sent: int = 0


class SoundQueue:
    """Of one listener. One thread."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._sounds: deque[_Waiting] = deque()
        self._others: deque[_Waiting] = deque()
        self._begun: _Waiting | None = None
        self._untold: dict[tuple[str, int], int] = {}
        self._count = 0
        self.waiting_bytes = 0
        """Of sound."""
        self.dropped_samples = 0
        """In all."""

    @property
    def is_overfull(self) -> bool:
        """Whether so much waits that must not be dropped that the listener has to be hung up on."""
        return len(self._others) > MOST_OTHERS

    def sound(
        self, call_id: str, stream: int, codec: Codec, position: int, samples: int, payload: bytes | memoryview
    ) -> None:
        """A stretch of sound. Where there is no room the oldest is dropped."""
        data = pack_sound(call_id, stream, codec, position, payload)
        self._count += 1
        self._sounds.append(_Waiting(self._count, data, call_id, stream, samples))
        self.waiting_bytes += len(data)
        while self.waiting_bytes > self._most_bytes and self._sounds:
            oldest = self._sounds.popleft()
            self.waiting_bytes -= len(oldest.data)
            self.dropped_samples += oldest.samples
            key = oldest.call_id, oldest.stream
            self._untold[key] = self._untold.get(key, 0) + oldest.samples

    def tell(self, message: Message) -> None:
        """Any other message, in its place after what waits; it is not dropped."""
        self._count += 1
        self._others.append(_Waiting(self._count, pack(message)))

    def forget(self, call_id: str, since: int) -> None:
        """Wipe all sound of a call that waits, and have the listener forget what it has; this overtakes everything."""
        self._wipe(call_id)
        if (begun := self._begun) is not None and begun.call_id == call_id:
            head = max(0, SOUND_HEAD - begun.sent)
            begun.data = begun.data[:head] + bytes(len(begun.data) - head)
        self._others.appendleft(_Waiting(0, pack(Forget(call_id, since))))

    def over(self, call_id: str) -> None:
        """Nothing more comes of a call."""
        for key in [key for key in self._untold if key[0] == call_id]:
            if not any((waiting.call_id, waiting.stream) == key for waiting in self._sounds):
                self.tell(Dropped(*key, self._untold.pop(key)))
        self.tell(Over(call_id))

    def write(self, send: Callable[[bytes], int]) -> None:
        """Give `send` what waits, until it takes no more; it returns how many bytes it took, or raises
        BlockingIOError. Anything else that it raises passes through."""
        while (message := self._begun or self._next()) is not None:
            self._begun = message
            try:
                taken = send(message.data)
            except BlockingIOError:
                break
            message.sent += taken
            message.data = message.data[taken:]
            if message.data:
                break
            self._begun = None

    def _next(self) -> _Waiting | None:
        if not self._sounds or (self._others and self._others[0].number < self._sounds[0].number):
            return self._others.popleft() if self._others else None
        if self._untold:
            key = self._sounds[0].call_id, self._sounds[0].stream
            if samples := self._untold.pop(key, 0):
                return _Waiting(0, pack(Dropped(*key, samples)))
        first = self._sounds.popleft()
        self.waiting_bytes -= len(first.data)
        return first

    def _wipe(self, call_id: str) -> None:
        if self._begun is not None and self._begun.call_id == call_id and not self._begun.sent:
            self._begun = None
        self._sounds = deque(waiting for waiting in self._sounds if waiting.call_id != call_id)
        self.waiting_bytes = sum(len(waiting.data) for waiting in self._sounds)
