"""What is asked by monitoring: whether the recorder answers, and /metrics."""

from typing import Any

from fastapi import APIRouter, Request, Response

from agent.config.desk import LOOPBACK
from agent.desk.hand import Desk
from agent.desk.metrics import CONTENT_TYPE
from agent.desk.recorder_client import RecorderAway
from agent.model.identity import Right


def router(desk: Desk) -> APIRouter:
    """Routes of monitoring."""
    routes = APIRouter()

    @routes.get("/v1/health")
    async def health() -> dict[str, Any]:
        """Whether the recorder answers. Needs no token and tells nothing else."""
        await desk.ask(op="stats")
        return {"recorder": "ok"}

    @routes.get("/metrics")
    async def measured(request: Request) -> Response:
        """Prometheus metrics, for this machine itself or a token for it; what a proxy passes on needs the token."""
        if "authorization" in request.headers or not _from_here(request):
            desk.door.bearer(request, Right.ADMIN, Right.METRICS)
        try:
            stats = await desk.recorder.ask(op="stats")
        except RecorderAway:
            stats = None
        return Response(desk.metrics.text(stats), media_type=CONTENT_TYPE)

    return routes


def _from_here(request: Request) -> bool:
    """Whether this machine itself asks, for itself."""
    passed_on = {"forwarded", "x-forwarded-for", "via"} & set(request.headers)
    return not passed_on and request.client is not None and request.client.host in LOOPBACK
