"""What an agent's light shows: the state now, and server-sent events of every change (HTML Living Standard §9.2)."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import asdict
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, HTTPException, Path, Request
from starlette.responses import StreamingResponse
from starlette.types import Message, Send

from agent.desk.door import responses
from agent.desk.hand import Desk
from agent.desk.presence import Listener

log = structlog.get_logger()

ALIVE_S = 10.0
SEND_S = 30.0
"""Who takes nothing for so long is cut off."""
MOST_STREAMS = 16
"""Of one token: as many windows as anybody has open."""


class EventStream(StreamingResponse):
    """A stream of events that gives up on whoever does not read it."""

    media_type = "text/event-stream"

    async def stream_response(self, send: Send) -> None:
        """ASGI."""

        async def patient(message: Message) -> None:
            async with asyncio.timeout(SEND_S):
                await send(message)

        try:
            await super().stream_response(patient)
        except TimeoutError:
            log.warning("desk.listener_cut", why="it does not read")
        finally:
            if isinstance(self.body_iterator, AsyncGenerator):
                await self.body_iterator.aclose()


async def told(listener: Listener, still: Callable[[], bool], alive_s: float = ALIVE_S) -> AsyncGenerator[bytes, None]:
    """What goes to a listener: events as they come, a comment in between, until it is cut off or its token is."""
    yield b": greffier\n\n"
    gone = asyncio.ensure_future(listener.gone.wait())
    getting = asyncio.ensure_future(listener.queue.get())
    try:
        while not listener.gone.is_set():
            await asyncio.wait({getting, gone}, timeout=alive_s, return_when=asyncio.FIRST_COMPLETED)
            if not still():
                return
            if not getting.done():
                yield b": alive\n\n"
                continue
            name, data = getting.result()
            getting = asyncio.ensure_future(listener.queue.get())
            yield f"event: {name}\ndata: {data}\n\n".encode()
    finally:
        gone.cancel()
        getting.cancel()


def router(desk: Desk) -> APIRouter:
    """Routes of states and events."""
    routes = APIRouter(prefix="/v1")
    streams: dict[str, int] = {}

    @routes.get("/agents/{extension}/state", responses=responses(401, 403, 429, 503))
    async def state(request: Request, extension: Annotated[str, Path(max_length=40)]) -> dict[str, Any]:
        """How it stands with the agent's newest call."""
        desk.door.own_agent(desk.door.bearer(request), extension)
        if not desk.presence.ready:
            raise HTTPException(503, "the recorder does not answer: how the gate stands cannot be told")
        return asdict(desk.presence.state(extension))

    @routes.get("/events", response_class=EventStream, responses=responses(401, 429))
    async def events(request: Request) -> EventStream:
        """Events `state`, `alert`, `away` for as long as the connection and the token last."""
        who = desk.door.bearer(request)
        if streams.get(who.token_id, 0) >= MOST_STREAMS:
            raise HTTPException(429, f"not done: {MOST_STREAMS} streams of this token are open", {"Retry-After": "10"})

        async def stream() -> AsyncGenerator[bytes, None]:
            streams[who.token_id] = streams.get(who.token_id, 0) + 1
            listener = desk.presence.listen(who.may_press_for, who.own)
            try:
                async with aclosing(told(listener, lambda: desk.door.still(request))) as pieces:
                    async for piece in pieces:
                        yield piece
            finally:
                desk.presence.leave(listener)
                streams[who.token_id] -= 1
                if not streams[who.token_id]:
                    del streams[who.token_id]

        return EventStream(stream(), headers={"Connection": "close"})

    return routes
