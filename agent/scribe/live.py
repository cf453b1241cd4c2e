"""Live text of all calls: sound from the recorder into the live room, words out to the desk, alarms to the recorder.

One thread reads sound, one guards and redacts what the room says of it, one runs the sockets. Nobody who records ever
waits for them. What a pause reached is let go of in all of them, in this order: sound, words on their way, words told.
"""

import asyncio
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

import structlog

from agent.config import Settings
from agent.control.client import ControlClient
from agent.control.server import Answer, ControlSocket
from agent.control.watching import Watcher, WatchRoom
from agent.model.call import CLOCK_RATE
from agent.model.live import Conversation, Dropped, Forget, Hello, Message, Over, Sound
from agent.model.purpose import Purpose
from agent.model.redaction import NAMED
from agent.model.text import UNDETERMINED
from agent.scribe.guarding import Guarding, Unguarded
from agent.scribe.languages import AUTO, language_of
from agent.scribe.livefeed import Away, heard, messages
from agent.scribe.livesound import LiveSound
from agent.scribe.livetext import CallText, News, newest_guesses
from agent.store.journal import Journal
from agent.transcribe.engine import Engine
from agent.transcribe.guard import Guard, Rules
from agent.transcribe.live.events import LiveEnded, LiveEvent, LiveForgotten, LiveSwitched, LiveText
from agent.transcribe.live.room import LiveRoom
from agent.transcribe.live.voice import Silero, Voice
from agent.transcribe.redaction.apply import pseudonym_key
from agent.transcribe.redaction.live import LiveRedactor

log = structlog.get_logger()

STOP_S = 5.0
READY_POLL_S = 0.5
AGE_S = 0.5
LATE_S = 4.0
"""Words come at most so long after they were said, as long as live text is not behind."""


@dataclass(frozen=True, slots=True)
class _Begun:
    """A call whose words may come."""

    call: Conversation
    language: str


@dataclass(frozen=True, slots=True)
class _Forgot:
    """What the room told of a call before this and lies after the position was said in vain."""

    call: str
    position: int


_News = LiveEvent | _Begun | _Forgot


