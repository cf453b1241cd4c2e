"""Who is in which call, and how its gate stands, told to everybody who listens: one watch of the recorder for all.

Listeners have short queues. Who does not take what is there is cut off, so that nobody ever waits for a listener; the
recorder least of all.
"""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import structlog

from agent.control.client import SILENCE_S, follow
from agent.control.takenback import amend
from agent.desk.state import AgentState, newest, state_of

log = structlog.get_logger()

QUEUE = 256
ALERT_FIELDS = ("kind", "agent", "call_id", "purpose", "actor", "paused_s")

Event = tuple[str, str]
"""Name and data (JSON) of a server-sent event."""


class Listener:
    """One who listens to the agents that `wants` names. `gone` is set when nothing more will come."""

    def __init__(self, wants: Callable[[str | None], bool], fixed: frozenset[str]) -> None:
        self.wants = wants
        self.fixed = fixed
        self.queue: asyncio.Queue[Event] = asyncio.Queue()
        self.gone = asyncio.Event()

    def tell(self, event: Event, at_once: int = 0) -> None:
        """Queue an event, or cut the listener off when its queue is full. `at_once`: so many are told in one go."""
        if self.gone.is_set():
            return
        if self.queue.qsize() >= max(QUEUE, 2 * at_once):
            log.warning("desk.listener_cut", queued=self.queue.qsize())
            self.gone.set()
            return
        self.queue.put_nowait(event)

    def recall(self, change: Callable[[Event], Event | None]) -> None:
        """What is queued is told as `change` says, or not at all."""
        amend(self.queue, change)


class Presence:
    """Follows the recorder. `run` is its one task; everything else is called in the same loop."""

    def __init__(
        self,
        socket: Path,
        limit_s: float,
        monotonic: Callable[[], float] = time.monotonic,
        silence_s: float = SILENCE_S,
    ) -> None:
        self._socket = socket
        self._limit_s = limit_s
        self._monotonic = monotonic
        self._silence_s = silence_s
        self.ready = False
        self._calls: dict[str, dict[str, Any]] = {}
        self._of: dict[str | None, set[str]] = {}
        """The same, by agent."""
        self._seen_s: dict[str, float] = {}
        self._first: dict[str, dict[str, Any]] | None = {}
        """What is told of calls before the recorder is `ready`; None after that."""
        self._told: dict[str, AgentState] = {}
        self._listeners: set[Listener] = set()

    async def run(self) -> None:
        """Watch the recorder, again and again; never returns."""
        await follow(self._socket, self._hear, self._away, self._silence_s)

    def state(self, agent: str) -> AgentState:
        """How it stands with an agent now. Means nothing unless `ready`."""
        call = newest([self._calls[call_id] for call_id in self._of.get(agent, ())])
        aged_s = self._monotonic() - self._seen_s[call["call_id"]] if call else 0.0
        return state_of(agent, call, self._limit_s, aged_s)

    def calls(self, prefix: str) -> list[dict[str, Any]]:
        """Live calls whose id begins so."""
        return [call for call_id, call in self._calls.items() if call_id.startswith(prefix)]

    def pressed(self, call_id: str, answer: dict[str, Any]) -> None:
        """What the gate just answered, so that who asks for the state next sees it; listeners are told by the watch."""
        if call := self._calls.get(call_id):
            self._calls[call_id] = call | {key: answer[key] for key in ("states", "causes") if key in answer}

    def listen(self, wants: Callable[[str | None], bool], fixed: frozenset[str]) -> Listener:
        """A new listener, told how things stand: of the agents in `fixed` always, of others with calls if wanted."""
        listener = Listener(wants, fixed)
        self._listeners.add(listener)
        if self.ready:
            agents = sorted(fixed | {a for a in self._agents() if wants(a)})
            for agent in agents:
                listener.tell(_event(self.state(agent)), len(agents))
        else:
            listener.tell(AWAY)
        return listener

    def leave(self, listener: Listener) -> None:
        """Forget a listener."""
        listener.gone.set()
        self._listeners.discard(listener)

    def close(self) -> None:
        """Send everybody away."""
        for listener in self._listeners:
            listener.gone.set()

    def _agents(self) -> set[str]:
        return {agent for agent in self._of if agent is not None}

    def _put(self, call: dict[str, Any]) -> str | None:
        """Know a call as it is now; the agent it had before, or has."""
        call_id = call["call_id"]
        before = self._drop(call_id)
        self._calls[call_id] = call
        self._of.setdefault(call["agent"], set()).add(call_id)
        self._seen_s[call_id] = self._monotonic()
        agent: str | None = (before or call)["agent"]
        return agent

    def _drop(self, call_id: str) -> dict[str, Any] | None:
        """Forget a call; as it was."""
        self._seen_s.pop(call_id, None)
        if (call := self._calls.pop(call_id, None)) is not None:
            (others := self._of[call["agent"]]).discard(call_id)
            if not others:
                del self._of[call["agent"]]
        return call

    def _hear(self, news: dict[str, Any]) -> None:
        if self._first is None:
            self._take(news)
        elif news["news"] == "call":
            self._first[news["call"]["call_id"]] = news["call"]
        elif news["news"] == "ready":
            self._begin(self._first)
            self._first = None

    def _begin(self, calls: dict[str, dict[str, Any]]) -> None:
        before = self._agents() | set(self._told)
        self._calls, self._of, self._seen_s, self._told, self.ready = {}, {}, {}, {}, True
        for call in calls.values():
            self._put(call)
        log.info("desk.watching", calls=len(calls))
        fixed = frozenset[str]().union(*(listener.fixed for listener in self._listeners))
        self._tell(before | self._agents() | fixed)

    def _away(self, error: Exception) -> None:
        self._first = {}
        if self.ready:
            log.warning("desk.recorder_away", error=str(error))
            self.ready = False
            for listener in tuple(self._listeners):
                listener.tell(AWAY, len(self._calls))

    def _take(self, news: dict[str, Any]) -> None:
        kind = news["news"]
        if kind == "call":
            call = news["call"]
            self._tell({self._put(call), call["agent"]})
        elif kind == "ended":
            gone = self._drop(news["call_id"])
            self._tell({gone["agent"] if gone else news["agent"]})
        elif kind == "alert":
            self._alert(news)

    def _alert(self, news: dict[str, Any]) -> None:
        event = ("alert", json.dumps({name: news.get(name) for name in ALERT_FIELDS}))
        for listener in tuple(self._listeners):
            if listener.wants(news["agent"]):
                listener.tell(event, len(self._calls))
        call = self._calls.get(news["call_id"])
        if call is not None and news["kind"] == "warn":
            call["warned"] = sorted({*call.get("warned", []), news["purpose"]})
            self._tell({call["agent"]})

    def _tell(self, agents: set[str] | set[str | None]) -> None:
        for agent in sorted(a for a in agents if a is not None):
            state = self.state(agent)
            if state.same(self._told.get(agent)):
                continue
            event = _event(state)
            self._told[agent] = state
            if state.call_id is None:
                del self._told[agent]  # nothing is kept of who is in no call
            for listener in tuple(self._listeners):
                if listener.wants(agent):
                    listener.tell(event, max(len(agents), len(self._calls)))


def _event(state: AgentState) -> Event:
    return ("state", json.dumps(asdict(state)))


AWAY: Event = ("away", "{}")
