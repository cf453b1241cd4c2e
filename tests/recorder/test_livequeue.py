"""What waits for a listener: its order, what is dropped, and what a pause leaves of a message that is half sent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model.call import Codec
from agent.model.live import SOUND_HEAD, Dropped, Forget, Hello, Message, Over, Parser, Sound
from agent.recorder.livequeue import AT_ONCE_BYTES, MOST_OTHERS, SoundQueue

A, B = "aa" * 16, "bb" * 16


class Line:
    """Takes so many bytes at a time as it is told to."""

    def __init__(self) -> None:
        self.taken, self.room = b"", 0
        self._parser = Parser()

    def send(self, data: bytes) -> int:
        if not self.room:
            raise BlockingIOError
        part = data[: self.room]
        self.taken, self.room = self.taken + part, self.room - len(part)
        return len(part)

    def read(self) -> list[Message]:
        found = list(self._parser.feed(self.taken))
        self.taken = b""
        return found


def sound(queue: SoundQueue, call: str, position: int, size: int = 100, stream: int = 0) -> Sound:
    payload = bytes([position % 250 + 1]) * size
    queue.sound(call, stream, Codec.PCMA, position, size, payload)
    return Sound(call, stream, Codec.PCMA, position, payload)


@given(st.lists(st.integers(1, 400), max_size=60), st.integers(0, 40))
def test_however_little_is_taken_at_a_time_everything_comes_in_its_order(rooms: list[int], count: int) -> None:
    queue, line = SoundQueue(), Line()
    queue.tell(Hello())
    wanted: list[Message] = [Hello()]
    for number in range(count):
        wanted.append(sound(queue, A, number * 100))
        if number % 7 == 3:
            queue.tell(Over(B))
            wanted.append(Over(B))
    for room in [*rooms, 1 << 20]:
        line.room = room
        queue.write(line.send)
    assert line.read() == wanted and queue.waiting_bytes == 0


def test_the_oldest_sound_is_dropped_and_told_before_the_next_of_its_stream() -> None:
    queue, line = SoundQueue(most_bytes=3 * (SOUND_HEAD + 100)), Line()
    queue.tell(Hello())
    for number in range(5):
        last = sound(queue, A, number * 100, stream=number % 2)
    sound(queue, B, 0)
    queue.over(A)
    line.room = 1 << 20
    queue.write(line.send)
    told = line.read()
    assert [m for m in told if isinstance(m, Dropped)] == [Dropped(A, 1, 100), Dropped(A, 0, 200)]
    assert told.index(Dropped(A, 0, 200)) == told.index(last) - 1 and told[-1] == Over(A)
    assert queue.dropped_samples == 300


def test_what_was_dropped_of_a_call_that_is_over_is_told_though_nothing_follows() -> None:
    queue, line = SoundQueue(most_bytes=SOUND_HEAD), Line()
    queue.tell(Hello())
    sound(queue, A, 0)
    queue.over(A)
    line.room = 1 << 20
    queue.write(line.send)
    assert line.read() == [Hello(), Dropped(A, 0, 100), Over(A)]


@pytest.mark.parametrize("gone", [0, 1, SOUND_HEAD - 1, SOUND_HEAD, SOUND_HEAD + 1, SOUND_HEAD + 99])
def test_a_pause_leaves_nothing_of_its_call_and_overtakes_all_others(gone: int) -> None:
    queue, line = SoundQueue(), Line()
    queue.tell(Hello())
    line.room = 1 << 20
    queue.write(line.send)
    first = sound(queue, A, 0)
    other = sound(queue, B, 0)
    sound(queue, A, 100)
    line.room = gone
    queue.write(line.send)
    queue.forget(A, 50)
    line.room = 1 << 20
    queue.write(line.send)
    told = line.read()[1:]
    begun = [Sound(A, 0, Codec.PCMA, 0, first.payload[: max(0, gone - SOUND_HEAD)].ljust(100, b"\0"))] if gone else []
    assert told == [*begun, Forget(A, 50), other]


def test_who_takes_none_of_what_must_not_be_dropped_has_to_go() -> None:
    queue = SoundQueue()
    for _ in range(MOST_OTHERS + 1):
        queue.tell(Over(A))
    assert queue.is_overfull


def test_much_is_offered_at_once_but_not_everything() -> None:
    queue, sizes = SoundQueue(), []
    for number in range(2000):
        sound(queue, A, number * 100)

    def send(data: bytes) -> int:
        sizes.append(len(data))
        return len(data)

    queue.write(send)
    assert len(sizes) < 10 and max(sizes) < AT_ONCE_BYTES + SOUND_HEAD + 100
