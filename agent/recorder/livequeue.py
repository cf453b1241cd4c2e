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
AT_ONCE_BYTES = 1 << 16
"""Offered to the kernel at once: waking a listener for each message would cost more than all the rest."""
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
        self._ahead: deque[_Waiting] = deque()
        """The next to go out: offered to the listener, who did not take them; the first may be half sent."""
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
        self._sounds = deque(waiting for waiting in self._sounds if waiting.call_id != call_id)
        self.waiting_bytes = sum(len(waiting.data) for waiting in self._sounds)
        self._ahead = deque(waiting for waiting in self._ahead if waiting.call_id != call_id or waiting.sent)
        if self._ahead and self._ahead[0].call_id == call_id:  # it is half sent: the rest goes out as zeros
            begun = self._ahead[0]
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
        while batch := self._batch():
            try:
                taken = send(b"".join([waiting.data for waiting in batch]))
            except BlockingIOError:
                taken = 0
            for waiting in batch:
                if taken >= len(waiting.data):
                    taken -= len(waiting.data)
                    continue
                waiting.sent += taken
                waiting.data = waiting.data[taken:]
                taken = 0
                self._ahead.append(waiting)
            if self._ahead:
                return

    def _batch(self) -> list[_Waiting]:
        """What goes out next: what is half sent, what is to be forgotten, then all in its order."""
        batch = []
        if self._ahead and self._ahead[0].sent:
            batch.append(self._ahead.popleft())
        while self._others and not self._others[0].number:
            batch.append(self._others.popleft())
        batch += self._ahead
        self._ahead.clear()
        size = sum(len(waiting.data) for waiting in batch)
        while size < AT_ONCE_BYTES and (waiting := self._next()) is not None:
            batch.append(waiting)
            size += len(waiting.data)
        return batch

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
