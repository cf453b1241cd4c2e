"""UDP, TCP and TLS as asyncio transports: bytes in, whole messages and their peers out; answers go back as they came.

RFC 3261 §18: responses over the connection of the request, a datagram's to its source (RFC 3581). A TCP connection that
dies ends no call; strangers (not on the allow-list) get few connections, and little time on them; over TLS, none.
"""

import asyncio
import socket
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import structlog

from agent.config import Endpoint
from agent.sip.errors import SipError
from agent.sip.framing import PONG, StreamFramer
from agent.tap.siprec.door import TlsDoors
from agent.tap.siprec.peers import AllowList, Peer, is_wildcard, local_address, plain_host

MAX_CONNECTIONS = 2048
MAX_STRANGERS = 32
STRANGER_S = 5.0
MAX_UNSENT_BYTES = 1 << 20
UDP_BUFFER_BYTES = 4 << 20

log = structlog.get_logger()

OnMessage = Callable[[bytes, Peer], None]
OnRefused = Callable[[SipError, Peer], None]


class UdpTransport(asyncio.DatagramProtocol):
    """One bound UDP socket."""

    def __init__(self, on_message: OnMessage) -> None:
        self._on_message = on_message
        self._transport: asyncio.DatagramTransport | None = None
        self._locals: dict[str, str] = {}
        self.address = ("", 0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is bound."""
        self._transport = cast(asyncio.DatagramTransport, transport)
        sock: socket.socket = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UDP_BUFFER_BYTES)
        host, port = sock.getsockname()[:2]
        self.address = (host, port)

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """One datagram; keep-alives of line ends or zeros are nothing."""
        if data.strip(b"\r\n\0 "):
            self._on_message(data, self.peer(addr))

    def peer(self, addr: tuple[Any, ...]) -> Peer:
        """The peer at a socket address."""
        host = plain_host(addr[0])
        return Peer("udp", host, addr[1], (self._local(host), self.address[1]), lambda data: self._send(data, addr))

    def _local(self, towards: str) -> str:
        if not is_wildcard(self.address[0]):
            return self.address[0]
        if towards not in self._locals:
            if len(self._locals) > 1000:
                self._locals.clear()
            try:
                self._locals[towards] = local_address(towards)
            except OSError:
                return self.address[0]
        return self._locals[towards]

    def _send(self, data: bytes, addr: tuple[Any, ...]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(data, addr)

    def error_received(self, exc: Exception) -> None:
        """An ICMP error for something we sent: the timers of its transaction see to it."""
        log.debug("sip.unreachable", kind=type(exc).__name__)

    def close(self) -> None:
        """Unbind."""
        if self._transport is not None:
            self._transport.close()


class TcpConnection(asyncio.Protocol):
    """One accepted (or opened) connection over TCP or TLS."""

    def __init__(self, server: "TcpTransport") -> None:
        self._server = server
        self._framer = StreamFramer()
        self._transport: asyncio.Transport | None = None
        self.peer: Peer | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, unless there are too many."""
        self._transport = cast(asyncio.Transport, transport)
        sock: socket.socket = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # a gateway that lost its power is noticed
        host, port = transport.get_extra_info("peername")[:2]
        local_host, local_port = transport.get_extra_info("sockname")[:2]
        local = (plain_host(local_host), self._server.address[1] or local_port)
        self.peer = Peer(self._server.name, plain_host(host), port, local, self._send, self._alive, self.close)
        if not self._server.admit(self):
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Some bytes: perhaps some messages."""
        peer = self.peer
        if peer is None:
            return
        try:
            messages = self._framer.feed(data)
        except SipError as error:
            self._server.on_refused(error, peer)
            self.close()
            return
        if self._framer.pings:
            self._send(PONG * min(self._framer.pings, 16))
            self._framer.pings = 0
        for message in messages:
            self._server.on_message(message, peer)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone; calls that came over it go on."""
        self._server.forget(self)

    def _alive(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def _send(self, data: bytes) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            transport.abort()  # it does not read what we send
            return
        transport.write(data)

    def close(self) -> None:
        """Send what is waiting, then close."""
        if self._transport is not None:
            self._transport.close()


class TcpTransport:
    """One listening TCP socket and its connections; behind `doors` they speak TLS."""

    def __init__(
        self, on_message: OnMessage, on_refused: OnRefused, allowed: AllowList, doors: TlsDoors | None = None
    ) -> None:
        self.name = "tls" if doors else "tcp"
        self._doors = doors
        self.on_message = on_message
        self.on_refused = on_refused
        self._allowed = allowed
        self._connections: set[TcpConnection] = set()
        self._strangers = 0
        self._server: asyncio.Server | None = None
        self.address = ("", 0)

    async def listen(self, endpoint: Endpoint) -> None:
        """Bind and accept. Raises OSError."""
        loop = asyncio.get_running_loop()
        make = partial(self._doors.door, self._connection) if self._doors else self._connection
        self._server = await loop.create_server(make, endpoint.host, endpoint.port, reuse_address=True, backlog=512)
        host, port = self._server.sockets[0].getsockname()[:2]
        self.address = (host, port)

    def _connection(self) -> TcpConnection:
        return TcpConnection(self)

    def admit(self, connection: TcpConnection) -> bool:
        """Count a new connection; False when it is one too many."""
        peer = connection.peer
        if peer is None or len(self._connections) >= MAX_CONNECTIONS:
            log.warning("sip.too_many_connections", limit=MAX_CONNECTIONS)
            return False
        if peer.host not in self._allowed:
            if self._strangers >= MAX_STRANGERS:
                return False
            self._strangers += 1
            asyncio.get_running_loop().call_later(STRANGER_S, connection.close)
        self._connections.add(connection)
        return True

    def forget(self, connection: TcpConnection) -> None:
        """A connection is gone."""
        if connection in self._connections:
            self._connections.discard(connection)
            if connection.peer is not None and connection.peer.host not in self._allowed:
                self._strangers -= 1

    async def connect(self, host: str, port: int) -> Peer:
        """A connection of our own, for a request whose connection is gone. Raises OSError."""
        loop = asyncio.get_running_loop()
        context = self._doors.client if self._doors else None
        opening = loop.create_connection(self._connection, host, port, ssl=context)
        _, connection = await asyncio.wait_for(opening, 5.0)
        if connection.peer is None or not connection.peer.alive():
            raise OSError("the connection was closed at once")
        return connection.peer

    async def close(self) -> None:
        """Stop listening and close every connection."""
        if self._server is not None:
            self._server.close()
        if self._doors is not None:
            self._doors.close()
        for connection in list(self._connections):
            connection.close()
        if self._server is not None:
            await self._server.wait_closed()


async def open_udp(endpoint: Endpoint, on_message: OnMessage) -> UdpTransport:
    """A UDP transport bound to `endpoint`. Raises OSError."""
    loop = asyncio.get_running_loop()
    _, protocol = await loop.create_datagram_endpoint(
        lambda: UdpTransport(on_message), local_addr=(endpoint.host, endpoint.port)
    )
    return protocol
