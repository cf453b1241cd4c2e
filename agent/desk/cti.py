"""Telephone systems beside the desk: what they say becomes requests to the recorder, if they may say it.

A connection presses for agents of its own patterns only (`[cti.NAME] agents`) and not without end; what it may not is
refused and journalled. What is said a moment before the call is there waits for it; `keep` and `drop` never wait.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import structlog
from fastapi import FastAPI
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from agent.config import Settings
from agent.config.cti import Cti
from agent.control.client import ControlClient, NoAnswer
from agent.cti.connection import Connection
from agent.cti.speak import dialogue_of
from agent.cti.words import Words
from agent.model.call import Consent
from agent.model.cti import CallOf, ContextSaid, PressSaid, Said, Unclear
from agent.model.gate import AGENT_CAUSE, GateVerb

PBX_CAUSE = "pbx"
"""Cause of a pause that the dialplan asked for by itself."""
AGAIN_S = 0.25
MOST_WAITING = 256
_BURST_S = 2.0

Refused = Callable[[str, str], None]
log = structlog.get_logger()


class NoSuchCall(LookupError):
    """The call is not there (yet)."""


class NotAllowed(PermissionError):
    """The connection may not say this; the text goes into the journal."""


@dataclass
class Allowance:
    """So many a second, and what two seconds allow at once."""

    per_s: float
    left: float = field(init=False)
    at_s: float = 0.0

    def __post_init__(self) -> None:
        self.left = self._most

    @property
    def _most(self) -> float:
        return max(1.0, self.per_s * _BURST_S)

    def take(self, now_s: float) -> bool:
        """Whether one more is allowed now."""
        self.left = min(self._most, self.left + max(0.0, now_s - self.at_s) * self.per_s)
        self.at_s = now_s
        if self.left < 1:
            return False
        self.left -= 1
        return True


class Teller:
    """Tells the recorder what one connection says."""

    def __init__(
        self, name: str, section: Cti, recorder: ControlClient, refused: Refused, monotonic: Callable[[], float]
    ) -> None:
        self.actor = f"pbx:{name}"
        self._name, self._section, self._words = name, section, Words(section)
        self._recorder, self._refused, self._monotonic = recorder, refused, monotonic
        self._presses, self._contexts = Allowance(section.presses_per_s), Allowance(section.contexts_per_s)
        self._waiting: dict[asyncio.Task[None], Said] = {}
        self.counts: Counter[str] = Counter()
        """done, waited, refused, failed, unclear."""

    async def __call__(self, said: Said) -> None:
        """Done when the recorder has answered, or when it is known that it cannot be done now."""
        if isinstance(said, Unclear):
            self.counts["unclear"] += 1
            log.warning("cti.unclear", cti=self._name, what=said.what)
            return
        allowance = self._presses if isinstance(said, PressSaid) else self._contexts
        if not allowance.take(self._monotonic()):
            self._refuse("more than allowed at once")
            return
        if isinstance(said, PressSaid) and said.verb is GateVerb.RESUME:
            self._forget_pauses(said.call)
        try:
            await self._tell(said)
        except (NoSuchCall, NoAnswer) as error:
            self._wait_for_call(said, error)

    def close(self) -> None:
        """What waits is given up."""
        for task in self._waiting:
            task.cancel()

    async def _tell(self, said: PressSaid | ContextSaid) -> None:
        try:
            await self._ask(said)
            self.counts["done"] += 1
        except NotAllowed as refusal:
            self._refuse(str(refusal))
        except ValueError as error:
            self.counts["failed"] += 1
            log.warning("cti.failed", cti=self._name, why=str(error))

    async def _ask(self, said: PressSaid | ContextSaid) -> None:
        call_id, agent = await self._find(said.call, pressing=isinstance(said, PressSaid))
        if isinstance(said, PressSaid):
            by_agent = said.by_agent and agent
            request: dict[str, Any] = {
                "op": "gate",
                "verb": said.verb.value,
                "actor": f"agent:{agent}" if by_agent else self.actor,
                "cause": AGENT_CAUSE if by_agent else PBX_CAUSE,
                "purpose": said.purpose,
                "reason": said.reason,
            }
        else:
            request = {
                "op": "context",
                "actor": self.actor,
                "source": self._section.kind,
                "queue": said.queue,
                "add_tags": list(said.add_tags),
                "remove_tags": list(said.remove_tags),
                "consent": said.consent.value if said.consent else None,
            }
            request = {key: value for key, value in request.items() if value not in (None, [])}
        await self._recorder.ask(call=call_id, **request)

    async def _find(self, meant: CallOf, pressing: bool) -> tuple[str, str]:
        """Our id of the call and the extension of its agent ("": not known). Raises NoSuchCall, NotAllowed."""
        if meant == CallOf():
            raise NotAllowed("a call of nobody")
        if meant.extension and not self._words.is_agent(meant.extension):
            raise NotAllowed("call of another agent")
        which = {"reference": meant.reference} if meant.reference else {"agent": meant.extension}
        found: list[dict[str, Any]] = (await self._recorder.ask(op="calls", **which))["calls"]
        if not found:
            raise NoSuchCall
        call = max(found, key=lambda one: int(one["started_ns"]))
        agent = call["agent"] or ""
        theirs = agent == meant.extension if meant.extension else self._words.is_agent(agent)
        if not theirs and (pressing or agent):
            raise NotAllowed("call of another agent")
        return str(call["call_id"]), agent

    def _refuse(self, what: str) -> None:
        self.counts["refused"] += 1
        self._refused(what, self.actor)

    # ---- what waits for its call, or for a recorder that comes back

    def _wait_for_call(self, said: PressSaid | ContextSaid, why: Exception) -> None:
        if isinstance(why, NoSuchCall) and not _may_meet_a_later_call(said):
            self.counts["failed"] += 1
            log.warning("cti.failed", cti=self._name, why="no live call")
            return
        if len(self._waiting) >= MOST_WAITING:
            self._refuse("more than allowed to wait")
            return
        self.counts["waited"] += 1
        task = asyncio.get_running_loop().create_task(self._again(said))
        self._waiting[task] = said
        task.add_done_callback(lambda done: self._waiting.pop(done, None))

    async def _again(self, said: PressSaid | ContextSaid) -> None:
        until_s = self._monotonic() + self._section.wait
        why = "no live call"
        while self._monotonic() < until_s:
            await asyncio.sleep(AGAIN_S)
            try:
                await self._tell(said)
                return
            except NoSuchCall:
                why = "no live call"
                if not _may_meet_a_later_call(said):
                    break
            except NoAnswer:
                why = "the recorder does not answer"
        self.counts["failed"] += 1
        log.error("cti.failed", cti=self._name, why=why, press=isinstance(said, PressSaid))

    def _forget_pauses(self, call: CallOf) -> None:
        for task, said in list(self._waiting.items()):
            if isinstance(said, PressSaid) and said.verb is GateVerb.PAUSE and said.call == call:
                task.cancel()


class PhoneSystems(Collector):
    """All connections of the configuration, and their figures."""

    def __init__(self, settings: Settings, refused: Refused) -> None:
        dice = random.SystemRandom()
        self._tellers: list[Teller] = []
        self._connections: list[Connection] = []
        for name, section in settings.cti.items():
            teller = Teller(name, section, ControlClient(settings.recorder_socket), refused, time.monotonic)
            self._tellers.append(teller)
            self._connections.append(Connection(name, section, partial(dialogue_of, section), teller, dice))

    def beside(self, app: FastAPI) -> None:
        """Run while the application serves."""
        inner = app.router.lifespan_context

        @asynccontextmanager
        async def both(served: FastAPI) -> AsyncIterator[Any]:
            async with inner(served) as state:
                tasks = [asyncio.create_task(connection.run()) for connection in self._connections]
                for task in tasks:
                    task.add_done_callback(_loudly)
                try:
                    yield state
                finally:
                    for task in tasks:
                        task.cancel()
                    await asyncio.gather(*tasks, return_exceptions=True)
                    for teller in self._tellers:
                        teller.close()

        app.router.lifespan_context = both

    def collect(self) -> Iterator[Metric]:
        """For `/metrics`."""
        up = GaugeMetricFamily("greffier_cti_up", "Whether a telephone system is connected.", labels=["cti"])
        said = CounterMetricFamily(
            "greffier_cti_said", "What telephone systems said, and what came of it.", labels=["cti", "outcome"]
        )
        for connection, teller in zip(self._connections, self._tellers, strict=True):
            up.add_metric([connection.name], float(connection.up))
            for outcome in ("done", "waited", "refused", "failed", "unclear"):
                said.add_metric([connection.name, outcome], float(teller.counts[outcome]))
        yield up
        yield said


def _may_meet_a_later_call(said: PressSaid | ContextSaid) -> bool:
    return said.verb is GateVerb.PAUSE if isinstance(said, PressSaid) else said.consent is not Consent.WITHDRAWN


def _loudly(done: asyncio.Task[None]) -> None:
    if not done.cancelled() and (error := done.exception()) is not None:
        log.critical("cti.broken", kind=type(error).__name__, error=str(error))
