"""A process's control socket: one JSON object a line in, one a line out; only our user and group and root may talk.

Requests such as `{"op": "gate", "call": ID | "agent": NUMBER, "verb": "pause", "actor": "cli:root", …}` to the recorder
(`agent.recorder.questions`). Answers carry `ok`, and `error` in words when it is false.
The answer to `watch` has no end: a line for everything that happens.
"""

import asyncio
import json
import os
import select
import socket
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import structlog

from agent.control.watching import Watcher

MAX_LINE = 65536
_UCRED = struct.Struct("3i")

Answer = dict[str, Any] | Watcher
Handler = Callable[[dict[str, Any]], Awaitable[Answer]]

log = structlog.get_logger()


class ControlSocket:
    """Listens on `path` (mode 0660) and passes each request to `handler`, whose KeyError, ValueError and LookupError
    become answers with `ok` false."""

    def __init__(self, path: Path, handler: Handler) -> None:
        self._path = path
        self._handler = handler
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Bind; a socket file left by a process that died is replaced."""
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, self._path, limit=MAX_LINE)
        self._path.chmod(0o660)

    async def stop(self) -> None:
        """Stop listening and remove the file."""
        if self._server:
            self._server.close()
        self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if not may_talk(writer.get_extra_info("socket")):
                log.warning("control.refused", why="the peer is another user")
                return
            while line := await reader.readline():
                if hung_up(writer.get_extra_info("socket")):
                    log.warning("control.given_up", why="the peer did not wait for the answer")
                    return
                answer = await self._answer(line)
                if not isinstance(answer, dict):
                    await _stream(answer, reader, writer)
                    return
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError):  # gone, or a line beyond the limit
            return
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> Answer:
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise ValueError("expected a JSON object")
            answer = await self._handler(request)
            return {"ok": True, **answer} if isinstance(answer, dict) else answer
        except KeyError as error:
            return {"ok": False, "error": f"missing or unknown field {error}"}
        except (LookupError, TypeError, OverflowError, ValueError) as error:
            return {"ok": False, "error": str(error)}


async def _stream(news: Watcher, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Write news until there are none, or the peer goes or says anything more, or does not read what it is told."""

    async def write() -> None:
        async for one in news:
            writer.write(json.dumps(one).encode() + b"\n")
            await writer.drain()

    tasks = [asyncio.ensure_future(one) for one in (write(), reader.readline(), news.cut_off())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        news.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        writer.transport.abort()


def may_talk(connection: socket.socket) -> bool:
    """Whether the peer of a Unix socket is root, this user, or of this process's group (SO_PEERCRED, unix(7))."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    _, uid, gid = _UCRED.unpack(raw)
    return uid in (0, os.geteuid()) or gid == os.getegid()


def hung_up(connection: socket.socket) -> bool:
    """Whether the peer is gone altogether (POLLHUP, poll(2)). It has then told its own asker that nothing was done, and
    nothing must be done any more."""
    watched = select.poll()
    watched.register(connection.fileno(), 0)
    return bool(watched.poll(0))
