"""The requests a recording server sends of its own: BYE when it ends a session, UPDATE or re-INVITE to refresh one.

RFC 3261 §12.2.1 and §15, RFC 4028 §7.4 and §10. They go where the dialog says, over the connection of the last request
while it lives; over TCP and TLS a new one is opened when it does not.
"""

import asyncio
import ipaddress
import secrets
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from aiosipua.message import SipResponse
from aiosipua.utils import bracket_ipv6

from agent.sip.client import ClientTable, ClientTransaction
from agent.sip.message import branch
from agent.sip.respond import capabilities
from agent.sip.transaction import LIFE_S
from agent.tap.siprec.calls import Calls
from agent.tap.siprec.contract import Clock
from agent.tap.siprec.peers import Peer
from agent.tap.siprec.session import Session
from agent.tap.siprec.transports import TcpTransport, UdpTransport

GONE = frozenset({408, 481})
"""Answers to a refresh that mean the peer no longer knows the session (RFC 4028 §10); any other is a sign of life."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Pending:
    """What a request was for: its session and the peer it went to."""

    session: Session
    peer: Peer


class Requests:
    """Sends them, again until they are answered. `on_gone(session)` is told when a refresh shows the peer has gone."""

    def __init__(self, calls: Calls, clock: Clock, on_gone: Callable[[Session], None]) -> None:
        self._calls = calls
        self._clock = clock
        self._on_gone = on_gone
        self._table = ClientTable()
        self._acks: dict[str, tuple[float, Peer, bytes]] = {}
        self._udp: list[UdpTransport] = []
        self._tcp: list[TcpTransport] = []
        self._connecting: set[asyncio.Task[None]] = set()

    def use(self, udp: list[UdpTransport], tcp: list[TcpTransport]) -> None:
        """The transports to send over."""
        self._udp, self._tcp = udp, tcp

    def stop(self) -> None:
        """Forget everything under way."""
        for task in self._connecting:
            task.cancel()
        self._udp, self._tcp, self._table = [], [], ClientTable()

    def bye(self, session: Session) -> None:
        """Tell the peer that the session is over."""
        self._send(session, "BYE")

    def refresh(self, session: Session) -> None:
        """Show the peer a sign of life, and get one back."""
        session.ends_at = self._clock.monotonic() + LIFE_S + 1
        self._send(session, "UPDATE" if "UPDATE" in session.dialog.peer_allows else "INVITE")

    def answered(self, response: SipResponse) -> None:
        """A response came."""
        name, _ = branch(response)
        ack = self._acks.get(name)
        found = self._table.answered(response)
        if found is None:
            if ack is not None and response.status_code >= 200:
                _, peer, data = ack
                peer.send(data)
            return
        pending: Pending = found.owner
        if found.method == "BYE":
            return
        if found.method == "INVITE":
            self._acknowledge(found, pending, response.status_code)
        if response.status_code in GONE:
            self._on_gone(pending.session)
        else:
            self._calls.alive(pending.session)

    def tick(self, now: float) -> None:
        """Send again what is not answered; give up what is too old."""
        again, late = self._table.due(now)
        for tx in again:
            tx.owner.peer.send(tx.data)
        for tx in late:
            if tx.method == "BYE":
                log.warning("sip.bye_unanswered", call=tx.owner.session.call_id)
            else:
                self._on_gone(tx.owner.session)
        for name in [n for n, (until, _, _) in self._acks.items() if until <= now]:
            del self._acks[name]

    # ---- one request

    def _send(self, session: Session, method: str) -> None:
        peer = self._way(session)
        if peer is not None:
            self._send_over(session, method, peer)
            return
        task = asyncio.get_running_loop().create_task(self._connect(session, method))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    def _send_over(self, session: Session, method: str, peer: Peer) -> None:
        name = f"z9hG4bK{secrets.token_hex(12)}"
        fields = {} if method == "BYE" else self._refresh_fields(session, peer)
        body = session.description if method == "INVITE" else b""
        data = bytes(session.dialog.request(method, _via(peer, name), fields, body))
        self._table.send(name, method, data, Pending(session, peer), peer.reliable, self._clock.monotonic())
        peer.send(data)

    def _refresh_fields(self, session: Session, peer: Peer) -> dict[str, str]:
        expires = {"Session-Expires": f"{session.timer.interval_s};refresher=uac"}
        sips = peer.transport == "tls" and session.dialog.target.lower().startswith("sips:")
        return capabilities(*peer.local, peer.transport, sips=sips) | expires

    def _acknowledge(self, tx: ClientTransaction, pending: Pending, status: int) -> None:
        """A 2xx is acknowledged by a transaction of its own, others inside that of the INVITE (§17.1.1.3)."""
        name = f"z9hG4bK{secrets.token_hex(12)}" if status < 300 else tx.branch
        ack = bytes(pending.session.dialog.request("ACK", _via(pending.peer, name), {}))
        self._acks[tx.branch] = (self._clock.monotonic() + LIFE_S, pending.peer, ack)
        pending.peer.send(ack)

    # ---- the way to the peer

    def _way(self, session: Session) -> Peer | None:
        """A way that is open: the connection of the last request, or datagrams. None: connect first."""
        last = session.peer
        if last is not None and last.reliable:
            return last if last.alive() else None
        if not self._udp or (last is None and self._wanted(session) in ("tls", *(t.name for t in self._tcp))):
            return None
        host, port = self._hop(session)
        same = [u for u in self._udp if last is not None and u.address == last.local] or self._udp
        return same[0].peer((host, port))

    async def _connect(self, session: Session, method: str) -> None:
        stream = self._stream(session)
        if stream is None:
            return
        try:
            peer = await stream.connect(*self._hop(session))
        except OSError as error:
            log.warning("sip.unreachable", call=session.call_id, kind=type(error).__name__)
            if method != "BYE":
                self._on_gone(session)
            return
        session.peer = peer
        self._send_over(session, method, peer)

    def _stream(self, session: Session) -> TcpTransport | None:
        """The transport to open a connection by. What came over TLS goes over nothing else."""
        wanted = "tls" if self._wanted(session) == "tls" else "tcp"
        return next((t for t in self._tcp if t.name == wanted), None)

    @staticmethod
    def _wanted(session: Session) -> str:
        """`udp`, `tcp` or `tls`: as it was before, else what the dialog says."""
        return (session.peer.transport if session.peer else session.transport) or session.dialog.transport

    def _hop(self, session: Session) -> tuple[str, int]:
        """Where the dialog says; a host that is a name is not looked up: the gateway's own address is taken then."""
        host, port = session.dialog.next_hop or (session.call.gateway, 5060)
        try:
            return str(ipaddress.ip_address(host)), port
        except ValueError:
            last = session.peer
            return (last.host, last.port) if last is not None and not last.reliable else (session.call.gateway, port)


def _via(peer: Peer, name: str) -> str:
    host, port = peer.local
    return f"SIP/2.0/{peer.transport.upper()} {bracket_ipv6(host)}:{port};branch={name};rport"
