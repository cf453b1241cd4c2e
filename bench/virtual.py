"""One live call in virtual time: the real schedule, windows, agreement and guard; sound and engine are handed in.

The clock goes on in tenths of a second as fast as the work allows. Sound comes as late as the recorder hands it over; a
window is done as long after it was begun as its engine says it took. An alarm closes the gate as the recorder would:
what was said from there on is forgotten, and nothing is heard until the pause is over.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
import numpy.typing as npt

from agent.model.call import CLOCK_RATE, Role
from agent.transcribe.engine import Capabilities, Heard
from agent.transcribe.guard import Alarm, Guard, Rules
from agent.transcribe.live.events import LiveEvent, LiveText
from agent.transcribe.live.schedule import Job, Schedule
from agent.transcribe.live.voice import Voice

TICK_S = 0.1
HANDED_OVER_S = 0.125
"""So late sound comes from the recorder (docs/live-audio.md)."""
HOLD_S = 10.0
"""So long an alarm pauses a call (`guard.hold_s`)."""
CALL = "call"

Hear = Callable[[Job], tuple[Heard, float]]
"""What an engine makes of a window, and the seconds that it took."""


@dataclass(frozen=True, slots=True)
class Raised:
    """An alarm, and when it was raised, in seconds of the call."""

    alarm: Alarm
    at_s: float


def alarms(
    sounds: Sequence[npt.NDArray[np.int16]], hear: Hear, voice: Callable[[], Voice], language: str, until_s: float
) -> Iterator[Raised]:
    """The alarms of a call of these channels (customer first), as they come."""
    schedule = Schedule(voice, language)
    schedule.use(Capabilities("cpu", "none", 1), None)
    guard = Guard(Rules(), language)
    running: list[tuple[float, int, Job, Heard]] = []
    number, paused_until_s = count(), 0.0
    size = int(TICK_S * CLOCK_RATE)
    for tick in range(int(until_s / TICK_S)):
        now = (tick + 1) * TICK_S + HANDED_OVER_S
        told: list[tuple[float, LiveEvent]] = []
        while running and running[0][0] <= now:
            at, _, job, heard = heapq.heappop(running)
            told += [(at, event) for event in schedule.done(job, heard, None, at)]
            _begin(schedule, hear, running, number, at)
        if (tick + 1) * TICK_S > paused_until_s:
            for channel, pcm in enumerate(sounds):
                piece = pcm[tick * size : (tick + 1) * size]
                party = Role.AGENT if channel else Role.CUSTOMER
                told += [(now, event) for event in schedule.hear(CALL, channel, party, tick * size, piece, now)]
        told += [(now, event) for event in schedule.look(now)]
        _begin(schedule, hear, running, number, now)
        for at, event in told:
            alarm = guard.hear(event.channel, event.words, stable=event.stable) if isinstance(event, LiveText) else None
            if alarm is not None and at > paused_until_s:
                yield Raised(alarm, at)
                paused_until_s = at + HOLD_S
                schedule.forget(CALL, int(alarm.since_s * CLOCK_RATE))
                guard.forget(alarm.since_s)


def _begin(
    schedule: Schedule, hear: Hear, running: list[tuple[float, int, Job, Heard]], number: Iterator[int], at: float
) -> None:
    if not running and (job := schedule.next(at)) is not None:
        heard, took_s = hear(job)
        heapq.heappush(running, (at + took_s, next(number), job, heard))
