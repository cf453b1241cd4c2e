"""An Asterisk for benchmarks: its manager interface as a desk hears it (docs.asterisk.org, "AMI v2 Specification")."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

USERNAME, SECRET = "greffier", "bench"


class Pbx:
    """Lets everybody in; what it says comes from the telephone of an agent."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._writer: asyncio.StreamWriter | None = None
        self._serving: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Pbx"]:
        """While it listens."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        try:
            yield self
        finally:
            server.close()
            if self._writer is not None and self._serving is not None:
                self._writer.close()
                await self._serving

    async def user_event(self, agent: str, verb: str) -> None:
        """`UserEvent(Greffier,Action: pause,Extension: 201)` of the dialplan."""
        await self._say("UserEvent", agent, "UserEvent: Greffier", f"Action: {verb}", f"Extension: {agent}")

    async def mute(self, agent: str, verb: str) -> None:
        """`MixMonitorMute` of both directions, or its end."""
        await self._say("MixMonitorMute", agent, "Direction: both", f"State: {int(verb == 'pause')}")

    async def _say(self, event: str, agent: str, *lines: str) -> None:
        await asyncio.wait_for(self._ready.wait(), 60)
        assert self._writer is not None
        head = [f"Event: {event}", "Privilege: user,all", f"Channel: PJSIP/{agent}-0000001a", f"CallerIDNum: {agent}"]
        self._writer.write("\r\n".join([*head, *lines]).encode() + b"\r\n\r\n")
        await self._writer.drain()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"Asterisk Call Manager/7.0.3\r\n")
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while message := (await reader.readuntil(b"\r\n\r\n")).decode():
                fields = dict(line.split(": ", 1) for line in message.strip().split("\r\n"))
                challenge = "Challenge: 148712\r\n" if fields["Action"] == "Challenge" else ""
                writer.write(f"Response: Success\r\nActionID: {fields['ActionID']}\r\n{challenge}\r\n".encode())
                if fields["Action"] == "Login":
                    self._writer, self._serving = writer, asyncio.current_task()
                    self._ready.set()
