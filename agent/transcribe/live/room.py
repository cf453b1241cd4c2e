"""The room where live calls are listened to: a few threads around the schedule, and doors that never make anyone wait.

Sound waits in a bounded queue; what does not fit is dropped and counted, and the recording has it all the same. One
thread listens (who speaks when), as many as the engine takes windows at once transcribe, all by the one shared model.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
import structlog

from agent.model.call import CLOCK_RATE, Role
from agent.transcribe.engine import Engine, EngineError, Heard, Spoken
from agent.transcribe.live.events import LiveEnded, LiveEvent
from agent.transcribe.live.schedule import Job, LiveState, Schedule
from agent.transcribe.live.voice import Silero, Voice

log = structlog.get_logger()

MOST_WAITING = 120 * CLOCK_RATE
"""Samples that may wait to be listened to: a second and a half of 40 two-party calls."""
LISTEN_EVERY_S = 0.1
LOOK_EVERY_S = 0.25
NO_ENGINE_S = 2.0

Events = Callable[[LiveEvent], None]


@dataclass(slots=True)
class _Sound:
    call: str
    channel: int
    party: Role
    position: int
    pcm: npt.NDArray[np.int16]
    at: float


@dataclass(frozen=True, slots=True)
class _End:
    call: str
    at: float


@dataclass(frozen=True, slots=True)
class RoomState:
    """`LiveState`, and samples (at `CLOCK_RATE`) that were dropped because listening was too far behind."""

    live: LiveState
    dropped: int
    ready: bool


class LiveRoom:
    """Live transcription of all calls.

    `engine` gives the shared model, or None while there is none (it may take its time: only the listening thread asks).
    `events` is called for each event, in order, by one thread at a time, and must be quick. `language` None: detect it.
    """

    def __init__(
        self,
        engine: Callable[[], Engine | None],
        events: Events,
        language: str | None = "fr",
        voice: Callable[[], Voice] = Silero,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask_engine = engine
        self._events = events
        self._monotonic = monotonic
        self._door = threading.Lock()
        """Of the queue: held for moments."""
        self._waiting: deque[_Sound | _End] = deque()
        self._hand: list[_Sound | _End] = []
        """What is being listened to."""
        self._samples = 0
        self._dropped = 0
        self._knock = threading.Event()
        self._lock = threading.Condition()
        """Of the schedule and of telling: what is forgotten under it is not told after it."""
        self._schedule = Schedule(voice, language)
        self._engine: Engine | None = None
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to listen. Sound that comes before an engine is there is let go."""
        self._run("live-listen", self._listen)

    def stop(self) -> None:
        """Stop; what was not told yet never is. Returns when the windows under way are done."""
        self._stopping.set()
        self._knock.set()
        with self._lock:
            self._lock.notify_all()
        for thread in self._threads:
            thread.join()

    # ---- doors ---------------------------------------------------------------------------------------------------

    def speaks(self, call: str, language: str | None) -> None:
        """The language of a call before its first sound (None: detect it), where it is not that of the room."""
        with self._lock:
            self._schedule.speaks(call, language)

    def hear(self, call: str, channel: int, party: Role, position: int, pcm: npt.NDArray[np.int16]) -> None:
        """Sound of one channel: mono int16 at `CLOCK_RATE` from a media position. Never waits; may drop.

        `pcm` is kept until it was listened to: its owner writes to it no more.
        """
        if self._engine is None:
            return
        sound = _Sound(call, channel, party, position, pcm, self._monotonic())
        with self._door:
            if self._samples + len(pcm) > MOST_WAITING:
                self._dropped += len(pcm)
                return
            self._waiting.append(sound)
            self._samples += len(pcm)
        self._knock.set()

    def end(self, call: str) -> None:
        """No more sound of this call will come; its last words are still told, and then that it has ended."""
        if self._engine is None:
            self._tell([LiveEnded(call)])
            return
        with self._door:
            self._waiting.append(_End(call, self._monotonic()))
        self._knock.set()

    def abandon(self, call: str) -> None:
        """The call is not heard any more, or anew from its beginning: what there is of it is let go, untold."""
        with self._lock:
            with self._door:
                kept = [item for item in self._waiting if item.call != call]
                self._samples = sum(len(item.pcm) for item in kept if isinstance(item, _Sound))
                self._waiting = deque(kept)
                for item in self._hand:
                    if isinstance(item, _Sound) and item.call == call:
                        item.pcm = item.pcm[:0]
            self._tell(self._schedule.abandon(call))

    def forget(self, call: str, position: int) -> None:
        """A pause reached back: of sound from this media position on nothing is told once this returns.

        Sound that is heard after this, of whatever position, counts again.
        """
        with self._lock:
            with self._door:
                for item in (*self._hand, *self._waiting):
                    if isinstance(item, _Sound) and item.call == call:
                        kept = max(position - item.position, 0)
                        if item.pcm.flags.writeable:
                            item.pcm[kept:] = 0
                        item.pcm = item.pcm[:kept]
            for event in self._schedule.forget(call, position):
                self._events(event)

    @property
    def ready(self) -> bool:
        """Whether there is an engine."""
        return self._engine is not None

    @property
    def busy(self) -> bool:
        """Whether live text is late or cut back: final texts wait then."""
        return self._schedule.strained

    @property
    def state(self) -> RoomState:
        """How it does."""
        with self._lock:
            live = self._schedule.state(self._monotonic())
        return RoomState(live, self._dropped, self._engine is not None)

    # ---- threads -------------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        while not self._stopping.is_set():
            if self._engine is None and not self._found_engine():
                self._stopping.wait(NO_ENGINE_S)
                continue
            self._knock.wait(None if self._schedule.empty else LOOK_EVERY_S)
            self._knock.clear()
            with self._door:
                self._hand, self._samples = _joined(self._waiting), 0
                self._waiting.clear()
            for item in self._hand:
                with self._lock:
                    self._safely(item.call, partial(self._hear, item))
            with self._lock:
                self._hand = []
                self._safely("", lambda: self._tell(self._schedule.look(self._monotonic())))
                self._lock.notify_all()
            self._stopping.wait(LISTEN_EVERY_S)  # several packets at once cost less than each alone

    def _found_engine(self) -> bool:
        try:
            return self._find_engine()
        except Exception as error:  # live text must not end for ever
            log.error("live.no_engine", error=type(error).__name__)
            return False

    def _find_engine(self) -> bool:
        engine = self._ask_engine()
        if engine is None:
            return False
        with self._lock:
            self._schedule.use(engine.capabilities, engine.only_language)
            self._engine = engine
        for number in range(engine.capabilities.windows):
            self._run(f"live-{number}", partial(self._work, engine))
        log.info("live.ready", engine=engine.name, model=engine.model, workers=engine.capabilities.windows)
        return True

    def _hear(self, item: _Sound | _End) -> None:
        if isinstance(item, _End):
            self._tell(self._schedule.end(item.call, item.at))
            return
        if not len(item.pcm):
            return
        events = self._schedule.hear(item.call, item.channel, item.party, item.position, item.pcm, item.at)
        self._tell(events)

    def _work(self, engine: Engine) -> None:
        while True:
            with self._lock:
                while (job := self._schedule.next(self._monotonic())) is None and not self._stopping.is_set():
                    self._lock.wait()
            if job is None or self._stopping.is_set():
                return
            heard, spoken = self._transcribed(engine, job)
            with self._lock:
                now = self._monotonic()
                done = partial(self._schedule.fail, job, now)
                if heard is not None:
                    done = partial(self._schedule.done, job, heard, spoken, now)
                self._safely(job.call, lambda done=done: self._tell(done()))  # type: ignore[misc]
                self._lock.notify_all()

    def _transcribed(self, engine: Engine, job: Job) -> tuple[Heard | None, Spoken | None]:
        window, spoken = job.window, None
        language = window.language
        try:
            if language is None:
                spoken = engine.detect_language(window.pcm16k)
                if spoken is None:
                    return Heard(()), None
                language = spoken.language
            return engine.transcribe_window(window.pcm16k, language, window.prefix), spoken
        except EngineError as error:
            log.error("live.window_failed", call=job.call, channel=job.channel, error=str(error))
        except Exception as error:  # a window must not end a worker; what it says might be of words spoken
            log.error("live.window_failed", call=job.call, channel=job.channel, error=type(error).__name__)
        return None, spoken

    @staticmethod
    def _safely(call: str, what: Callable[[], None]) -> None:
        """One call's trouble ends no thread; what it says might be of words spoken."""
        try:
            what()
        except Exception as error:
            log.error("live.call_failed", call=call, error=type(error).__name__)

    def _tell(self, events: Sequence[LiveEvent]) -> None:
        for event in events:
            try:
                self._events(event)
            except Exception as error:  # as above
                log.error("live.event_lost", call=event.call, error=type(error).__name__)

    def _run(self, name: str, what: Callable[[], None]) -> None:
        thread = threading.Thread(target=what, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()


def _joined(waiting: Iterable[_Sound | _End]) -> list[_Sound | _End]:
    """In order, stretches of a channel that follow each other without a gap made one."""
    items: list[_End | list[_Sound]] = []
    growing: dict[tuple[str, int], list[_Sound]] = {}
    for item in waiting:
        if isinstance(item, _End):
            growing = {key: run for key, run in growing.items() if key[0] != item.call}
            items.append(item)
            continue
        run = growing.get((item.call, item.channel))
        if run is not None and run[-1].position + len(run[-1].pcm) == item.position:
            run.append(item)
        else:
            growing[item.call, item.channel] = run = [item]
            items.append(run)
    return [_one(item) if isinstance(item, list) else item for item in items]


def _one(run: Sequence[_Sound]) -> _Sound:
    return replace(run[0], pcm=np.concatenate([sound.pcm for sound in run]), at=run[-1].at)
