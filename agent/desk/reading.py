"""Live text as server-sent events, for agents, supervisors and the tools that help them during a call."""

from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request

from agent.desk.door import responses
from agent.desk.events import MOST_STREAMS, EventStream, told
from agent.desk.hand import Desk
from agent.model.identity import Device


def router(desk: Desk) -> APIRouter:
    """The route of live text."""
    routes = APIRouter(prefix="/v1")
    door, text = desk.door, desk.livetext
    streams: Counter[str] = Counter()

    @routes.get("/live/state", responses=responses(401, 403, 429, 503))
    async def state(request: Request) -> dict[str, Any]:
        """How live text copes: the step it is at, calls without it, its lag; and what the guard did."""
        who = door.bearer(request)
        if not who.sees_all:
            door.refused("state of live text", who.actor(None))
            raise HTTPException(403, "not done: this is for supervisors and admins")
        if (stats := await text.stats()) is None:
            raise HTTPException(503, "the scribe does not answer")
        return stats

    @routes.get("/live", response_class=EventStream, responses=responses(401, 403, 429))
    async def live(
        request: Request,
        call: Annotated[str | None, Query(pattern="^[0-9a-f]{32}$")] = None,
        purpose: Annotated[str | None, Query(max_length=31)] = None,
    ) -> EventStream:
        """Events `text`, `forgotten`, `live`, `away` of the calls within reach, while the connection and the token
        last. A word that is told as stable never changes; `forgotten` takes words back that a pause reached."""
        who = door.bearer(request)
        if who.device is Device.HOTKEY:
            door.refused("live text by a hotkey", who.actor(None))
            raise HTTPException(403, "not done: a hotkey's token only presses")
        if not text.has_room or streams[who.token_id] >= MOST_STREAMS:
            raise HTTPException(429, "not done: too many read already", {"Retry-After": "10"})

        async def stream() -> AsyncGenerator[bytes, None]:
            streams[who.token_id] += 1
            reader = text.listen(who, call, purpose)
            try:
                async with aclosing(told(reader, lambda: door.still(request))) as pieces:
                    async for piece in pieces:
                        yield piece
            finally:
                text.leave(reader)
                streams[who.token_id] -= 1
                if not streams[who.token_id]:
                    del streams[who.token_id]

        return EventStream(stream(), headers={"Connection": "close"})

    return routes
