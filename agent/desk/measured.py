"""What is asked by monitoring: whether the recorder answers, and /metrics."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from fastapi import APIRouter, Request, Response

from agent.config.desk import LOOPBACK
from agent.control.client import NoAnswer
from agent.desk.hand import Desk
from agent.desk.metrics import CONTENT_TYPE
from agent.model.identity import Right

PULSE_S = 1.0


def router(desk: Desk) -> APIRouter:
    """Routes of monitoring."""
    routes = APIRouter()
    pulse = Pulse(partial(desk.ask, op="stats"))

    @routes.get("/v1/health")
    async def health() -> dict[str, Any]:
        """Whether the recorder answers. Needs no token and tells nothing else."""
        await pulse()
        return {"recorder": "ok"}

    @routes.get("/metrics")
    async def measured(request: Request) -> Response:
        """Prometheus metrics, for this machine itself or a token for it; what a proxy passes on needs the token."""
        if "authorization" in request.headers or not _from_here(request):
            desk.door.bearer(request, Right.ADMIN, Right.METRICS)
        try:
            stats = await desk.recorder.ask(op="stats")
        except NoAnswer:
            stats = None
        return Response(desk.metrics.text(stats, await desk.livetext.stats()), media_type=CONTENT_TYPE)

    return routes


class Pulse:
    """Asks whether the recorder lives at most once a second, however many want to know: presses must not queue behind
    those who need no token for that."""

    def __init__(self, ask: Callable[[], Coroutine[Any, Any, Any]], monotonic: Callable[[], float] = time.monotonic):
        self._ask, self._monotonic = ask, monotonic
        self._asked: asyncio.Task[Any] | None = None
        self._at_s = 0.0

    async def __call__(self) -> None:
        """Raises as `ask` does."""
        if self._asked is None or (self._asked.done() and self._monotonic() - self._at_s >= PULSE_S):
            self._asked, self._at_s = asyncio.create_task(self._ask()), self._monotonic()
        await asyncio.shield(self._asked)


def _from_here(request: Request) -> bool:
    """Whether this machine itself asks, for itself."""
    passed_on = {"forwarded", "x-forwarded-for", "via"} & set(request.headers)
    return not passed_on and request.client is not None and request.client.host in LOOPBACK
