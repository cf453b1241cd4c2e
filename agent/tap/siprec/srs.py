"""The session recording server: transports, transactions, timers and actions put together (RFC 7866).

Everything runs in one asyncio loop; only `snapshot` is called from another thread. A peer's bad input is answered or
dropped here, and never raises out of the tap.
"""

import asyncio
import time
from contextlib import suppress

import structlog
from aiosipua.message import SipRequest, SipResponse

from agent.config import Siprec, Site
from agent.config.presses import Keys
from agent.sip.errors import SipError
from agent.sip.message import KNOWN_METHODS, METHODS, missing, parse, salvage
from agent.sip.respond import respond
from agent.sip.transaction import Action, Event, ServerTransaction, TransactionTable
from agent.tap.siprec.actions import Actions
from agent.tap.siprec.budget import Budget
from agent.tap.siprec.calls import Calls
from agent.tap.siprec.contract import CallListener, Clock, PortLender
from agent.tap.siprec.door import TlsDoors
from agent.tap.siprec.peers import AllowList, Peer
from agent.tap.siprec.presses import Later, Presses
from agent.tap.siprec.requests import Requests
from agent.tap.siprec.secrecy import Secrecy
from agent.tap.siprec.session import Session
from agent.tap.siprec.transports import TcpTransport, UdpTransport, open_udp

TICK_S = 0.1
EXPIRY_S = 1.0
COMPLAINTS_PER_S = 20
PRESS_S = 1.0
"""A press that the gate has not obeyed by then is answered as failed (500), whatever becomes of it."""

log = structlog.get_logger()


