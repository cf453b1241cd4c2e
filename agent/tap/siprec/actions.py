"""What each SIP method does to a recording session (RFC 3261 §§9–15, RFC 3311 UPDATE, RFC 7866 §7).

Every action answers at once with a final response. An action that raises SipError has changed nothing but what it says;
the caller turns the error into its response.
"""

import random
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import structlog
from aiosipua.message import SipRequest, SipResponse

from agent.model.call import MediaStream
from agent.sip import answer, multipart, sdp
from agent.sip.dialog import allowed, begin
from agent.sip.errors import SipError
from agent.sip.formats import accepted
from agent.sip.message import call_id, cseq, header, tag, tokens
from agent.sip.metadata import Metadata, merge
from agent.sip.respond import ACCEPT, ALLOW, capabilities, respond
from agent.sip.sdp import Description
from agent.sip.timer import MIN_SE_S, SessionTimer, agree, fields
from agent.sip.transaction import Event, ServerTransaction, State, TransactionTable
from agent.tap.siprec.calls import Calls
from agent.tap.siprec.contents import Contents, check_require, contents, unknown_extensions
from agent.tap.siprec.contract import Clock
from agent.tap.siprec.forks import Fork, Side
from agent.tap.siprec.forks import read as fork_of
from agent.tap.siprec.peers import Peer, is_wildcard
from agent.tap.siprec.people import numbers as numbers_of
from agent.tap.siprec.presses import Later, Presses
from agent.tap.siprec.secrecy import Secrecy, own_lines
from agent.tap.siprec.session import Session
from agent.tap.siprec.streams import Taken, of_side, settle

RETRY_AFTER_S = 10
MAX_OFFERED = 8
INFO_TYPES = frozenset({"application/dtmf-relay", "application/dtmf", "application/media_control+xml", "text/plain"})

log = structlog.get_logger()


