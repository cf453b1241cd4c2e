"""Client transactions of the probe: send a request, hear its final response (RFC 3261 §17.1)."""

import asyncio
import ssl
from collections.abc import Callable

import structlog
from aiosipua.message import SipMessage, SipRequest, SipResponse

from agent.config import Endpoint
from agent.probe.refusal import unanswered, unreachable
from agent.probe.wire import wire_to

T1_S = 0.5
T2_S = 4.0
"""First and longest interval between retransmissions over UDP (RFC 3261 §17.1.1.1)."""
RINGING_S = 32.0
"""How long a provisional response lets an INVITE wait for the final one."""

log = structlog.get_logger()


class Client:
    """Requests out, responses back, over one wire. Requests that come in go to `on_request`, which answers."""

    def __init__(
        self, target: Endpoint, on_request: Callable[[SipRequest], bytes | None], tls: ssl.SSLContext | None = None
    ) -> None:
        self._where = f"{target.transport}:{target.host}:{target.port}"
        self._wire = wire_to(target, self._receive, self._broken, tls)
        self._on_request = on_request
        self._waiting: dict[str, asyncio.Queue[SipResponse | OSError]] = {}
        self._acks: dict[str, bytes] = {}
        self._sending: set[asyncio.Task[None]] = set()
        self._served = False
        self.local: tuple[str, int] = ("", 0)

    async def open(self) -> None:
        """Open the wire. Raises ProbeRefused when nothing is there."""
        try:
            self.local = await self._wire.open()
        except OSError as error:
            raise unreachable(self._where, error) from None

    def close(self) -> None:
        """Close the wire."""
        self._wire.close()

    async def send(self, message: bytes) -> None:
        """Send what expects no response. Raises ProbeRefused when nothing is there."""
        try:
            await self._wire.send(message)
        except OSError as error:
            raise unreachable(self._where, error) from None

    async def acknowledge(self, branch: str, ack: bytes) -> None:
        """Send the ACK for the INVITE with this branch, and again whenever its final response comes again."""
        self._acks[branch] = ack
        await self.send(ack)

    async def request(self, method: str, branch: str, message: bytes, timeout_s: float) -> SipResponse:
        """The final response, whatever it says. Raises ProbeRefused when none comes or nothing is there.

        A connection that served may have been closed before we knew it, as by a recorder that was restarted: what was
        sent into it is sent once more over a new one, under the same branch, so that it is known for the same.
        """
        heard: asyncio.Queue[SipResponse | OSError] = asyncio.Queue()
        self._waiting[branch] = heard
        loop = asyncio.get_running_loop()
        deadline, interval, again = loop.time() + timeout_s, T1_S, not self._wire.reliable
        may_reconnect = self._wire.reliable and self._served
        try:
            await self.send(message)
            while True:
                left = deadline - loop.time()
                if left <= 0:
                    raise unanswered(method, timeout_s)
                try:
                    async with asyncio.timeout(min(left, interval) if again else left):
                        response = await heard.get()
                except TimeoutError:
                    if again and loop.time() < deadline:
                        await self.send(message)
                        interval = interval * 2 if method == "INVITE" else min(interval * 2, T2_S)
                    continue
                if isinstance(response, OSError):
                    if not may_reconnect:
                        raise unreachable(self._where, response)
                    may_reconnect = False
                    try:
                        async with asyncio.timeout(max(0.0, deadline - loop.time())):
                            await self.send(message)
                    except TimeoutError:
                        raise unanswered(method, timeout_s) from None
                    continue
                if response.status_code >= 200:
                    return response
                if method == "INVITE":
                    again, deadline = False, max(deadline, loop.time() + RINGING_S)
        finally:
            del self._waiting[branch]

    def _receive(self, data: bytes) -> None:
        try:
            message = SipMessage.parse(data)
            branch = message.via[0].params.get("branch") or "" if message.via else ""
        except (ValueError, IndexError) as error:
            log.warning("probe.unreadable", reason=str(error)[:120], size_bytes=len(data))
            return
        self._served = True
        if isinstance(message, SipRequest):
            answer = self._on_request(message)
            if answer is not None:
                self._later(answer)
        elif branch in self._waiting:
            self._waiting[branch].put_nowait(message)
        elif message.status_code >= 200 and branch in self._acks:
            self._later(self._acks[branch])

    def _broken(self, error: OSError) -> None:
        for heard in self._waiting.values():
            heard.put_nowait(error)

    def _later(self, message: bytes) -> None:
        async def send() -> None:
            try:
                await self._wire.send(message)
            except OSError as error:
                log.warning("probe.unsent", reason=str(error))

        task = asyncio.get_running_loop().create_task(send())
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)
