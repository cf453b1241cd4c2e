"""A desk that speaks the contract and nothing else, over real sockets: what the desk client is tested against.

It can be frozen, cut, made to fail, made to lie in its events; it counts what it was asked.
"""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Header, HTTPException
from fastapi.responses import StreamingResponse
from running_site import wait_for

AGENT, TOKEN = "2001", "a-token-of-agent-2001"
PAUSED_BY_AGENT = {"evidence": ["agent"]}


class DeskDouble:
    """One agent with at most one call."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.call_id: str | None = "c1"
        self.light = "recording"
        self.causes: dict[str, list[str]] = {}
        self.presses: list[str] = []
        self.questions = 0
        self.failing = 0
        self.frozen = False
        self.lying = False
        self.keeps_alive = True
        self.reasons: list[Any] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listeners: set[asyncio.Queue[tuple[str, Any] | None]] = set()

    # ---- what the test does

    def set(self, light: str, causes: dict[str, list[str]] | None = None, *, call_id: str | None = "c1") -> None:
        """Things stand otherwise now, and everybody is told."""
        self.light, self.causes, self.call_id = light, causes or {}, None if light == "no-call" else call_id
        self.say("state", self.state())

    def say(self, name: str, data: Any) -> None:
        """An event, true or not."""
        self._to_all((name, data))

    def cut(self) -> None:
        """End every event stream."""
        self._to_all(None)

    @property
    def listeners(self) -> int:
        """How many listen to events."""
        return len(self._listeners)

    def state(self) -> dict[str, Any]:
        """The state object of the contract."""
        closed = self.light in ("paused", "warning")
        return {
            "agent": AGENT,
            "light": self.light,
            "call_id": self.call_id,
            "states": {"evidence": self.light},
            "causes": self.causes,
            "paused_s": 3.0 if closed else None,
            "limit_s": 120.0,
        }

    # ---- what it is

    def _to_all(self, said: tuple[str, Any] | None) -> None:
        if self._loop is not None:
            for listener in list(self._listeners):
                self._loop.call_soon_threadsafe(listener.put_nowait, said)

    async def _events(self) -> AsyncIterator[str]:
        mine: asyncio.Queue[tuple[str, Any] | None] = asyncio.Queue()
        self._listeners.add(mine)
        try:
            yield f"event: state\ndata: {json.dumps(self.state())}\n\n"
            while True:
                try:
                    said = await asyncio.wait_for(mine.get(), 0.5)
                except TimeoutError:
                    if self.keeps_alive:
                        yield ": alive\n\n"
                    continue
                if said is None:
                    return
                yield f"event: {said[0]}\ndata: {json.dumps(said[1])}\n\n"
        finally:
            self._listeners.discard(mine)

    async def _guard(self, authorization: str) -> None:
        if authorization != f"Bearer {TOKEN}":
            raise HTTPException(401)
        while self.frozen:
            await asyncio.sleep(0.02)
        if self.failing:
            raise HTTPException(self.failing)

    def app(self) -> FastAPI:
        """The routes."""
        app = FastAPI()

        @app.get("/v1/events")
        async def events(authorization: str = Header("")) -> StreamingResponse:
            self._loop = asyncio.get_running_loop()
            await self._guard(authorization)
            return StreamingResponse(self._events(), media_type="text/event-stream")

        @app.get("/v1/agents/{agent}/state")
        async def state(agent: str, authorization: str = Header("")) -> dict[str, Any]:
            await self._guard(authorization)
            self.questions += 1
            return {**self.state(), "agent": agent}

        @app.post("/v1/agents/{agent}/{verb}")
        async def press(agent: str, verb: str, authorization: str = Header("")) -> dict[str, Any]:
            await self._guard(authorization)
            self.presses.append(verb)
            if self.call_id is None:
                raise HTTPException(404)
            if not self.lying:
                self._pressed(verb)
            return {"call_id": self.call_id, "states": {"evidence": self.light}, "changed": [], "since_s": 1.0}

        return app

    def _pressed(self, verb: str) -> None:
        others = [cause for cause in self.causes.get("evidence", []) if cause != "agent"]
        if verb == "pause":
            self.set("paused", {"evidence": [*others, "agent"]})
        elif verb == "resume":
            self.set("paused" if others else "recording", {"evidence": others} if others else {})


@contextmanager
def serving(double: DeskDouble, *, certificate: Path | None = None, key: Path | None = None) -> Iterator[DeskDouble]:
    """It answers on its port of 127.0.0.1, by TLS when there is a certificate; gone at the end."""
    config = uvicorn.Config(
        double.app(),
        host="127.0.0.1",
        port=double.port,
        log_config=None,
        ssl_certfile=certificate,
        ssl_keyfile=key,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        wait_for("the desk to serve", lambda: server.started)
        yield double
    finally:
        double.frozen = False
        double.cut()
        server.should_exit = True
        thread.join(30)
