"""Which window is transcribed next, of all channels of all live calls, and what is told of it.

No thread, no clock. A channel has one window at most, under way or waiting, and what comes meanwhile becomes part of
it: work never queues up. How late windows are done decides what is given up (`agent.transcribe.live.ladder`).
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agent.model.call import CLOCK_RATE, Role
from agent.model.text import Word
from agent.transcribe.engine import ENGINE_RATE, Capabilities, Heard, Spoken
from agent.transcribe.live.channel import Channel, Due, Text, Window
from agent.transcribe.live.events import LiveEnded, LiveEvent, LiveForgotten, LiveSwitched, LiveText, Why
from agent.transcribe.live.ladder import Ladder
from agent.transcribe.live.voice import Voice

LOOK_BACK_S = 5.0
"""Lateness, lag and use are those of so long ago until now."""
LOOK_EVERY_S = 0.25
MOST_CHANNELS = 1024


@dataclass(frozen=True, slots=True)
class LiveState:
    """How live transcription does, for metrics and whoever asks.

    `rung` is what the ladder calls it, `step_s` how often guesses are due, `off` the calls without live text;
    `lag_p95_s` how long after a word its stable text came, `late_p95_s` how long after it was due a window was done,
    `use` the part of the workers' time, all of the last seconds. The rest counts since the start: windows done, guesses
    that became part of a later one, windows the engine broke over, seconds of speech that were let go.
    """

    rung: str
    step_s: float
    calls: int
    off: tuple[str, ...]
    lag_p95_s: float
    late_p95_s: float
    use: float
    windows: int
    coalesced: int
    failed: int
    skipped_s: float


@dataclass(frozen=True, slots=True)
class Job:
    """A window on its way to a worker."""

    call: str
    channel: int
    window: Window
    due_at: float
    begun_at: float


@dataclass(slots=True)
class _Line:
    """A channel and what is told of it so far."""

    call: str
    number: int
    party: Role
    channel: Channel
    due_at: float | None = None
    seq: int = 0
    rev: int = 0


class Schedule:
    """All live channels. `voice` makes what tells speech from silence for a channel; `language` None: detect it."""

    def __init__(self, voice: Callable[[], Voice], language: str | None) -> None:
        self._voice = voice
        self._language = language
        self._only: str | None = None
        self._workers = 1
        self._ladder = Ladder()
        self._calls: dict[str, dict[int, _Line]] = {}
        """In the order in which they were heard of."""
        self._languages: dict[str, str | None] = {}
        self._off: set[str] = set()
        self._ending: set[str] = set()
        self._running: dict[tuple[str, int], Job] = {}
        self._done: deque[tuple[float, float]] = deque()
        """(when, how late) of windows done."""
        self._lags: deque[tuple[float, float]] = deque()
        self._work: deque[tuple[float, float]] = deque()
        """(when, how long) of windows done."""
        self._next_look = 0.0
        self._windows = self._coalesced = self._failed = self._skipped = 0

    # ---- what comes in -------------------------------------------------------------------------------------------

    def use(self, capabilities: Capabilities, only_language: str | None) -> None:
        """The engine that will transcribe."""
        self._workers, self._only = capabilities.windows, only_language

    def speaks(self, call: str, language: str | None) -> None:
        """The language of a call of which nothing was heard yet; None: detect it, once a channel."""
        self._languages[call] = language

    def hear(
        self, call: str, number: int, party: Role, position: int, pcm: npt.NDArray[np.int16], now: float
    ) -> list[LiveEvent]:
        """The next stretch of a channel: mono int16 at `CLOCK_RATE` from a media position."""
        told: list[LiveEvent] = []
        if call not in self._calls:
            self._calls[call] = {}
            if not self._ladder.joins():
                self._off.add(call)
                told.append(LiveSwitched(call, False, Why.OVERLOAD))
        if call in self._off:
            return told
        line = self._calls[call].get(number)
        if line is None:
            if sum(map(len, self._calls.values())) >= MOST_CHANNELS:
                return told
            line = self._calls[call][number] = _Line(call, number, party, self._channel(call))
        line.party = party
        line.channel.hear(position, pcm, now)
        self._mark_due(line, now)
        return told

    def forget(self, call: str, position: int) -> list[LiveEvent]:
        """Wipe a call's sound from a media position on; words of it that were told are taken back."""
        lines = self._calls.get(call)
        if lines is None:
            return []
        for line in lines.values():
            line.channel.forget(position)
        return [LiveForgotten(call, position)]

    def end(self, call: str, now: float) -> list[LiveEvent]:
        """No more sound will come of the call: turns that are open are over, and then it is forgotten."""
        if call in self._calls:
            self._ending.add(call)
        else:
            self._languages.pop(call, None)
            return [LiveEnded(call)]
        for line in self._calls.get(call, {}).values():
            line.channel.close()
            self._mark_due(line, now)
        return self._sweep()

    def abandon(self, call: str) -> list[LiveEvent]:
        """Nothing of the call is wanted any more, not even what is under way."""
        self._running = {key: job for key, job in self._running.items() if key[0] != call}
        self._calls.setdefault(call, {}).clear()
        self._ending.add(call)
        return self._sweep()

    # ---- work ----------------------------------------------------------------------------------------------------

    def next(self, now: float) -> Job | None:
        """The window that is most urgent, for a worker that takes it; None while there is none."""
        rung = self._ladder.rung
        waiting = [line for line in self._lines() if line.due_at is not None]
        while waiting:
            line = min(waiting, key=lambda x: (rung.customers_first and x.party is Role.AGENT, x.due_at, x.number))
            waiting.remove(line)
            due_at, line.due_at = line.due_at, None
            if due_at is None or not self._wanted(line):
                continue
            self._coalesced += max(0, int(line.channel.unread / (rung.step_s * ENGINE_RATE)) - 1)
            job = Job(line.call, line.number, line.channel.take(), due_at, now)
            self._running[line.call, line.number] = job
            return job
        return None

    def done(self, job: Job, heard: Heard, spoken: Spoken | None, now: float) -> list[LiveEvent]:
        """What a window adds. `spoken` is the language that was detected, where it was."""
        line = self._finish(job, now)
        if line is None:
            return []
        if spoken is not None:
            line.channel.tongue.hear(spoken)
        text = line.channel.give(job.window, heard)
        self._lags += ((now, line.channel.lag_s(word, now)) for word in text.decided)
        return self._after(line, text, now)

    def fail(self, job: Job, now: float) -> list[LiveEvent]:
        """The engine broke over a window."""
        self._failed += 1
        line = self._finish(job, now)
        if line is None:
            return []
        return self._after(line, line.channel.fail(job.window), now)

    def look(self, now: float) -> list[LiveEvent]:
        """Measure and move on the ladder, if it is time; tells of calls that lost or got back their live text."""
        if now < self._next_look:
            return []
        self._next_look = now + LOOK_EVERY_S
        self._ladder.observe(self._late_s(now), self._use(now), len(self._calls), now)
        for line in self._lines():
            self._mark_due(line, now)  # the step may be another
        return list(self._switch())

    @property
    def strained(self) -> bool:
        """Whether anything is given up: final texts wait then."""
        return self._ladder.strained

    @property
    def empty(self) -> bool:
        """Whether there is no call."""
        return not self._calls

    def state(self, now: float) -> LiveState:
        """See `LiveState`."""
        rung = self._ladder.rung
        skipped = self._skipped + sum(line.channel.skipped for line in self._lines())
        return LiveState(
            "calls_off" if self._off else rung.name,
            rung.step_s,
            len(self._calls),
            tuple(call for call in self._calls if call in self._off),
            round(_p95([lag for _, lag in _recent(self._lags, now)]), 3),
            round(self._late_s(now), 3),
            round(self._use(now), 3),
            self._windows,
            self._coalesced,
            self._failed,
            round(skipped / ENGINE_RATE, 1),
        )

    # ---- within --------------------------------------------------------------------------------------------------

    def _lines(self) -> Iterator[_Line]:
        return (line for lines in self._calls.values() for line in lines.values())

    def _wanted(self, line: _Line) -> bool:
        rung = self._ladder.rung
        due = line.channel.due(rung.step_s)
        return due is not Due.NOT and (rung.guesses or due is not Due.STEP)

    def _mark_due(self, line: _Line, now: float) -> None:
        if not self._wanted(line):
            line.due_at = None
        elif line.due_at is None:
            line.due_at = now

    def _after(self, line: _Line, text: Text, now: float) -> list[LiveEvent]:
        self._mark_due(line, now)
        return [*_told(line, text), *self._sweep()]

    def _sweep(self) -> list[LiveEvent]:
        """Let go of calls that have ended and of which all is told."""
        ended = [c for c in self._ending if all(line.channel.idle for line in self._calls[c].values())]
        for call in ended:
            for line in self._calls.pop(call).values():
                self._skipped += line.channel.skipped
            self._languages.pop(call, None)
            self._ending.discard(call)
            if call in self._off:
                self._off.discard(call)
                self._ladder.leaves()
        if not self._calls:
            self._ladder = Ladder()  # nothing is given up where there is nothing
        return [LiveEnded(call) for call in ended]

    def _channel(self, call: str) -> Channel:
        return Channel(self._voice(), self._only or self._languages.get(call, self._language))

    def _finish(self, job: Job, now: float) -> _Line | None:
        self._windows += 1
        self._done.append((now, now - job.due_at))
        self._work.append((now, now - job.begun_at))
        if self._running.get((job.call, job.channel)) is not job:
            return None
        del self._running[job.call, job.channel]
        line = self._calls.get(job.call, {}).get(job.channel)
        return line if line is not None and line.channel.expects(job.window) else None

    def _late_s(self, now: float) -> float:
        waiting = [now - line.due_at for line in self._lines() if line.due_at is not None]
        running = [now - job.due_at for job in self._running.values()]
        return _p95([late for _, late in _recent(self._done, now)] + waiting + running)

    def _use(self, now: float) -> float:
        since = now - LOOK_BACK_S
        spent = sum(at - max(at - took, since) for at, took in _recent(self._work, now))
        spent += sum(now - max(job.begun_at, since) for job in self._running.values())
        return spent / (LOOK_BACK_S * self._workers)

    def _switch(self) -> Iterator[LiveEvent]:
        live = [call for call in self._calls if call not in self._off]
        for call in reversed(live[len(live) - max(self._ladder.off - len(self._off), 0) :]):
            self._off.add(call)
            for line in self._calls[call].values():
                if line.rev:
                    yield from _told(line, Text((), ()))
                self._skipped += line.channel.skipped + line.channel.unread
                line.channel, line.due_at = self._channel(call), None
            yield LiveSwitched(call, False, Why.OVERLOAD)
        off = [call for call in self._calls if call in self._off]
        for call in off[: max(len(off) - self._ladder.off, 0)]:
            self._off.discard(call)
            yield LiveSwitched(call, True, Why.RECOVERED)
        yield from self._sweep()


def _told(line: _Line, text: Text) -> Iterator[LiveText]:
    if text.decided:
        yield _text(line, text.decided, stable=True)
        line.seq, line.rev = line.seq + 1, 0
        if text.guess:
            yield _text(line, text.guess, stable=False)
            line.rev += 1
    elif text.guess is not None:
        yield _text(line, text.guess, stable=False)
        line.rev += 1


def _text(line: _Line, words: tuple[Word, ...], stable: bool) -> LiveText:
    start_s, end_s = (words[0].start_s, words[-1].end_s) if words else (0.0, 0.0)
    start, end, language = int(start_s * CLOCK_RATE), int(end_s * CLOCK_RATE), line.channel.tongue.language or ""
    return LiveText(line.call, line.number, line.party, line.seq, line.rev, start, end, words, stable, language)


def _recent(kept: deque[tuple[float, float]], now: float) -> deque[tuple[float, float]]:
    while kept and kept[0][0] < now - LOOK_BACK_S:
        kept.popleft()
    return kept


def _p95(values: list[float]) -> float:
    return sorted(values)[int(0.95 * (len(values) - 1))] if values else 0.0
