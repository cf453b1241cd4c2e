"""How the desk listens: HTTP/1.1 with limits on heads, bodies, connections and patience, over TLS off loopback."""

import asyncio
import ssl

import h11
import structlog
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from agent.config import Settings
from agent.desk.tls import TlsUnusable, identity_of

log = structlog.get_logger()

MOST_HEAD = 16 << 10
HEAD_S = 10.0
"""From a connection, or the first byte of a request, to the end of its head."""
KEEP_ALIVE_S = 30
STOP_S = 2
MOST_CONNECTIONS = 10_000


class PatientProtocol(H11Protocol):
    """HTTP/1.1 that closes a connection whose head of a request does not come in time."""

    _impatience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The head of the first request is due."""
        super().connection_made(transport)
        self._show_certificate(transport)
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """More of a head, or of a body, which `SmallBodies` has an eye on."""
        super().data_received(data)
        if self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]:
            self._wait_for_head()
        elif self.cycle is not None and self._impatience is not None:
            self._impatience.cancel()
            self._impatience = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is due any more."""
        if self._impatience is not None:
            self._impatience.cancel()
        super().connection_lost(exc)

    def _show_certificate(self, transport: asyncio.Transport) -> None:
        """Tell the application the client's certificate, as ASGI's TLS extension does."""
        tls = transport.get_extra_info("ssl_object")
        shown = tls.getpeercert(binary_form=True) if tls is not None else None
        if shown is None:
            return
        inner, chain = self.app, [ssl.DER_cert_to_PEM_cert(shown)]

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            extensions = {**scope.get("extensions", {}), "tls": {"client_cert_chain": chain}}
            await inner({**scope, "extensions": extensions}, receive, send)

        self.app = app

    def _wait_for_head(self) -> None:
        if self._impatience is None:
            self._impatience = self.loop.call_later(HEAD_S, self.transport.close)


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """TLS 1.2 or later with the desk's certificate; None where it speaks in clear. Raises TlsUnusable."""
    identity = identity_of(settings)
    if identity is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    identity.load_into(context)
    if settings.puller and settings.desk.tls_client_ca is not None:
        try:
            context.load_verify_locations(settings.desk.tls_client_ca)
        except OSError as error:  # ssl.SSLError among them
            raise TlsUnusable(f"desk: {settings.desk.tls_client_ca} cannot be used: {error.strerror}") from None
        context.verify_mode = ssl.CERT_OPTIONAL
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    log.info("desk.tls", certificate_sha256=identity.fingerprint(), made_here=identity.made_here)
    return context


def listen(settings: Settings, app: ASGIApp) -> None:
    """Serve until SIGTERM."""
    context = tls_context(settings)
    config = uvicorn.Config(
        app,
        host=settings.desk.host,
        port=settings.desk.port,
        http=PatientProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=STOP_S,
        h11_max_incomplete_event_size=MOST_HEAD,
        ssl_context_factory=None if context is None else lambda _config, _default: context,
    )
    if context is None and settings.desk.tls == "off":
        log.warning("desk.clear", why="desk.tls is off: something else must encrypt")
    log.info("desk.ready", host=settings.desk.host, port=settings.desk.port, tls=context is not None)
    uvicorn.Server(config).run()
