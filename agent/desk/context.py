"""What an agent's desktop says of a call: a page was opened or closed, the queue, tags, the customer's consent.

`[context.NAME]` says which pages there are; a call is paused as long as one of them is open, whatever else holds it.
"""

from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field, model_validator

from agent.desk.door import responses
from agent.desk.hand import Desk, GateReply, Press
from agent.desk.presses import CALL_ID
from agent.model.gate import GateVerb
from agent.model.identity import Device, Scope

Page = Annotated[str, Field(max_length=31)]
Tag = Annotated[str, Field(pattern=r"^[A-Za-z0-9][\x20-\x7e]{0,63}$")]


class ContextBody(BaseModel):
    """Of one call, by `agent` (the newest) or `call`: at least one thing that is said of it."""

    model_config = ConfigDict(extra="forbid")

    agent: str | None = Field(None, max_length=40)
    call: str | None = Field(None, pattern=CALL_ID)
    opened: Page | None = Field(None, description="a page of this name was opened: pause")
    closed: Page | None = Field(None, description="a page of this name was closed: resume, unless something else holds")
    queue: str | None = Field(None, max_length=64)
    add_tags: list[Tag] = Field(default_factory=list, max_length=16)
    remove_tags: list[Tag] = Field(default_factory=list, max_length=16)
    consent: Literal["given", "refused", "withdrawn"] | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.agent is None) == (self.call is None):
            raise ValueError("either agent or call is needed")
        if not (self.opened or self.closed or self.said()):
            raise ValueError("nothing is said of the call")
        if self.opened is not None and self.opened == self.closed:
            raise ValueError("a page is either opened or closed")
        return self

    def said(self) -> dict[str, Any]:
        """What the recorder is told besides pages."""
        return self.model_dump(include={"queue", "add_tags", "remove_tags", "consent"}, exclude_defaults=True)


class ContextReply(BaseModel):
    """How the call's gate stands afterwards. `since_s` only where a page was opened or closed."""

    call_id: str
    states: dict[str, str]
    causes: dict[str, list[str]] = Field(default_factory=dict)
    since_s: float | None = None


def router(desk: Desk) -> APIRouter:
    """The route of desktop events."""
    routes = APIRouter(prefix="/v1")

    @routes.post("/context", responses=responses(401, 403, 404, 429, 502, 503))
    async def context(request: Request, body: ContextBody) -> ContextReply:
        """Say something of a call. Success means that it is so: after `opened`, that the gate is closed."""
        who = desk.door.bearer(request)
        if who.device is Device.HOTKEY:
            desk.door.refused("context by a hotkey", who.actor(None))
            raise HTTPException(403, "not done: a hotkey's token only presses")
        if unknown := {body.opened, body.closed} - {None} - set(desk.pages):
            known = ", ".join(sorted(desk.pages)) or "none"
            raise HTTPException(422, f"not done: no [context.{unknown.pop()}] is configured (known: {known})")
        of, agent = await _meant(desk, who, body)
        reply: ContextReply | None = None
        if body.opened is not None:
            reply = await _turn(desk, GateVerb.PAUSE, body.opened, of, agent)
            of = {"call": reply.call_id}
        if body.closed is not None:
            reply = await _turn(desk, GateVerb.RESUME, body.closed, of, agent)
            of = {"call": reply.call_id}
        if said := body.said():
            answer = await desk.ask(op="context", actor=who.actor(agent), source="api", **of, **said)
            desk.presence.pressed(answer["call_id"], answer)
            since_s = reply.since_s if reply else None
            reply = ContextReply.model_validate({**answer, "since_s": since_s})
        if reply is None:
            raise HTTPException(422, "not done: nothing is said of the call")
        return reply

    return routes


async def _meant(desk: Desk, who: Scope, body: ContextBody) -> tuple[dict[str, str], str | None]:
    """Which call is meant, as the recorder is told it, and its agent."""
    if body.agent is not None:
        desk.door.own_agent(who, body.agent)
        return {"agent": body.agent}, body.agent
    call = await desk.call_within_reach(body.call or "", who)
    return {"call": call["call_id"]}, call["agent"]


async def _turn(desk: Desk, verb: GateVerb, page: str, of: dict[str, str], agent: str | None) -> ContextReply:
    """Pause for a page that was opened, or let go of the pause of one that was closed, for each of its purposes."""
    done: list[GateReply] = []
    for purpose in desk.pages[page] or (None,):
        actor = f"context:{agent or 'desk'}"
        press = Press(verb, of, actor, purpose, f"page {page}", cause=f"context:{page}")
        done.append(await desk.press(press))
        of = {"call": done[-1].call_id}
    since_s = (max if verb is GateVerb.PAUSE else min)(reply.since_s for reply in done)
    return ContextReply(call_id=done[-1].call_id, states=done[-1].states, causes=done[-1].causes, since_s=since_s)
