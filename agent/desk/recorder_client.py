"""The desk's side of the recorder's control socket: one connection, one question at a time, reopened when it broke."""

import asyncio
import json
from pathlib import Path
from typing import Any

LIMIT = 16 << 20
PATIENCE_S = 5.0


class RecorderAway(ConnectionError):
    """The recorder does not answer; nothing was done that we know of."""


class RecorderClient:
    """Asks the recorder. Answers with `ok` false raise ValueError with the recorder's words."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, **request: Any) -> dict[str, Any]:
        """The answer to one request. Raises RecorderAway, ValueError."""
        async with self._lock:
            try:
                async with asyncio.timeout(PATIENCE_S):  # `wait_for` of 3.11 may swallow that its caller is cancelled
                    answer = await self._exchange(request)
            except asyncio.CancelledError:
                self._streams = None  # an answer may still be on its way
                raise
            except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
                self._streams = None
                raise RecorderAway(f"the recorder does not answer on {self._path}: {type(error).__name__}") from None
        if not answer.pop("ok"):
            raise ValueError(answer["error"])
        return answer

    async def _exchange(self, request: dict[str, Any]) -> dict[str, Any]:
        if self._streams is None:
            self._streams = await asyncio.open_unix_connection(self._path, limit=LIMIT)
        reader, writer = self._streams
        writer.write(json.dumps(request).encode() + b"\n")
        await writer.drain()
        line = await reader.readuntil(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer
