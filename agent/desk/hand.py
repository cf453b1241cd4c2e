"""The agent's hand: presses the recorder's gates, and believes in a press only when the gate stands as it should."""

from dataclasses import dataclass
from typing import Any

from fastapi import HTTPException
from pydantic import BaseModel, Field

from agent.control.client import ControlClient, NoAnswer
from agent.desk.door import Door
from agent.desk.handover import Handover
from agent.desk.livetext import LiveText
from agent.desk.metrics import Metrics
from agent.desk.presence import Presence
from agent.desk.state import is_paused
from agent.model.gate import AGENT_CAUSE, EVERY_CAUSE, GateState, GateVerb
from agent.model.identity import Scope

KEPT = (GateState.RECORDING, GateState.PAUSED, GateState.WAITING, GateState.WAITING_PAUSED)
"""What waits for consent is kept as soon as it is given."""
CLOSED = (GateState.DROPPED, GateState.ENDED)


class GateReply(BaseModel):
    """What the gate did."""

    call_id: str
    states: dict[str, str]
    changed: list[str]
    since_s: float = Field(description="media time in seconds since which it holds")
    causes: dict[str, list[str]] = Field(default_factory=dict, description="what still holds each pause")


@dataclass(frozen=True, slots=True)
class Press:
    """What to ask of which gate: `of` is `{"call": ID}` or `{"agent": EXTENSION}`."""

    verb: GateVerb
    of: dict[str, str]
    actor: str
    purpose: str | None = None
    reason: str = ""
    cause: str = AGENT_CAUSE


@dataclass(frozen=True, slots=True)
class Desk:
    """What every part of the interface needs."""

    recorder: ControlClient
    door: Door
    presence: Presence
    livetext: LiveText
    metrics: Metrics
    handover: Handover
    pages: dict[str, tuple[str, ...]]
    """Pages that pause a call while they are open → the purposes they pause; none: all."""
    embedded_by: tuple[str, ...] = ()
    """Origins that may show the agent's page in a frame."""

    async def ask(self, **request: Any) -> dict[str, Any]:
        """One question to the recorder. 503 when it does not answer, 404 when it refuses."""
        try:
            return await self.recorder.ask(**request)
        except NoAnswer as error:
            raise HTTPException(503, f"not done: {error}") from None
        except ValueError as error:
            raise HTTPException(404, f"not done: {error}") from None

    async def press(self, press: Press) -> GateReply:
        """Press. 502 unless the recorder's own account of the gate says that it stands as asked."""
        asked = {"purpose": press.purpose, "reason": press.reason, "cause": press.cause}
        answer = await self.ask(op="gate", verb=press.verb, actor=press.actor, **asked, **press.of)
        reply = GateReply.model_validate(answer)
        if not reply.call_id.startswith(press.of.get("call", "")) or not stands(press, reply):
            raise HTTPException(502, "not done: the gate does not stand as asked; press again")
        self.presence.pressed(reply.call_id, answer)
        return reply

    async def call_within_reach(self, call_id: str, who: Scope) -> dict[str, Any]:
        """The one live call whose id begins so, if `who` may press for its agent; else 404, journalled."""
        found = self.presence.calls(call_id) if self.presence.ready else []
        if not found:
            found = (await self.ask(op="calls", call=call_id))["calls"]
        if len(found) == 1 and who.may_press_for(found[0]["agent"]):
            call: dict[str, Any] = found[0]
            return call
        if found and not all(who.may_press_for(call["agent"]) for call in found):
            self.door.refused("call of another agent", who.actor(None))
        raise HTTPException(404, "not done: no live call of yours has this id")


def is_closed(state: str, held: bool) -> bool:
    """Whether a purpose in this state writes nothing, nor will as long as the pause is `held`, which an idle one
    remembers in case it should come to apply."""
    return is_paused(state) or state in CLOSED or (state == GateState.IDLE and held)


def stands(press: Press, reply: GateReply) -> bool:
    """Whether the gate stands as it was asked to: closed after a pause; after a resume no longer held by its cause.

    After keep or drop, something is kept or dropped: never success where nothing of the call is.
    """
    states = reply.states
    if press.purpose is not None:
        if press.purpose not in states:
            return False
        states = {press.purpose: states[press.purpose]}
    if press.verb is GateVerb.PAUSE:
        return all(is_closed(state, press.cause in reply.causes.get(name, ())) for name, state in states.items())
    if press.verb is GateVerb.RESUME:
        held = {cause for name in states for cause in reply.causes.get(name, [])}
        return not held if press.cause == EVERY_CAUSE else press.cause not in held
    return any(state in (KEPT if press.verb is GateVerb.KEEP else CLOSED) for state in states.values())
