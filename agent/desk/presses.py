"""Presses by REST: pause, resume, keep, drop by call or by agent; the live calls.

An answer of success means that the gate *is* closed (or open) and says since which media time; it is never "accepted".
"""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel, ConfigDict, Field

from agent.desk.door import responses
from agent.desk.hand import Desk, GateReply, Press
from agent.model.gate import GateVerb
from agent.model.identity import Scope

CALL_ID = "^[0-9a-f]{4,32}$"
Extension = Annotated[str, Path(max_length=40)]


class PressBody(BaseModel):
    """The body of a press; everything is optional."""

    model_config = ConfigDict(extra="forbid")

    purpose: str | None = Field(None, max_length=31, description="one purpose; all of them when absent")
    reason: str = Field("", max_length=200, description="kept in the journal; write no personal data here")


def router(desk: Desk) -> APIRouter:
    """Routes of presses."""
    routes = APIRouter(prefix="/v1")

    async def caller(request: Request) -> Scope:  # not in a thread: the look-up is shorter than the way there and back
        return desk.door.bearer(request)

    Allowed = Annotated[Scope, Depends(caller)]

    @routes.get("/calls", responses=responses(401, 503))
    async def calls(who: Allowed) -> list[dict[str, Any]]:
        """Live calls; an agent's token sees the agent's own."""
        live: list[dict[str, Any]] = (await desk.ask(op="calls"))["calls"]
        return [call for call in live if who.may_press_for(call["agent"])]

    @routes.post("/calls/{call_id}/{verb}", responses=responses(401, 404, 429, 502, 503))
    async def press_call(
        call_id: Annotated[str, Path(pattern=CALL_ID)], verb: GateVerb, who: Allowed, body: PressBody | None = None
    ) -> GateReply:
        """Press on one call."""
        asked, agent = body or PressBody(), None
        if not who.sees_all or len(call_id) < 32:
            call = await desk.call_within_reach(call_id, who)
            call_id, agent = call["call_id"], call["agent"]
        return await desk.press(Press(verb, {"call": call_id}, who.actor(agent), asked.purpose, asked.reason))

    @routes.post("/agents/{extension}/{verb}", responses=responses(401, 403, 404, 429, 502, 503))
    async def press_agent(
        extension: Extension, verb: GateVerb, who: Allowed, body: PressBody | None = None
    ) -> GateReply:
        """Press on the newest live call of an agent."""
        desk.door.own_agent(who, extension)
        asked = body or PressBody()
        return await desk.press(Press(verb, {"agent": extension}, who.actor(extension), asked.purpose, asked.reason))

    return routes
