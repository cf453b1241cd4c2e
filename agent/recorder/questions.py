"""What may be asked of a recorder over its control socket: each operation, checked, and its answer."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from agent.control.server import Answer
from agent.control.watching import Watcher
from agent.model.call import CLOCK_RATE, Consent
from agent.model.context import ContextNote
from agent.model.gate import AGENT_CAUSE, EVERY_CAUSE, SPEECH_CAUSE, GateAnswer, GateCommand, GateVerb
from agent.recorder.describing import describe, describe_answer, is_meant, wanted
from agent.recorder.live import LiveCall
from agent.recorder.loop import MediaLoop
from agent.recorder.news import Newsroom

MOST_TAGS = 16
_CAUSE = re.compile(r"[a-z][a-z0-9-]{0,30}(:[A-Za-z0-9._-]{1,40})?")
_TAG = re.compile(r"[A-Za-z0-9][\x20-\x7e]{0,63}")

log = structlog.get_logger()


class Questions:
    """Answers by operation name in `by_name`. `purposes()` names those that are configured now."""

    def __init__(self, loop: MediaLoop, news: Newsroom, purposes: Callable[[], set[str]]) -> None:
        self._loop, self._news, self._purposes = loop, news, purposes
        self.by_name: dict[str, Callable[[dict[str, Any]], Awaitable[Answer]]] = {
            "calls": self.calls,
            "gate": self.gate,
            "context": self.context,
            "sensitive": self.sensitive,
            "watch": self.watch,
        }

    async def live(self) -> list[LiveCall]:
        """Oldest first."""
        calls: list[LiveCall] = await asyncio.wrap_future(self._loop.ask(self._loop.calls.all))
        return calls

    async def calls(self, request: dict[str, Any]) -> Answer:
        """Every live call; where it is said those of an `agent`, with a `reference`, whose id begins as `call`."""

        def described() -> list[dict[str, Any]]:
            return [describe(live) for live in self._loop.calls.all() if is_meant(live, request)]

        return {"calls": await asyncio.wrap_future(self._loop.ask(described))}

    async def gate(self, request: dict[str, Any]) -> Answer:
        """A press. The answer comes when the gate stands so."""
        verb, cause = GateVerb(request["verb"]), str(request.get("cause") or AGENT_CAUSE)
        if not _CAUSE.fullmatch(cause) and not (cause == EVERY_CAUSE and verb is GateVerb.RESUME):
            raise ValueError("a cause is a word, or `context:NAME`; `*` only for resume")
        return describe_answer(await self._press(request, verb, cause))

    async def sensitive(self, request: dict[str, Any]) -> Answer:
        """Live speech recognition hears something that must not be kept (`active`), or no more.

        `covered`: whether the pause reaches back to `said_at_s`, where it began to be said.
        """
        active = request["active"] is True
        said_at = round(float(request["said_at_s"]) * CLOCK_RATE) if active else 0
        guarded = {"actor": "guard:speech", **request}
        answer = await self._press(guarded, GateVerb.PAUSE if active else GateVerb.RESUME, SPEECH_CAUSE)
        covered = not active or answer.since_samples <= said_at
        if not covered:
            log.error("guard.too_late", call=answer.call_id, by_s=(answer.since_samples - said_at) / CLOCK_RATE)
        return {**describe_answer(answer), "covered": covered}

    async def context(self, request: dict[str, Any]) -> Answer:
        """Somebody says something of a call."""
        consent = Consent(request["consent"]) if request.get("consent") else None
        queue = None if request.get("queue") is None else _text(request["queue"], 64)
        tags = {name: _tags(request.get(name) or ()) for name in ("add_tags", "remove_tags")}
        actor, source = _text(request["actor"], 100), _text(request["source"], 20)

        def obey() -> GateAnswer:
            call_id = wanted(self._loop.calls.all(), request)
            note = ContextNote(call_id, actor, source, queue, **tags, consent=consent)
            return self._loop.said(note, time.monotonic_ns())

        return describe_answer(await asyncio.wrap_future(self._loop.ask(obey)))

    async def watch(self, _request: dict[str, Any]) -> Answer:
        """All calls as they stand, and then whatever happens, until the one who watches goes or falls behind."""
        if not self._news.has_room():
            raise ValueError("too many watch already")
        watcher, loop = Watcher(self._news), asyncio.get_running_loop()
        self._loop.post(lambda: self._news.introduce(watcher, self._loop.calls.all(), loop))
        return watcher

    async def _press(self, request: dict[str, Any], verb: GateVerb, cause: str) -> GateAnswer:
        purpose = request.get("purpose")
        if purpose is not None and purpose not in self._purposes():
            raise ValueError(f"no purpose {purpose!r}")
        actor, reason = _text(request["actor"], 100), _text(request.get("reason", ""), 200)

        def obey() -> GateAnswer:
            call_id = wanted(self._loop.calls.all(), request)
            command = GateCommand(
                call_id, verb, actor, reason, purpose, cause, request.get("reaches_back") is not False
            )
            return self._loop.command(command, time.monotonic_ns())

        answer: GateAnswer = await asyncio.wrap_future(self._loop.ask(obey))
        return answer


def _text(value: Any, most: int) -> str:
    """What goes into the log, at most so long. Raises ValueError for what is no text (a surrogate alone, as JSON may
    have it): better now than between two gates."""
    text = str(value)[:most]
    text.encode()
    return text


def _tags(words: Any) -> tuple[str, ...]:
    tags = tuple(str(word) for word in words)
    if len(tags) > MOST_TAGS or not all(_TAG.fullmatch(tag) for tag in tags):
        raise ValueError(f"tags are at most {MOST_TAGS} words or `name=value`, of printable ASCII, 64 characters each")
    return tags
