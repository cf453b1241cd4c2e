"""What the guard hears is told to the recorder at once, and when it is over: the gate closes before a digit is written.

In a pause nothing is heard, so that nobody knows when the number ends: a pause lasts for `hold_s`, and where the number
goes on after it the guard hears that again, within the holdback. A pause that this process cannot take back, because it
was restarted or cut off, the recorder ends by itself soon after.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

import structlog

from agent.control.client import ControlClient, NoAnswer
from agent.store.journal import Journal
from agent.transcribe.guard import Alarm

log = structlog.get_logger()

AGAIN_S = 0.25
"""A recorder that does not answer is asked again so soon: it may be just starting."""
TRIES = 8


@dataclass(slots=True)
class GuardState:
    """What the guard did since the start: pauses, those too late to cover all that was said, and those not made."""

    pauses: int = 0
    too_late: int = 0
    failed: int = 0


class Unguarded:
    """Calls that are to be guarded while nothing of them is heard, because the box gave up their live text: said in the
    log, in the journal (`guard.off`, `guard.on`) and to who asks. `journal` None: nowhere else."""

    def __init__(self, journal: Journal | None) -> None:
        self._journal = journal
        self._unheard: dict[str, str] = {}
        """Calls without live text, and why."""
        self._to_guard: set[str] = set()

    @property
    def calls(self) -> list[str]:
        """Those calls."""
        return sorted(set(tuple(self._unheard)) & set(tuple(self._to_guard)))

    def guard(self, call_id: str) -> None:
        """A call is to be guarded."""
        if call_id not in self._to_guard:
            self._to_guard.add(call_id)
            if call_id in self._unheard:
                self._say("guard.off", call_id, self._unheard[call_id])

    def hear(self, call_id: str, on: bool, why: str) -> None:
        """A call has live text from now on, or has none."""
        if on is (call_id not in self._unheard):
            return
        if on:
            del self._unheard[call_id]
        else:
            self._unheard[call_id] = why
        if call_id in self._to_guard:
            self._say("guard.on" if on else "guard.off", call_id, why)

    def end(self, call_id: str) -> None:
        """A call is over."""
        self._unheard.pop(call_id, None)
        self._to_guard.discard(call_id)

    def _say(self, kind: str, call_id: str, why: str) -> None:
        log.warning(kind, call=call_id, why=why)
        if self._journal is not None:
            self._journal.append(kind, call_id=call_id, why=why)


class Guarding:
    """Everything is called in one asyncio loop."""

    def __init__(self, recorder: ControlClient, hold_s: float) -> None:
        self._recorder = recorder
        self._hold_s = hold_s
        self._tasks: set[asyncio.Task[Any]] = set()
        self._until: dict[str, float] = {}
        self.state = GuardState()

    def alarm(self, call_id: str, alarm: Alarm) -> None:
        """Something that must not be kept began to be said. One that is heard while the call should be paused is told
        again: somebody has opened the gate meanwhile."""
        known = call_id in self._until
        self._until[call_id] = asyncio.get_running_loop().time() + self._hold_s
        task = asyncio.create_task(self._press(call_id, alarm) if known else self._guard(call_id, alarm))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guard(self, call_id: str, alarm: Alarm) -> None:
        try:
            open_again = not await self._press(call_id, alarm)
            while not open_again:
                while (left_s := self._until[call_id] - asyncio.get_running_loop().time()) > 0:
                    await asyncio.sleep(left_s)
                await self._say(call_id, active=False)
                open_again = self._until[call_id] <= asyncio.get_running_loop().time()
        finally:
            self._until.pop(call_id, None)

    async def _press(self, call_id: str, alarm: Alarm) -> bool:
        return await self._say(call_id, active=True, said_at_s=alarm.since_s, reason=alarm.reason.value)

    async def _say(self, call_id: str, *, active: bool, **said: object) -> bool:
        """Tell the recorder. Returns whether it has closed, or opened, the gate."""
        for _ in range(TRIES):
            try:
                answer = await self._recorder.ask(op="sensitive", call=call_id, active=active, **said)
            except NoAnswer:
                await asyncio.sleep(AGAIN_S)
                continue
            except ValueError:
                return False  # the call is over
            self.state.pauses += active
            self.state.too_late += answer["covered"] is not True
            return True
        self.state.failed += 1
        log.error("guard.failed", call=call_id, active=active, advice="the recorder does not answer")
        return False