class Actions:
    """The methods, by name in `by_method`. Each takes the request and its peer, and gives the response."""

    def __init__(
        self,
        calls: Calls,
        transactions: TransactionTable,
        clock: Clock,
        max_calls: int,
        secrecy: Secrecy,
        fork_headers: Sequence[str],
        presses: Presses,
    ) -> None:
        self._calls = calls
        self._transactions = transactions
        self._clock = clock
        self._max_calls = max_calls
        self._secrecy = secrecy
        self._fork_headers = fork_headers
        self._presses = presses
        self.by_method: Mapping[str, Callable[[SipRequest, Peer, ServerTransaction], SipResponse | Later]] = {
            "INVITE": self.invite,
            "UPDATE": self.update,
            "BYE": self.bye,
            "OPTIONS": self.options,
            "INFO": self.info,
        }

    # ---- INVITE

    def invite(self, request: SipRequest, peer: Peer, tx: ServerTransaction) -> SipResponse:
        """Begin a session, or change one."""
        check_require(request)
        session = self.session_of(request)
        if session is not None:
            return self._again(session, request, peer, tx)
        if tag(request, "to"):
            raise SipError(481, "no such dialog")
        found = contents(request)
        fork = self._fork_of(request, found, peer)
        first = self._calls.first_leg(peer.host, fork) if fork is not None else None
        if first is None and len(self._calls) >= self._max_calls:
            raise SipError(503, "siprec.max_calls is reached")
        timer = agree(request)
        lent: list[int] = []
        try:
            return self._begin(request, peer, tx, timer, found, lent, fork, first)
        except Exception:
            self._calls.give_back(lent)
            raise

    def _begin(
        self,
        request: SipRequest,
        peer: Peer,
        tx: ServerTransaction,
        timer: SessionTimer,
        found: Contents,
        lent: list[int],
        fork: Fork | None,
        first: Session | None,
    ) -> SipResponse:
        numbers = numbers_of(request)
        metadata = merge(None, found.metadata) if found.metadata is not None else None
        reference = next((s.session_id for s in metadata.sessions if s.session_id), "") if metadata else ""
        reference = reference or (fork.key if fork is not None else call_id(request))
        call = first.call if first is not None else self._calls.new_call(peer.host, reference, numbers)
        others = frozenset(s.stream for s in call.streams)
        if fork is not None and fork.side is None:  # the first to come counts as the near end
            caller = numbers.caller
            fork = replace(fork, side=Side.FAR, far=caller) if first else replace(fork, side=Side.NEAR, near=caller)
        if found.sdp is not None:
            offer = self._secrecy.read(found.sdp, peer)
            if not offer.usable:
                raise SipError(488, "no audio in the offer can be recorded")
            taken = self._calls.take(offer, call.streams, (), lent, {}, whole=True, others=others)
        else:
            taken = self._own_offer(metadata, lent, call.streams, one=fork is not None)
        if first is None:
            parties, direction = self._calls.people((), metadata, numbers, fork, told=False)
            sole = parties[0].participant_id if len(parties) == 1 and metadata is None else None
            streams = taken.streams
            if fork is not None:
                streams = of_side(streams, frozenset(s for s in taken.slots if s is not None), fork, parties)
            call = replace(call, parties=parties, streams=settle(streams, metadata, sole), direction=direction)
            call = self._presses.begins(call, request)
        else:
            call = replace(call, streams=taken.streams)
        sdp_id = random.getrandbits(31)
        description = answer.write(taken.lines, self._media_address(peer), sdp_id, 1)
        local_tag = secrets.token_hex(8)
        response = self._ok(request, peer, timer, local_tag, description)
        session = Session(
            call,
            begin(request, response, local_tag, peer.source),
            numbers,
            sdp_id,
            taken.slots,
            metadata,
            timer,
            1,
            description,
            request.body,
            peer,
            tx,
            expects_answer=found.sdp is None,
            started=found.sdp is not None,
            ports=lent,
            secrets=taken.secrets,
            fork=fork,
            told=fork if first is None else None,
        )
        self._calls.alive(session)
        if first is None:
            self._calls.begin(session)
        else:
            self._calls.join(session, first)
            self._presses.said(session, request)
        return response

    def _fork_of(self, request: SipRequest, found: Contents, peer: Peer) -> Fork | None:
        """The fork that a first INVITE belongs to. One with metadata, or with more than one stream, is a whole call."""
        if found.metadata is not None or "siprec" in tokens(request, "require"):
            return None
        fork = fork_of(request, self._fork_headers)
        if fork is None or found.sdp is None:
            return fork if fork is not None and fork.side is not None else None
        return fork if sum(m.usable for m in self._secrecy.read(found.sdp, peer).media) == 1 else None

    def _same_fork(self, session: Session, request: SipRequest) -> None:
        """A request inside the dialog of a fork may name another party (a transfer)."""
        said = fork_of(request, self._fork_headers) if session.fork is not None else None
        if session.fork is None or said is None:
            return
        near, far = said.near or session.fork.near, said.far or session.fork.far
        if (near, far) != (session.fork.near, session.fork.far):
            session.fork = replace(session.fork, near=near, far=far)

    def _own_offer(
        self, metadata: Metadata | None, lent: list[int], before: Sequence[MediaStream], *, one: bool
    ) -> Taken:
        """An INVITE without a description: we offer a line for each labelled stream of the metadata, else two, or `one`
        to a fork. `before` are the streams of its other leg."""
        labels = [s.label for s in metadata.streams if s.label][:MAX_OFFERED] if metadata else []
        wanted = sdp.Description(
            tuple(
                sdp.OfferedMedia("audio", 9, "RTP/AVP", (), answer.STATIC_TYPES, sdp.Flow.SENDONLY, label)
                for label in labels or ([""] if one else ["", ""])
            )
        )
        others = frozenset(s.stream for s in before)
        taken = self._calls.take(wanted, before, (), lent, {}, whole=True, others=others)
        crypto = own_lines() if self._secrecy.required else ()
        return replace(taken, lines=tuple(answer.offer(x.port, x.label, crypto=crypto) for x in taken.lines))

    def _again(self, session: Session, request: SipRequest, peer: Peer, tx: ServerTransaction) -> SipResponse:
        """A re-INVITE, or the first INVITE once more under another branch."""
        number = cseq(request)
        if number == session.dialog.remote_cseq and request.body == session.offer_body:
            session.peer = peer
            if not tag(request, "to"):
                session.invite = tx
            return self._ok(request, peer, session.timer, session.dialog.local_tag, session.description)
        timer = agree(request)
        found = contents(request)
        self._same_fork(session, request)
        if found.sdp is None:
            session.expects_answer = True
            description = self._offer_again(session, peer)
            if found.metadata is not None or session.fork is not None:
                self._calls.change(session, found.metadata)
        else:
            session.expects_answer = False
            description = self._apply(session, self._secrecy.read(found.sdp, peer), found.metadata, peer)
        session.invite = tx
        self._presses.said(session, request)
        return self._accept(session, request, peer, timer, description)

    def _offer_again(self, session: Session, peer: Peer) -> bytes:
        streams = {s.stream: s for s in session.call.streams}
        lines = []
        for slot in session.slots:
            stream = streams.get(slot) if slot is not None else None
            if stream is None:
                lines.append(answer.Line("audio", 0, "RTP/AVP", formats=("0",)))
            else:
                now = accepted(stream.every_format)
                others = tuple(c for c in answer.STATIC_TYPES if c.codec is not stream.codec)
                secret = session.secrets.get(stream.stream)
                crypto = (secret.ours,) if secret else own_lines() if self._secrecy.required else ()
                lines.append(answer.offer(stream.port, stream.label, (*now, *others), crypto))
        return self._describe(session, lines, peer)

    def _take(self, session: Session, said: Description) -> Taken:
        """What a description inside the dialog makes of the session's streams."""
        streams, others = session.call.streams, self._calls.others(session)
        secrets = session.secrets
        return self._calls.take(said, streams, session.slots, session.ports, secrets, whole=False, others=others)

    def _apply(self, session: Session, offer: Description, metadata: Metadata | None, peer: Peer) -> bytes:
        if not offer.usable and any(m.kind == "audio" and m.port for m in offer.media):
            raise SipError(488, "no audio in the offer can be recorded")
        taken = self._take(session, offer)
        session.slots, session.secrets = taken.slots, taken.secrets
        self._calls.change(session, metadata, taken.streams)
        return self._describe(session, list(taken.lines), peer)

    def _describe(self, session: Session, lines: list[answer.Line], peer: Peer) -> bytes:
        session.sdp_version += 1
        session.description = answer.write(lines, self._media_address(peer), session.sdp_id, session.sdp_version)
        return session.description

    # ---- others

    def update(self, request: SipRequest, peer: Peer, tx: ServerTransaction) -> SipResponse:
        """New metadata, a new description, both, or just a sign of life."""
        check_require(request)
        session = self.session_of(request)
        if session is None:
            raise SipError(481, "no such dialog")
        timer = agree(request)
        found = contents(request)
        self._same_fork(session, request)
        if found.sdp is not None:
            description = self._apply(session, self._secrecy.read(found.sdp, peer), found.metadata, peer)
        else:
            description = b""
            if found.metadata is not None or session.fork is not None:
                self._calls.change(session, found.metadata)
        self._presses.said(session, request)
        return self._accept(session, request, peer, timer, description)

    def _accept(
        self, session: Session, request: SipRequest, peer: Peer, timer: SessionTimer, description: bytes
    ) -> SipResponse:
        session.dialog.refresh_target(request)
        session.dialog.remote_cseq = max(session.dialog.remote_cseq, cseq(request))
        session.dialog.peer_allows = allowed(request) or session.dialog.peer_allows
        session.offer_body = request.body or session.offer_body
        session.peer = peer
        if timer.interval_s or not session.timer.interval_s:
            session.timer = timer
        self._calls.alive(session)
        self._calls.refreshed(session)
        return self._ok(request, peer, session.timer, session.dialog.local_tag, description)

    def ack(self, session: Session, request: SipRequest, peer: Peer) -> None:
        """The peer has our 2xx. After an offer of ours the ACK carries the answer.

        Raises SipError when that is missing or unusable: the session is to be ended.
        """
        if not session.expects_answer:
            return
        session.expects_answer = False
        found = multipart.bodies(header(request, "content-type"), request.body)
        if found.sdp is None:
            if session.started:
                return
            raise SipError(488, "our offer was not answered")
        description = self._secrecy.read(found.sdp, peer)
        if not description.usable and not session.started:
            raise SipError(488, "no audio in the answer can be recorded")
        taken = self._take(session, description)
        session.secrets = taken.secrets
        self._calls.change(session, None, taken.streams)
        if not session.started:
            self._calls.started(session)

    def bye(self, request: SipRequest, peer: Peer, tx: ServerTransaction) -> SipResponse:
        """The session is over."""
        session = self.session_of(request)
        if session is None:
            raise SipError(481, "no such dialog")
        if session.invite is not None:
            self._transactions.happen(session.invite, Event.ACK, self._clock.monotonic())
        self._calls.end(session, "bye")
        return respond(request, 200, peer.source, to_tag=session.dialog.local_tag)

    def options(self, request: SipRequest, peer: Peer, tx: ServerTransaction) -> SipResponse:
        """A keep-alive, in a dialog or not."""
        session = self.session_of(request)
        if session is None and tag(request, "to"):
            raise SipError(481, "no such dialog")
        if session is not None:
            session.peer = peer
        own = session.dialog.local_tag if session else secrets.token_hex(8)
        return respond(request, 200, peer.source, to_tag=own, fields=self._capabilities(request, peer))

    def info(self, request: SipRequest, peer: Peer, tx: ServerTransaction) -> SipResponse | Later:
        """It may press, or say something of the call: then it is answered when that is so."""
        session = self.session_of(request)
        if session is None:
            raise SipError(481, "no such dialog")
        kind = multipart.media_type(header(request, "content-type"))
        if request.body.strip() and kind not in INFO_TYPES:
            raise SipError(415, "an INFO of a type we do not know")
        session.peer = peer
        standing = self._presses.info(session, request)
        response = respond(request, 200, peer.source, to_tag=session.dialog.local_tag)
        return Later(response, standing) if standing else response

    def cancel(self, request: SipRequest, peer: Peer) -> SipResponse:
        """Answered; every INVITE has had its final response by then, so it changes nothing of the transaction (§9.2).

        A session whose first INVITE was cancelled before its ACK is ended when the ACK comes: nobody wants it.
        """
        tx = self._transactions.find(request)
        if tx is None:
            raise SipError(481, "no such transaction")
        session = self.session_of(request)
        if session is not None and session.invite is tx and tx.state is State.ACCEPTED and not tag(request, "to"):
            session.cancelled = True
        own = session.dialog.local_tag if session else secrets.token_hex(8)
        return respond(request, 200, peer.source, to_tag=own)

    # ---- shared

    def refusal(self, request: SipRequest, error: SipError, peer: Peer) -> SipResponse:
        """The response that an error deserves."""
        more: dict[str, str] = {}
        if error.status == 405:
            more = {"Allow": ALLOW}
        elif error.status == 415:
            more = {"Accept": ACCEPT}
        elif error.status == 420:
            more = {"Unsupported": ", ".join(sorted(unknown_extensions(request)))}
        elif error.status == 422:
            more = {"Min-SE": str(MIN_SE_S)}
        elif error.status == 503:
            more = {"Retry-After": str(RETRY_AFTER_S)}
        session = self.session_of(request)
        own = session.dialog.local_tag if session else secrets.token_hex(8)
        return respond(request, error.status, peer.source, to_tag=own, fields=more)

    def session_of(self, request: SipRequest) -> Session | None:
        """The session a request belongs to, or None."""
        dialog = self._calls.dialogs.find(request)
        return self._calls.of(dialog) if dialog is not None else None

    def _ok(
        self, request: SipRequest, peer: Peer, timer: SessionTimer, local_tag: str, description: bytes
    ) -> SipResponse:
        more = self._capabilities(request, peer) | fields(timer, request)
        return respond(request, 200, peer.source, to_tag=local_tag, fields=more, body=description)

    @staticmethod
    def _capabilities(request: SipRequest, peer: Peer) -> dict[str, str]:
        sips = peer.transport == "tls" and request.uri.lower().startswith("sips:")
        return capabilities(*peer.local, peer.transport, sips=sips)

    def _media_address(self, peer: Peer) -> str:
        host = self._calls.media_host
        return peer.local[0] if is_wildcard(host) else host
