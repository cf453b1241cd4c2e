"""The door of SIP over TLS: nobody's message is read before the handshake has shown who it is (RFC 3261 §26.3.1).

Strangers get no handshake at all; who fails it is counted, and told to `on_refused(host, why)` without secrets.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import cast

from agent.config import Siprec
from agent.tap.siprec.peers import AllowList, plain_host
from agent.tap.siprec.tls import client_context, is_welcome, server_context

HANDSHAKE_S = 5.0
MAX_HANDSHAKES = 256
MAX_EARLY_BYTES = 1 << 18

OnRefused = Callable[[str, str], None]


class TlsDoors:
    """All doors of one listening address. `client` is the context for connections of our own."""

    def __init__(self, settings: Siprec, allowed: AllowList, on_refused: OnRefused) -> None:
        """Raises TlsUnusable."""
        self.server, self.client = server_context(settings), client_context(settings)
        self.allowed = allowed
        self.peers = settings.tls_peers
        self.refused = 0
        self._on_refused = on_refused
        self._open: set[TlsDoor] = set()

    def door(self, make: Callable[[], asyncio.Protocol]) -> "TlsDoor":
        """A door for one accepted connection; behind it, what `make` makes."""
        return TlsDoor(self, make)

    def enter(self, door: "TlsDoor") -> bool:
        """Whether a handshake may begin: not too many at once."""
        if len(self._open) >= MAX_HANDSHAKES:
            return False
        self._open.add(door)
        return True

    def leave(self, door: "TlsDoor") -> None:
        """A handshake is over."""
        self._open.discard(door)

    def refuse(self, host: str, why: str) -> None:
        """Count and tell."""
        self.refused += 1
        self._on_refused(host, why)

    def close(self) -> None:
        """Break off what is under way."""
        for door in list(self._open):
            door.close()


class TlsDoor(asyncio.Protocol):
    """One accepted connection during its handshake. What a peer sends right after it is kept for the connection."""

    def __init__(self, doors: TlsDoors, make: Callable[[], asyncio.Protocol]) -> None:
        self._doors, self._make = doors, make
        self._host = ""
        self._transport: asyncio.Transport | None = None
        self._handshake: asyncio.Task[None] | None = None
        self._early = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        self._transport = cast(asyncio.Transport, transport)
        self._host = plain_host(transport.get_extra_info("peername")[0])
        if self._host not in self._doors.allowed:
            self._doors.refuse(self._host, "not on siprec.allow")
            self._transport.abort()
        elif self._doors.enter(self):
            self._transport.pause_reading()
            self._handshake = asyncio.get_running_loop().create_task(self._shake_hands(self._transport))
        else:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """The first words of a peer whose handshake has just ended."""
        self._early += data
        if len(self._early) > MAX_EARLY_BYTES:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._doors.leave(self)

    def close(self) -> None:
        """Break off."""
        if self._transport is not None:
            self._transport.abort()

    async def _shake_hands(self, transport: asyncio.Transport) -> None:
        loop = asyncio.get_running_loop()
        try:
            secured = await loop.start_tls(
                transport, self, self._doors.server, server_side=True, ssl_handshake_timeout=HANDSHAKE_S
            )
        except OSError as error:
            transport.abort()
            self._doors.refuse(self._host, _reason(error))
            return
        finally:
            self._doors.leave(self)
        if secured is None:
            return  # gone as soon as it had come
        if not is_welcome(secured.get_extra_info("peercert"), self._doors.peers):
            secured.abort()
            self._doors.refuse(self._host, "its certificate is of none of siprec.tls_peers")
            return
        connection = self._make()
        secured.set_protocol(connection)
        connection.connection_made(secured)
        if self._early:
            connection.data_received(self._early)


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return (error.reason or "handshake failed").lower().replace("_", " ")
    return "gone before the handshake was over, or too slow"
