"""REST interface and agent's page put together: routes by what they are for, and what holds for every answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.desk import context, events, feed, measured, page, phones, presses, reading
from agent.desk.hand import Desk
from agent.desk.limits import SmallBodies

HEADERS = (
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)
NOT_A_PAGE = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")


class Guarded:
    """Adds to every answer that nobody may keep it, nor pass on the address it came from.

    What does not say what it may do as a page is none.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                said = [*message.get("headers", []), *HEADERS]
                is_page = any(name == NOT_A_PAGE[0] for name, _ in said)
                message = {**message, "headers": said if is_page else [*said, NOT_A_PAGE]}
            await send(message)

        await self._app(scope, receive, guarded)


def build_app(desk: Desk) -> FastAPI:
    """The application. It watches recorder and scribe from start to end."""

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        watching = [asyncio.create_task(one.run()) for one in (desk.presence, desk.livetext)]
        yield
        for one in (desk.presence, desk.livetext):
            one.close()
        for task in watching:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        desk.recorder.close()
        desk.handover.courier.close()

    app = FastAPI(title="Greffier desk", version="1", docs_url=None, redoc_url=None, lifespan=life)
    app.add_middleware(SmallBodies)
    app.add_middleware(Guarded)
    app.add_exception_handler(RequestValidationError, _not_understood)
    for part in (measured, presses, events, reading, context, phones, page, feed):
        app.include_router(part.router(desk))
    return app


async def _not_understood(_: Request, error: Any) -> JSONResponse:
    """What is wrong where, without what was sent: that may be a number or a token."""
    wrong = [{"loc": e["loc"], "msg": e["msg"]} for e in error.errors()]
    return JSONResponse({"detail": wrong}, 422)
