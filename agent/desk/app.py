"""The REST interface: press pause, resume, keep by call or by agent; see the live calls. Deny by default.

An answer of success means that the gate *is* closed (or open) and says since which media time; it is never "accepted".
"""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, HTTPException, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from agent.desk.metrics import CONTENT_TYPE, Metrics
from agent.desk.recorder_client import RecorderAway, RecorderClient
from agent.desk.tokens import IdentityUnknown
from agent.model.gate import GateVerb
from agent.model.identity import Device, Right, Scope

LOOPBACK = ("127.0.0.1", "::1")
MAY_MEASURE = (Right.ADMIN, Right.METRICS)
Refused = Callable[[str, str], None]


class Press(BaseModel):
    """The body of a press; everything is optional."""

    model_config = ConfigDict(extra="forbid")

    purpose: str | None = Field(None, max_length=31, description="one purpose; all of them when absent")
    reason: str = Field("", max_length=200, description="kept in the journal; write no personal data here")


class GateReply(BaseModel):
    """What the gate did."""

    call_id: str
    states: dict[str, str]
    changed: list[str]
    since_s: float = Field(description="media time in seconds since which it holds")


def _from_here(request: Request) -> bool:
    """Whether this machine itself asks, for itself."""
    passed_on = {"forwarded", "x-forwarded-for", "via"} & set(request.headers)
    return not passed_on and request.client is not None and request.client.host in LOOPBACK


def _holder(find: Callable[[str], Scope | None], token: str) -> Scope | None:
    try:
        return find(token)
    except IdentityUnknown:
        raise HTTPException(503, "not done: whose the token is cannot be told now") from None


def build_app(
    recorder: RecorderClient, find: Callable[[str], Scope | None], refused: Refused, metrics: Metrics
) -> FastAPI:
    """The application. `find` is asked anew for each request; `refused(what, actor)` journals each refusal."""
    app = FastAPI(title="Greffier desk", version="1", docs_url=None, redoc_url=None)

    def scope(authorization: Annotated[str, Header()] = "") -> Scope:
        kind, _, token = authorization.partition(" ")
        found = _holder(find, token) if kind.lower() == "bearer" else None
        if found is None or found.device is Device.PHONE:
            refused("token", "unknown")
            raise HTTPException(401, "a bearer token is needed; `greffier token add` makes one")
        return found

    Allowed = Annotated[Scope, Depends(scope)]

    async def ask(**request: Any) -> dict[str, Any]:
        try:
            return await recorder.ask(**request)
        except RecorderAway as error:
            raise HTTPException(503, f"not done: {error}") from None
        except ValueError as error:
            raise HTTPException(404, f"not done: {error}") from None

    async def own_call(call_id: str, who: Scope) -> str:
        calls = (await ask(op="calls"))["calls"]
        found = [c for c in calls if c["call_id"].startswith(call_id)]
        if len(found) == 1 and who.may_press_for(found[0]["agent"]):
            return str(found[0]["call_id"])
        if found:
            refused("call of another agent", who.actor(None))
        raise HTTPException(404, "not done: no live call of yours has this id")

    @app.get("/v1/health")
    async def health() -> dict[str, Any]:
        """Whether the recorder answers. Needs no token and tells nothing else."""
        await ask(op="stats")
        return {"recorder": "ok"}

    @app.get("/v1/calls")
    async def calls(who: Allowed) -> list[dict[str, Any]]:
        """Live calls; an agent's token sees the agent's own."""
        live: list[dict[str, Any]] = (await ask(op="calls"))["calls"]
        return [c for c in live if who.may_press_for(c["agent"])]

    @app.get("/metrics")
    async def measured(request: Request, authorization: Annotated[str, Header()] = "") -> Response:
        """Prometheus metrics, for this machine itself or an admin's token; what a proxy passes on needs the token."""
        if (authorization or not _from_here(request)) and scope(authorization).right not in MAY_MEASURE:
            refused("metrics", "agent")
            raise HTTPException(403, "metrics need an admin's token")
        try:
            stats = await recorder.ask(op="stats")
        except RecorderAway:
            stats = None
        return Response(metrics.text(stats), media_type=CONTENT_TYPE)

    @app.post("/v1/calls/{call_id}/{verb}")
    async def press_call(
        call_id: Annotated[str, Path(pattern="^[0-9a-f]{4,32}$")],
        verb: GateVerb,
        who: Allowed,
        press: Press | None = None,
    ) -> GateReply:
        """Press pause, resume or keep on one call."""
        asked = press or Press()
        if not who.sees_all or len(call_id) < 32:
            call_id = await own_call(call_id, who)
        return GateReply(
            **await ask(
                op="gate", call=call_id, verb=verb, actor=who.actor(None), purpose=asked.purpose, reason=asked.reason
            )
        )

    @app.post("/v1/agents/{extension}/{verb}")
    async def press_agent(
        extension: Annotated[str, Path(max_length=40)], verb: GateVerb, who: Allowed, press: Press | None = None
    ) -> GateReply:
        """Press pause, resume or keep on the newest live call of an agent."""
        asked = press or Press()
        if not who.may_press_for(extension):
            refused("call of another agent", who.actor(None))
            raise HTTPException(403, "not done: this token is another agent's")
        return GateReply(
            **await ask(
                op="gate", agent=extension, verb=verb, actor=who.actor(None), purpose=asked.purpose, reason=asked.reason
            )
        )

    return app
