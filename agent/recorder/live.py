"""One live call as the media thread holds it: its gate, its key, and the sink that writes both to the capture log."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from agent.capture.format import RecordKind
from agent.capture.frames import pack
from agent.capture.gate import CallGate
from agent.capture.keys import CallKey
from agent.capture.writer import KeyInUse, LogWriter
from agent.model.call import CLOCK_RATE, Call, Codec, MediaStream
from agent.model.gate import GateMark
from agent.model.media import KeyPress, StreamChunk, StreamCounts
from agent.model.purpose import Decision
from agent.model.spans import FOREVER
from agent.model.wire import dump
from agent.policy.featurecodes import Typing
from agent.recorder.basis import Basis


class CallSink:
    """Writes one call's records. Until the call key is durable (ms after the start) they wait in RAM, in order.

    `skip`: so many of its first records are in the log already, and are not written again; None: all of them are.
    """

    __slots__ = ("_key", "_skip", "_waiting", "_writer")

    def __init__(self, writer: LogWriter, skip: int | None = 0) -> None:
        self._writer = writer
        self._skip = skip
        self._key: KeyInUse | None = None
        self._waiting: list[Callable[[KeyInUse], None]] = []

    def use_key(self, key: CallKey) -> None:
        """The key is durable: write what waited."""
        self._key = in_use = self._writer.use(key)
        waiting, self._waiting = self._waiting, []
        for write in waiting:
            write(in_use)

    def media(self, chunk: StreamChunk) -> None:
        """One stretch of one stream, released by the gate."""
        self.sound(chunk.stream, chunk.codec, chunk.position_samples, pack(chunk), chunk.lost_samples)

    def sound(self, stream: int, codec: Codec, position: int, payload: bytes | memoryview, lost: int) -> None:
        """One stretch of one stream as the log has it. The payload need not stay as it is."""
        if self._key is not None and self._skip == 0:
            self._append(self._key, stream, codec, position, payload, lost)
        else:
            copy = bytes(payload)
            self._write(lambda key: self._append(key, stream, codec, position, copy, lost))

    def _append(
        self, key: KeyInUse, stream: int, codec: Codec, position: int, payload: bytes | memoryview, lost: int
    ) -> None:
        self._writer.append(
            RecordKind.MEDIA,
            key,
            payload,
            stream=stream,
            codec=codec,
            position_samples=position,
            lost_samples=lost,
        )

    def mark(self, mark: GateMark) -> None:
        """A change of a purpose's gate."""
        self.record(RecordKind.GATE, dump(mark))

    def key(self, key: KeyPress) -> None:
        """A key that may be kept."""
        self.record(RecordKind.KEY, dump(key))

    def record(self, kind: RecordKind, payload: bytes) -> None:
        """Any other encrypted record of the call."""
        self._write(lambda key: self._writer.append(kind, key, payload))

    def opaque(self, kind: RecordKind, payload: bytes) -> None:
        """A record that is sealed already."""
        self._write(lambda key: self._writer.append_opaque(kind, key, payload))

    @property
    def needs_key(self) -> bool:
        """Whether it will write, and has no key yet."""
        return self._key is None and self._skip is not None

    def _write(self, write: Callable[[KeyInUse], None]) -> None:
        if self._skip is None:
            return
        if self._skip:
            self._skip -= 1
            return
        if self._key is None:
            self._waiting.append(write)
        else:
            write(self._key)


DecideAgain = Callable[[Call, Sequence[Decision], int], Sequence[Decision]]
"""Decides on a call that has changed: the call, what was decided before, UTC ns."""


def as_before(_call: Call, before: Sequence[Decision], _at_ns: int) -> Sequence[Decision]:
    """Nothing is decided anew."""
    return before


@dataclass(slots=True)
class LiveCall:
    """A call in progress. `origin_ns` is the monotonic time of media position 0; `since_ns` when we took it up.

    `number` counts the calls of this process; work that need not be done at once is spread by it.
    """

    call: Call
    origin_ns: int
    basis: Basis
    gate: CallGate
    sink: CallSink
    since_ns: int
    number: int
    decisions: tuple[Decision, ...] = ()
    """Those that hold now, one for each purpose."""

    streams: dict[int, MediaStream] = field(default_factory=dict)
    """By the address its packets are sent to (`agent.media.endpoint.key`)."""

    counted: list[tuple[int, StreamCounts]] = field(default_factory=list)
    """Of streams that have left their address."""

    typed: dict[int, Typing] = field(default_factory=dict)
    """Keys that may begin a feature code, by stream."""

    told: dict[str, Typing] = field(default_factory=dict)
    """Keys told by SIP that may begin a feature code, by whose they are."""

    rests: bool = False
    """Its gate need not be asked (`CallGate.rests`). Who feeds, presses or commands it says that this is over."""
    passing: tuple[int, int] = (FOREVER, 0)
    """What its gate said last (`CallGate.passing`)."""

    ear: Callable[[StreamChunk], None] | None = None
    """Who listens to it live hears what leaves the engine."""

    def feed(self, chunks: Iterable[StreamChunk]) -> None:
        """Give stretches of media to its gate."""
        for chunk in chunks:
            self.rests = False
            if self.ear is not None:
                self.ear(chunk)
            self.gate.feed(chunk)

    def now_samples(self, now_ns: int) -> int:
        """The media position of a monotonic instant."""
        return max(0, now_ns - self.origin_ns) * CLOCK_RATE // 1_000_000_000
