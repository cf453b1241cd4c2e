"""Hands the sound of calls with a live purpose to whoever listens: docs/live-audio.md.

It belongs to the media thread, copies what the engine holds and moves nothing. While nobody listens, or of calls that
have no live purpose, there is nothing to do.
"""

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

import structlog

from agent.capture.aloud import later
from agent.capture.frames import pack
from agent.capture.holdback import Holdback, keep
from agent.control.server import hung_up
from agent.media.engine import LONGEST, Engine
from agent.model.call import CLOCK_RATE, Call
from agent.model.live import Conversation, Hello, Voice
from agent.model.media import StreamChunk
from agent.model.spans import FOREVER
from agent.recorder.live import LiveCall
from agent.recorder.livequeue import SoundQueue

TURNS = 2
"""Each call's sound is handed on every second time of care (`agent.recorder.calls.CARE_S`), before any is released."""
SLICE_S = 0.004
"""So long at most of each time of care; whoever was left out comes first the next time, with a longer stretch."""
CALLS_AT_ONCE = 32

log = structlog.get_logger()


@dataclass(slots=True)
class _Heard:
    """A call that may be listened to. `after`: of each stream the position after what was handed on, or passed over;
    `told`: what the listener knows of the call; `waits`: what is not as old yet as a live purpose demands."""

    live: LiveCall
    after: dict[int, int] = field(default_factory=dict)
    told: Conversation | None = None
    waits: Holdback = field(default_factory=Holdback)


