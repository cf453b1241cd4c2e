"""Sockets under the probe's SIP: one UDP socket, or one connection (TCP, TLS) that is opened again when it broke.

SIP over TCP is framed by Content-Length (RFC 3261 §18.3).
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Callable

from agent.config import Endpoint

_HEAD_LIMIT = 65536
_BODY_LIMIT = 1 << 20
_LENGTH = re.compile(rb"^(?:content-length|l)[ \t]*:[ \t]*(\d{1,7})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)

Receive = Callable[[bytes], None]
Broken = Callable[[OSError], None]


def local_address(target: Endpoint) -> str:
    """Our address towards `target`, as the kernel routes. Raises OSError."""
    family = socket.AF_INET6 if ":" in target.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((target.host, target.port or 5060))
        found: str = probe.getsockname()[0]
        return found


class UdpWire(asyncio.DatagramProtocol):
    """A connected UDP socket, so that a closed port is told (ICMP)."""

    reliable = False

    def __init__(self, target: Endpoint, receive: Receive, broken: Broken) -> None:
        self._target, self._receive, self._broken = target, receive, broken
        self._transport: asyncio.DatagramTransport | None = None

    async def open(self) -> tuple[str, int]:
        """Bind; returns our address."""
        loop = asyncio.get_running_loop()
        remote = (self._target.host, self._target.port)
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, remote_addr=remote)
        host, port = self._transport.get_extra_info("sockname")[:2]
        return host, port

    async def send(self, message: bytes) -> None:
        """Send one message."""
        if self._transport is not None:
            self._transport.sendto(message)

    def close(self) -> None:
        """Close the socket."""
        if self._transport is not None:
            self._transport.close()

    def datagram_received(self, data: bytes, addr: object) -> None:
        """A message, or a keep-alive of nothing but line ends."""
        if data.strip():
            self._receive(data)

    def error_received(self, exc: Exception) -> None:
        """The port is closed."""
        self._broken(exc if isinstance(exc, OSError) else OSError(str(exc)))


class TcpWire:
    """A TCP connection to the target, in TLS when there is a context; `send` opens a new one when the last is gone."""

    reliable = True

    def __init__(self, target: Endpoint, receive: Receive, broken: Broken, tls: ssl.SSLContext | None = None) -> None:
        self._target, self._receive, self._broken, self._tls = target, receive, broken, tls
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._opening = asyncio.Lock()

    async def open(self) -> tuple[str, int]:
        """Connect; returns our address. Raises OSError."""
        reader, writer = await asyncio.open_connection(
            self._target.host, self._target.port, limit=_HEAD_LIMIT, ssl=self._tls
        )
        self._writer = writer
        self._reading = asyncio.create_task(self._read(reader, writer))
        host, port = writer.get_extra_info("sockname")[:2]
        return host, port

    async def send(self, message: bytes) -> None:
        """Send one message. Raises OSError."""
        async with self._opening:
            if self._writer is None or self._writer.is_closing():
                await self.open()
        if self._writer is not None:
            self._writer.write(message)
            await self._writer.drain()

    def close(self) -> None:
        """Close the connection."""
        if self._reading is not None:
            self._reading.cancel()
        if self._writer is not None:
            self._writer.close()

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        failure = ConnectionResetError("the connection was closed")
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lstrip(b"\r\n")
                if not head:
                    continue
                length = _LENGTH.search(head)
                size = int(length[1]) if length else 0
                if size > _BODY_LIMIT:
                    raise ConnectionError(f"a body of {size} bytes, expected {_BODY_LIMIT} at most")
                self._receive(head + await reader.readexactly(size))
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        except OSError as error:
            failure = ConnectionResetError(str(error))
        finally:
            writer.close()
            self._broken(failure)


Wire = UdpWire | TcpWire


def wire_to(target: Endpoint, receive: Receive, broken: Broken, tls: ssl.SSLContext | None = None) -> Wire:
    """The wire for the target's transport, not yet open. `tls` says whom we trust and who we are."""
    if target.transport == "udp":
        return UdpWire(target, receive, broken)
    if target.transport == "tls":
        return TcpWire(target, receive, broken, tls or ssl.create_default_context())
    return TcpWire(target, receive, broken)