class Srs:
    """One session recording server on all configured addresses.

    `ports` lends media ports, `listener` hears of calls (called in the loop's thread), `time` is the module or alike.
    """

    def __init__(
        self,
        settings: Siprec,
        site: Site,
        ports: PortLender,
        listener: CallListener,
        time: Clock = time,
        keys: Keys = Keys(),  # noqa: B008 - it never changes
    ) -> None:
        self._settings = settings
        self._clock = time
        self._allowed = AllowList(settings.allow)
        self._calls = Calls(site, ports, listener, time, settings)
        self._calls.media_host = settings.media_host
        self._transactions = TransactionTable()
        secrecy = Secrecy(settings.srtp == "require")
        presses = Presses(self._calls, listener, time, settings, keys)
        self._actions = Actions(
            self._calls, self._transactions, time, settings.max_calls, secrecy, settings.fork_headers, presses
        )
        self._waiting: set[asyncio.Task[None]] = set()
        self._requests = Requests(self._calls, time, lambda session: self._hang_up(session, "expired"))
        self._complaints = Budget(COMPLAINTS_PER_S, time)
        self._udp: list[UdpTransport] = []
        self._tcp: list[TcpTransport] = []
        self._doors: list[TlsDoors] = []
        self._bound: list[tuple[str, str, int]] = []
        self._ticker: asyncio.Task[None] | None = None
        self._next_expiry = 0.0

    @property
    def bound(self) -> list[tuple[str, str, int]]:
        """Where it listens: transport, host and real port."""
        return list(self._bound)

    @property
    def media_host(self) -> str:
        """The local address media sockets are to be bound to."""
        return self._calls.media_host

    @property
    def live(self) -> int:
        """How many calls are live."""
        return len(self._calls)

    @property
    def tls_refused(self) -> int:
        """How many connections over TLS were refused since the start."""
        return sum(doors.refused for doors in self._doors)

    async def start(self) -> None:
        """Bind and serve. Raises OSError when an address cannot be bound, TlsUnusable: then nothing stays bound."""
        try:
            for endpoint in self._settings.listen:
                if endpoint.transport == "udp":
                    udp = await open_udp(endpoint, self._receive)
                    self._udp.append(udp)
                    self._bound.append(("udp", *udp.address))
                else:
                    doors = None
                    if endpoint.transport == "tls":
                        doors = TlsDoors(self._settings, self._allowed, self._no_tls)
                        self._doors.append(doors)
                    tcp = TcpTransport(self._receive, self._broken_stream, self._allowed, doors)
                    await tcp.listen(endpoint)
                    self._tcp.append(tcp)
                    self._bound.append((endpoint.transport, *tcp.address))
        except OSError:
            await self.stop()
            raise
        self._requests.use(self._udp, self._tcp)
        self._ticker = asyncio.get_running_loop().create_task(self._tick_forever())

    async def stop(self) -> None:
        """Close every socket. Live calls are not ended: the next start takes them up."""
        if self._ticker is not None:
            self._ticker.cancel()
            with suppress(asyncio.CancelledError):
                await self._ticker
            self._ticker = None
        self._requests.stop()
        for task in self._waiting:
            task.cancel()
        for udp in self._udp:
            udp.close()
        for tcp in self._tcp:
            await tcp.close()
        self._udp, self._tcp, self._bound = [], [], []
        self._calls.forget_all()

    def snapshot(self, call_id: str) -> bytes:
        """What `restore` needs to go on with a live call; b"" when it is unknown. May be called from any thread."""
        return self._calls.snapshot(call_id)

    def restore(self, snapshot: bytes) -> None:
        """Take up a call of before a restart; its media ports are the caller's business. ValueError if unusable."""
        self._calls.restore(snapshot)

    # ---- messages

    def _receive(self, data: bytes, peer: Peer) -> None:
        try:
            self._handle(data, peer)
        except Exception as error:  # no message may bring the tap down; what is wrong then is ours, so say it loudly
            log.error("sip.failed", peer=peer.host, kind=type(error).__name__, exc_info=True)

    def _handle(self, data: bytes, peer: Peer) -> None:
        if peer.host not in self._allowed:
            self._stranger(data, peer)
            return
        try:
            message = parse(data)
        except SipError as error:
            self._garbage(data, error, peer)
            return
        if isinstance(message, SipResponse):
            self._requests.answered(message)
        else:
            self._request(message, peer)

    def _request(self, request: SipRequest, peer: Peer) -> None:
        now = self._clock.monotonic()
        if request.method == "ACK":
            self._ack(request, peer, now)
            return
        lacking = missing(request)
        if lacking is not None:
            log.warning("sip.refused", peer=peer.host, status=400, problem=f"{lacking} is missing")
            if lacking != "Via":
                peer.send(bytes(respond(request, 400, peer.source)))
            return
        if request.method == "CANCEL":
            peer.send(bytes(self._cancel(request, peer)))
            return
        tx = self._transactions.find(request)
        if tx is not None:
            if Action.SEND in self._transactions.happen(tx, Event.AGAIN, now) and tx.response:
                peer.send(tx.response)
            return
        try:
            tx = self._transactions.open(request, peer.reliable, peer, now)
        except SipError as error:
            peer.send(bytes(self._actions.refusal(request, error, peer)))
            return
        response = self._answer(request, peer, tx)
        if isinstance(response, Later):
            task = asyncio.get_running_loop().create_task(self._answer_later(response, request, peer, tx))
            self._waiting.add(task)
            task.add_done_callback(self._waiting.discard)
        else:
            self._finish(response, peer, tx)

    def _finish(self, response: SipResponse, peer: Peer, tx: ServerTransaction) -> None:
        self._transactions.answer(tx, response.status_code, bytes(response), self._clock.monotonic())
        peer.send(tx.response)

    async def _answer_later(self, later: Later, request: SipRequest, peer: Peer, tx: ServerTransaction) -> None:
        """Success once all that was pressed stands, never before; failure where it does not stand in time."""
        standing = [asyncio.wrap_future(future) for future in later.standing]
        await asyncio.wait(standing, timeout=PRESS_S)
        failed = [f for f in standing if not f.done() or f.exception() is not None]
        if not failed:
            self._finish(later.response, peer, tx)
            return
        for future in failed:
            future.add_done_callback(lambda f: f.exception())  # whatever comes of it now
        log.error("sip.press_failed", peer=peer.host, late=sum(not f.done() for f in failed))
        self._finish(self._actions.refusal(request, SipError(500, "the gate did not obey"), peer), peer, tx)

    def _cancel(self, request: SipRequest, peer: Peer) -> SipResponse:
        try:
            return self._actions.cancel(request, peer)
        except SipError as error:
            log.warning("sip.refused", peer=peer.host, status=error.status, problem=str(error))
            return self._actions.refusal(request, error, peer)

    def _answer(self, request: SipRequest, peer: Peer, tx: ServerTransaction) -> SipResponse | Later:
        """The final response, now or later."""
        method = request.method
        try:
            if method not in METHODS:
                raise SipError(405 if method in KNOWN_METHODS else 501, "a method we do not serve")
            return self._actions.by_method[method](request, peer, tx)
        except SipError as error:
            log.warning("sip.refused", peer=peer.host, status=error.status, problem=str(error))
            return self._actions.refusal(request, error, peer)
        except Exception as error:  # what is wrong then is ours: the peer gets its answer all the same
            log.error("sip.failed", peer=peer.host, kind=type(error).__name__, exc_info=True)
            return self._actions.refusal(request, SipError(500, "internal error"), peer)

    def _ack(self, request: SipRequest, peer: Peer, now: float) -> None:
        tx = self._transactions.find(request)
        if tx is not None:
            self._transactions.happen(tx, Event.ACK, now)
        session = self._actions.session_of(request)
        if session is None:
            return
        if session.invite is not None and session.invite is not tx:
            self._transactions.happen(session.invite, Event.ACK, now)
        try:
            self._actions.ack(session, request, peer)
        except SipError as error:
            log.warning("siprec.no_media", call=session.call_id, problem=str(error))
            self._hang_up(session, "no-media")
            return
        if session.cancelled:
            self._hang_up(session, "cancelled")

    def _garbage(self, data: bytes, error: SipError, peer: Peer) -> None:
        """What cannot be read gets the answer it deserves, as far as one can be made of it."""
        if not self._complaints.take():
            return
        log.warning("sip.garbage", peer=peer.host, status=error.status, problem=str(error))
        request = salvage(data)
        if request is not None and request.method != "ACK" and missing(request) is None:
            peer.send(bytes(respond(request, error.status, peer.source)))

    def _broken_stream(self, error: SipError, peer: Peer) -> None:
        if self._complaints.take():
            log.warning("sip.garbage", peer=peer.host, status=error.status, problem=str(error))

    def _no_tls(self, host: str, why: str) -> None:
        if self._complaints.take():
            log.warning("sip.tls_refused", peer=host, problem=why, total=self.tls_refused)

    def _stranger(self, data: bytes, peer: Peer) -> None:
        """Not on `siprec.allow`: 403, and little effort."""
        if not self._complaints.take():
            return
        log.warning("sip.stranger", peer=peer.host)
        request = salvage(data)
        if request is not None and request.method != "ACK" and missing(request) is None:
            peer.send(bytes(respond(request, 403, peer.source)))

    # ---- time

    async def _tick_forever(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            try:
                self._tick(self._clock.monotonic())
            except Exception as error:  # timers must go on for all other calls
                log.error("sip.failed", kind=type(error).__name__, exc_info=True)

    def _tick(self, now: float) -> None:
        for tx, action in self._transactions.due(now):
            if action is Action.SEND:
                tx.owner.send(tx.response)
            else:
                for session in [s for s in self._calls.all() if s.invite is tx]:
                    self._hang_up(session, "no-ack")
        self._requests.tick(now)
        if now < self._next_expiry:
            return
        self._next_expiry = now + EXPIRY_S
        for session in [s for s in self._calls.all() if 0 < s.ends_at <= now]:
            if session.timer.peer_refreshes:
                self._hang_up(session, "expired")
            else:
                self._requests.refresh(session)

    def _hang_up(self, session: Session, cause: str) -> None:
        """End a session from our side."""
        if self._calls.end(session, cause):
            self._requests.bye(session)
