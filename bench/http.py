"""HTTP/1.1 as a phone speaks it: one connection kept open, one small request at a time, and nothing that takes long.

What is measured is the desk, and not a client library that needs as long as the desk.
"""

import asyncio
import json
from typing import Any


class Line:
    """A connection to a server on this machine. One request at a time."""

    def __init__(self, port: int, token: str) -> None:
        self._port, self._token = port, token
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> bytes:
        """The body of the answer. Raises RuntimeError unless its status is 200."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        sent = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: desk\r\nContent-Length: {len(sent)}\r\n"
        head += "Content-Type: application/json\r\n" if sent else ""
        head += f"Authorization: Bearer {self._token}\r\n" if self._token else ""
        writer.write(head.encode() + b"\r\n" + sent)
        status, *fields = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        lengths = [
            int(value) for name, _, value in (f.partition(":") for f in fields) if name.lower() == "content-length"
        ]
        answer = await reader.readexactly(lengths[0])
        if status.split()[1] != "200":
            raise RuntimeError(f"{method} {path.split('/')[1]}…: {status} {answer[:200]!r}")
        return answer

    def close(self) -> None:
        """Hang up."""
        if self._streams is not None:
            self._streams[1].close()