class LiveFeed:
    """One listener at a time, a newer one in the place of the older. One thread, but for `state`."""

    def __init__(self, engine: Engine, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._engine = engine
        self._monotonic = monotonic
        self._connection: socket.socket | None = None
        self._queue = SoundQueue()
        self._calls: dict[str, _Heard] = {}
        self._turns: tuple[dict[str, _Heard], ...] = tuple({} for _ in range(TURNS))
        self._told = 0
        self._dropped_before = 0

    def state(self) -> dict[str, Any]:
        """Who listens, to how many calls, and what was dropped since the start. May be called from any thread."""
        return {
            "listeners": int(self._connection is not None),
            "calls": self._told,
            "dropped_s": round((self._dropped_before + self._queue.dropped_samples) / CLOCK_RATE, 3),
            "waiting_bytes": self._queue.waiting_bytes,
        }

    # ---- who listens

    def connect(self, connection: socket.socket) -> None:
        """Somebody listens, from here on; the socket must not block."""
        if self._connection is not None:
            log.warning("live.replaced")
            self.hang_up()
        self._connection = connection
        self._queue.tell(Hello())
        for heard in self._calls.values():
            self._begin(heard)
        log.info("live.connected")
        self._write()

    def hang_up(self) -> None:
        """Nobody listens any more."""
        if self._connection is None:
            return
        self._connection.close()
        self._connection = None
        self._dropped_before += self._queue.dropped_samples
        self._queue, self._told = SoundQueue(), 0
        for heard in self._calls.values():
            heard.live.ear, heard.told = None, None
            heard.waits.clear()

    # ---- what becomes of calls

    def began(self, live: LiveCall) -> None:
        """A call begins, or goes on after a restart."""
        if not live.gate.aloud.is_wanted:
            return
        heard = self._calls[live.call.call_id] = _Heard(live)
        self._turns[live.number % TURNS][live.call.call_id] = heard
        live.gate.aloud.take_forgotten()
        if self._connection is not None:
            self._begin(heard)

    def changed(self, live: LiveCall) -> None:
        """Somebody joined or left, or something was said of the call."""
        heard = self._calls.get(live.call.call_id)
        if heard is not None and heard.told not in (None, conversation(live.call)):
            self._introduce(heard)

    def turned(self, live: LiveCall) -> None:
        """Its gate was told something: what must not be heard any more is wiped here, and called back, at once."""
        if (heard := self._calls.get(live.call.call_id)) is None:
            return
        if (since := live.gate.aloud.take_forgotten()) is None:
            return
        heard.waits.clear()
        if heard.told is not None:
            self._queue.forget(live.call.call_id, since)
            self._write()

    def ended(self, live: LiveCall) -> None:
        """It is over, and all that came of it has been fed; its gate is not closed yet."""
        if (heard := self._calls.pop(live.call.call_id, None)) is None:
            return
        del self._turns[live.number % TURNS][live.call.call_id]
        live.ear = None
        for part in heard.waits.take(FOREVER):
            self._send(heard, part)
        if heard.told is not None:
            self._queue.over(live.call.call_id)
            self._told -= 1
            self._write()

    # ---- sound

    def turn(self, number: int, now_ns: int) -> None:
        """Hand on what has come of the calls whose turn it is, as far as time allows."""
        if self._connection is None:
            return
        if hung_up(self._connection):
            log.info("live.gone")
            self.hang_up()
            return
        due, left = self._turns[number % TURNS], len(self._turns[number % TURNS])
        until = self._monotonic() + SLICE_S
        while left > 0 and (left == len(due) or self._monotonic() < until):
            some = list(islice(due, min(CALLS_AT_ONCE, left)))
            left -= len(some)
            self._listen([due[call_id] for call_id in some], now_ns)
            for call_id in some:
                due[call_id] = due.pop(call_id)
        self._write()

    def _listen(self, calls: list[_Heard], now_ns: int) -> None:
        addresses, since, owners = [], [], []
        for heard in calls:
            if (first := heard.live.gate.aloud.since) == FOREVER:
                continue
            for address, stream in heard.live.streams.items():
                addresses.append(address)
                since.append(max(first, heard.after.get(stream.stream, 0)))
                owners.append(heard)
        for number, chunk in self._engine.listen(addresses, since, now_ns):
            self._hear(owners[number], chunk)
        for heard in calls:
            if heard.waits.holds_some:
                old = heard.live.now_samples(now_ns) - heard.live.gate.aloud.holdback_samples
                for part in heard.waits.take(old):
                    self._send(heard, part)

    def _hear(self, heard: _Heard, chunk: StreamChunk) -> None:
        """A stretch, of which some may have been heard before."""
        rest = later(chunk, heard.after.get(chunk.stream, 0))
        if rest is None:
            return
        heard.after[chunk.stream] = rest.end_samples
        aloud = heard.live.gate.aloud
        whole = rest.position_samples >= aloud.since + LONGEST  # no packet can repeat anything of before
        for part in (rest,) if whole else keep(rest, aloud.parts):
            if aloud.holdback_samples:
                heard.waits.add(part)
            else:
                self._send(heard, part)

    def _send(self, heard: _Heard, part: StreamChunk) -> None:
        if heard.told is None:
            self._told += 1
            self._introduce(heard)
        call_id, at, samples = part.call_id, part.position_samples, part.samples
        self._queue.sound(call_id, part.stream, part.codec, at, samples, pack(part))

    def _begin(self, heard: _Heard) -> None:
        """The listener hears from here on."""
        engine, streams = self._engine, heard.live.streams
        heard.after = {stream.stream: engine.heard_until(address) for address, stream in streams.items()}
        heard.live.ear = partial(self._hear, heard)

    def _introduce(self, heard: _Heard) -> None:
        heard.told = conversation(heard.live.call)
        self._queue.tell(heard.told)

    def _write(self) -> None:
        if self._connection is None:
            return
        try:
            self._queue.write(self._connection.send)
        except OSError:
            log.info("live.gone")
            self.hang_up()
            return
        if self._queue.is_overfull:
            log.warning("live.cut_off", why="the listener does not read")
            self.hang_up()


def conversation(call: Call) -> Conversation:
    """What a listener is told of a call."""
    roles = {party.participant_id: party.role for party in call.parties}
    voices = (
        Voice(s.stream, s.channel, s.participant_id, roles[s.participant_id])
        if s.participant_id in roles
        else Voice(s.stream, s.channel, s.participant_id)
        for s in call.streams
    )
    return Conversation(call.call_id, call.started_ns, call.direction, call.queue, call.tags, tuple(voices))