class Live:
    """`engine` gives the shared engine, or None while there is none; `pseudonyms` is the key that those come from.

    It listens as long as a purpose is live: `follow` is told the purposes, again whenever they may have changed.
    """

    def __init__(
        self,
        settings: Settings,
        engine: Callable[[], Engine | None],
        pseudonyms: bytes,
        voice: Callable[[], Voice] = Silero,
        journal: Journal | None = None,
    ) -> None:
        self._settings = settings
        self._pseudonyms = pseudonyms
        self._purpose: Purpose | None = None
        language = settings.scribe.language
        self.room = LiveRoom(engine, self._on_event, None if language == AUTO else language, voice)
        self._events: queue.SimpleQueue[_News | None] = queue.SimpleQueue()
        self._watchers = WatchRoom()
        self._guarding = Guarding(ControlClient(settings.recorder_socket), settings.guard.hold_s)
        self._unguarded = Unguarded(journal)
        self._dropped = 0
        self._listens = False
        self._stop = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._socket = ControlSocket(settings.scribe_socket, self._answer)
        self._threads: list[threading.Thread] = []
        # of the thread that reads sound
        self._calls: dict[str, Conversation] = {}
        self._sounds: dict[tuple[str, int], LiveSound] = {}
        # of the thread that redacts
        self._texts: dict[str, CallText] = {}
        self._guards: dict[str, Guard] = {}
        self._heard: dict[str, int] = {}
        """How far the sound of each call has come; written by the first."""
        # of both: where pauses reached that the second has not come to yet
        self._lock = threading.Lock()
        self._forgotten: defaultdict[str, list[int]] = defaultdict(list)

    # ---- life ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Answer at the socket, and listen once a purpose is live; final texts are made without the socket as well."""
        self._run("live-sockets", self._loop.run_forever)
        try:
            self._settings.scribe_socket.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            self._call(self._socket.start())
        except OSError as error:
            log.error("live.no_socket", error=str(error))

    def follow(self, purposes: Sequence[Purpose]) -> None:
        """The purposes as they are configured now."""
        may_be = (p for p in purposes if p.live and not p.redaction.hidden & NAMED)  # names are not found live
        self._purpose = next(may_be, None)
        if self._purpose is not None and not self._listens and self._settings.scribe.engine != "none":
            self._listens = True
            self.room.start()
            self._run("live-words", self._say)
            self._run("live-sound", self._hear)

    def stop(self) -> None:
        """Stop; what was not said is not."""
        self._stop.set()
        self.room.stop()
        self._events.put(None)
        for thread in self._threads[1:]:
            thread.join(STOP_S)
        self._call(self._socket.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._threads[0].join(STOP_S)

    @property
    def busy(self) -> bool:
        """Whether live text is behind: final texts wait then."""
        return self.room.busy

    def _run(self, name: str, what: Callable[[], None]) -> None:
        thread = threading.Thread(target=what, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _call(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(STOP_S)

    # ---- sockets -------------------------------------------------------------------------------------------------

    async def _answer(self, request: dict[str, Any]) -> Answer:
        if request["op"] == "stats":
            return self._stats()
        if request["op"] != "watch":
            raise ValueError(f"unknown op {str(request['op'])[:40]!r}; known: stats, watch")
        if not self._watchers.has_room():
            raise ValueError("too many watch already")
        watcher = Watcher(self._watchers)
        self._watchers.welcome(watcher, [], self._loop)
        return watcher

    def _stats(self) -> dict[str, Any]:
        state = self.room.state
        return {
            "purpose": self._purpose.name if self._purpose else None,
            "ready": state.ready,
            "dropped_s": round((state.dropped + self._dropped) / CLOCK_RATE, 1),
            "live": asdict(state.live),
            "guard": self._guard_stats() if self._settings.guard.enabled else None,
        }

    def _guard_stats(self) -> dict[str, Any]:
        return {**asdict(self._guarding.state), "off": self._unguarded.calls}

    # ---- sound ---------------------------------------------------------------------------------------------------

    def _hear(self) -> None:
        while not self.room.ready and not self._stop.wait(READY_POLL_S):
            pass  # what nothing can transcribe need not be sent
        for message in messages(self._settings.live_socket, self._stop):
            try:
                self._take(message)
            except Exception as error:  # of one call: the others go on; what it says might be of words spoken
                log.error("live.message_failed", kind=type(message).__name__, error=type(error).__name__)

    def _take(self, message: Message | Away) -> None:
        match message:
            case Conversation():
                self._begin(message)
            case Sound():
                self._sound(message)
            case Forget():
                self._forget(message.call_id, message.since)
            case Over():
                self._over(message.call_id)
            case Dropped():
                self._dropped += message.samples
            case Away():
                for call_id in tuple(self._calls):
                    self._forget(call_id, 0)
                    self._calls.pop(call_id)
                    self._heard.pop(call_id, None)
                    self.room.abandon(call_id)
                self._sounds.clear()
            case Hello():
                pass

    def _begin(self, call: Conversation) -> None:
        before = self._calls.get(call.call_id)
        self._calls[call.call_id] = call
        if before is not None and before.queue == call.queue:
            return
        scribe = self._settings.scribe
        language = language_of(call.queue, scribe.languages, scribe.language)
        if before is None:
            self.room.speaks(call.call_id, None if language == AUTO else language)
        self._events.put(_Begun(call, "fr" if language == AUTO else language))

    def _sound(self, sound: Sound) -> None:
        call, stretch = self._calls.get(sound.call_id), heard(sound)
        voice = next((v for v in call.voices if v.stream == sound.stream), None) if call else None
        if voice is None or stretch is None:
            return
        decoder = self._sounds.setdefault((sound.call_id, sound.stream), LiveSound())
        self._heard[sound.call_id] = max(stretch.end, self._heard.get(sound.call_id, 0))
        for position, pcm in decoder.hear(stretch):
            self.room.hear(sound.call_id, voice.channel, voice.role, position, pcm)

    def _forget(self, call_id: str, position: int) -> None:
        self._sounds = {key: sound for key, sound in self._sounds.items() if key[0] != call_id}  # decoders remember
        with self._lock:
            self._forgotten[call_id].append(position)
        self.room.forget(call_id, position)
        self._events.put(_Forgot(call_id, position))

    def _over(self, call_id: str) -> None:
        if self._calls.pop(call_id, None) is not None:
            self._heard.pop(call_id, None)
            self._sounds = {key: sound for key, sound in self._sounds.items() if key[0] != call_id}
            self.room.end(call_id)

    # ---- words ---------------------------------------------------------------------------------------------------

    def _on_event(self, event: LiveEvent) -> None:
        self._events.put(event)

    def _say(self) -> None:
        next_age = time.monotonic()
        while (waiting := self._waiting()) is not None:
            for event in newest_guesses(waiting):
                self._safely(partial(self._work_off, event), type(event).__name__)
            if time.monotonic() >= next_age:
                next_age = time.monotonic() + AGE_S
                self._safely(self._age, "age")

    def _waiting(self) -> list[_News] | None:
        """What there is to say, waited for a moment; None: nothing any more."""
        found: list[_News] = []
        with suppress(queue.Empty):
            event = self._events.get(timeout=AGE_S)
            while event is not None:
                found.append(event)
                event = self._events.get_nowait()
            return None
        return found

    @staticmethod
    def _safely(what: Callable[[], None], kind: str) -> None:
        """One call's trouble does not end the thread; what it says might be of words spoken."""
        try:
            what()
        except Exception as error:
            log.error("live.words_failed", kind=kind, error=type(error).__name__)

    def _work_off(self, event: _News) -> None:
        match event:
            case _Begun():
                self._expect(event)
            case LiveText():
                self._words(event)
            case _Forgot():
                with self._lock:
                    self._forgotten[event.call].remove(event.position)
                if guard := self._guards.get(event.call):
                    guard.forget(event.position / CLOCK_RATE)
                if text := self._texts.get(event.call):
                    self._watchers.take_back(*text.forget(event.position))
            case LiveSwitched():
                self._tell(event.call, lambda text: [text.switched(event.on, event.why.value)])
                self._unguarded.hear(event.call, event.on, event.why.value)
            case LiveEnded():
                self._tell(event.call, lambda text: text.end())
                self._texts.pop(event.call, None)
                self._guards.pop(event.call, None)
                self._unguarded.end(event.call)
                with self._lock:
                    self._forgotten.pop(event.call, None)
            case LiveForgotten():
                pass  # `_Forgot` comes after it

    def _expect(self, begun: _Begun) -> None:
        purpose, call_id = self._purpose, begun.call.call_id
        if purpose is None:
            return
        if call_id not in self._texts:
            key = pseudonym_key(self._pseudonyms, purpose.name)
            redactor = LiveRedactor(purpose.redaction, begun.language, key)
            self._texts[call_id] = CallText(call_id, purpose.name, redactor)
        guard = self._settings.guard
        queues = guard.queues or ("*",)
        if call_id in self._guards or not guard.enabled:
            return
        if any(fnmatchcase(begun.call.queue or "", pattern) for pattern in queues):
            self._guards[call_id] = Guard(Rules(guard.digits, guard.phrases, guard.hold_s), begun.language)
            self._unguarded.guard(call_id)

    def _words(self, event: LiveText) -> None:
        with self._lock:
            until = min(self._forgotten[event.call], default=None)
        until_s = None if until is None else until / CLOCK_RATE
        if until_s is not None and (text := self._texts.get(event.call)):
            text.wipe(until_s)  # what waits to be told is reached as well
        if guard := self._guards.get(event.call):
            guard.speaks(event.channel, event.language or UNDETERMINED)
            words = [word for word in event.words if until_s is None or word.end_s <= until_s]
            if alarm := guard.hear(event.channel, words, stable=event.stable):
                self._loop.call_soon_threadsafe(self._guarding.alarm, event.call, alarm)
        self._tell(event.call, lambda text: text.hear(event, until_s))

    def _age(self) -> None:
        for call_id, position in tuple(self._heard.items()):
            with self._lock:
                if self._forgotten[call_id]:
                    continue
            self._tell(call_id, partial(CallText.age, now_s=position / CLOCK_RATE - LATE_S))

    def _tell(self, call_id: str, what: Callable[[CallText], Sequence[News]]) -> None:
        if (text := self._texts.get(call_id)) is not None:
            for news in what(text):
                self._watchers.tell(news)
