"""The live socket: lets in who may listen, and hands the connection on. Format: docs/live-audio.md."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import structlog

from agent.control.server import may_talk

REST_S = 1.0
"""After an accept that failed (no file descriptors left)."""

log = structlog.get_logger()


class LiveDoor:
    """Listens on `path` (mode 0660); `admit` is given each connection, which does not block, and owns it."""

    def __init__(self, path: Path, admit: Callable[[socket.socket], None]) -> None:
        self._path = path
        self._admit = admit
        self._socket: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Bind; a socket file left by a dead recorder is replaced."""
        self._path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        self._socket.bind(str(self._path))
        self._path.chmod(0o660)
        self._socket.listen(4)
        self._accepting = asyncio.create_task(self._accept(self._socket))

    async def stop(self) -> None:
        """Stop listening and remove the file."""
        if self._accepting is not None:
            self._accepting.cancel()
            with suppress(asyncio.CancelledError):
                await self._accepting
        if self._socket is not None:
            self._socket.close()
        self._path.unlink(missing_ok=True)

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(listening)
            except OSError as error:
                log.warning("live.not_accepted", kind=type(error).__name__)
                await asyncio.sleep(REST_S)
                continue
            if may_talk(connection):
                connection.setblocking(False)
                self._admit(connection)
            else:
                log.warning("live.refused", why="the peer is another user")
                connection.close()
