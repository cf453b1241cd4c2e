"""The live calls of the tap: begun, changed and ended here, each step told to the recorder, in order.

Snapshots are made in the loop's thread whenever a call changes, so that the media thread only has to look one up.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace

import structlog

from agent.config import Siprec, Site
from agent.model.call import Call, Direction, MediaStream, Party
from agent.model.events import CallChanged, CallEnded, CallStarted
from agent.model.gate import GateCommand, GateVerb
from agent.sip.dialog import Dialog, DialogTable
from agent.sip.errors import SipError
from agent.sip.metadata import Metadata, merge
from agent.sip.sdp import Description
from agent.tap.siprec.contract import CallListener, Clock, PortLender
from agent.tap.siprec.forks import Fork
from agent.tap.siprec.people import Numbers, direction_of, from_fork, from_headers, from_metadata
from agent.tap.siprec.secrecy import StreamSecret
from agent.tap.siprec.session import Session, restore_legs, snapshot_legs
from agent.tap.siprec.streams import Slots, Taken, of_side, settle, take

SIPREC_CAUSE = "siprec"

log = structlog.get_logger()


class Calls:
    """Sessions by dialog and by call id. A call has one session, or two when it comes as two forks."""

    def __init__(
        self, site: Site, ports: PortLender, listener: CallListener, clock: Clock, settings: Siprec | None = None
    ) -> None:
        self._agents = site.agents
        settings = settings or Siprec()
        self._fork_window_ns = int(settings.fork_window_s * 1e9)
        self._inactive_pauses = settings.inactive_pauses
        self._ports = ports
        self._listener = listener
        self._clock = clock
        self._sessions: dict[str, list[Session]] = {}
        self._forks: dict[tuple[str, str], Session] = {}
        """The first leg of each conversation that another may still join, by gateway and the key of its fork."""
        self._by_tag: dict[str, Session] = {}
        self._snapshots: dict[str, bytes] = {}
        self.media_host = ""
        self.dialogs = DialogTable()

    def __len__(self) -> int:
        return len(self._sessions)

    def all(self) -> list[Session]:
        """The live sessions, oldest first."""
        return [leg for legs in self._sessions.values() for leg in legs]

    def of(self, dialog: Dialog) -> Session | None:
        """The session a dialog belongs to."""
        return self._by_tag.get(dialog.local_tag)

    def snapshot(self, call_id: str) -> bytes:
        """See Srs.snapshot; may be called from any thread."""
        return self._snapshots.get(call_id, b"")

    # ---- media

    def take(
        self,
        description: Description,
        streams: Sequence[MediaStream],
        slots: Slots,
        lent: list[int],
        secrets: Mapping[int, StreamSecret],
        *,
        whole: bool,
        others: frozenset[int] = frozenset(),
    ) -> Taken:
        """Apply an offer, borrowing ports as needed (`lent` collects them); the ports learn their keys.

        Raises SipError 503 when `whole` and a port is lacking: then nothing stays borrowed; otherwise such an m-line is
        refused and the rest goes on.
        """

        def lend() -> int | None:
            try:
                port = self._ports.lend(self.media_host)
            except OSError as error:
                if whole:
                    self.give_back(lent)
                    raise SipError(503, "no media port") from error
                log.error("siprec.no_media_port")
                return None
            lent.append(port)
            return port

        taken = take(description, streams, slots, self.media_host, lend, secrets, others)
        for stream in taken.streams:
            secret = taken.secrets.get(stream.stream)
            if secret != secrets.get(stream.stream):
                self._ports.secure(stream.port, secret.theirs.key if secret else None)
        return taken

    def give_back(self, ports: list[int]) -> None:
        """Ports that no stream uses any more."""
        for port in ports:
            self._ports.give_back(port)
        ports.clear()

    # ---- life of a call

    def new_call(self, gateway: str, reference: str, numbers: Numbers) -> Call:
        """A call that begins now, without parties or streams yet."""
        now_ns = self._clock.time_ns()
        call_id = f"{now_ns // 1_000_000 & 0xFFFF_FFFF_FFFF:012x}{secrets.token_hex(10)}"
        return Call(call_id, reference, "siprec", gateway, now_ns, queue=numbers.queue, did=numbers.did)

    def first_leg(self, gateway: str, fork: Fork) -> Session | None:
        """The live leg that a new one of this fork joins: from the same gateway, of the other side, alone, and not
        begun long ago unless its key is only used once."""
        first = self._forks.get((gateway, fork.key))
        if first is None or self._sessions.get(first.call_id) != [first] or first.fork is None:
            return None
        if fork.side is not None and fork.side is first.fork.side:
            return None
        age_ns = self._clock.time_ns() - first.call.started_ns
        return first if fork.lasting or abs(age_ns) <= self._fork_window_ns else None

    def others(self, session: Session) -> frozenset[int]:
        """The streams of the call that are not this session's business."""
        legs = self._sessions.get(session.call_id, [])
        if session.fork is None or not legs:
            return frozenset()
        return frozenset(s.stream for s in session.call.streams) - session.own

    def people(
        self, before: Sequence[Party], metadata: Metadata | None, numbers: Numbers, fork: Fork | None, *, told: bool
    ) -> tuple[tuple[Party, ...], Direction]:
        """Parties and direction as metadata, or else the headers, have them; `told`: the parties know of the fork."""
        now_ns = self._clock.time_ns()
        if metadata is not None and metadata.participants:
            parties = from_metadata(before, metadata, self._agents, now_ns)
        elif fork is not None:
            parties = tuple(before) if told else from_fork(before, fork, self._agents, now_ns)
            return parties, direction_of(parties, None)
        else:
            parties = tuple(before) or from_headers(numbers, self._agents, now_ns)
        return parties, direction_of(parties, numbers.caller)

    def begin(self, session: Session) -> None:
        """A call was accepted and its ports are bound: tell the recorder."""
        self._add(session)
        if session.started:
            self._announce(session)

    def join(self, session: Session, first: Session) -> None:
        """A second leg was accepted and its port is bound: its stream is one more of the call."""
        self._add(session)
        self._no_more_legs(first)
        session.started = first.started
        before, session.call = session.call, first.call
        self.change(session, None, before.streams)
        if not session.started and not session.expects_answer:
            self.started(session)  # the first leg's media are settled later, or never

    def _add(self, session: Session) -> None:
        legs = self._sessions.setdefault(session.call_id, [])
        legs.append(session)
        if session.fork is not None and len(legs) == 1:
            self._forks[session.call.gateway, session.fork.key] = session
        self._by_tag[session.dialog.local_tag] = session
        self.dialogs.add(session.dialog)

    def started(self, session: Session) -> None:
        """A call whose media were settled only by the ACK begins now."""
        call = replace(session.call, started_ns=self._clock.time_ns())
        for leg in self._sessions[session.call_id]:
            leg.started, leg.call = True, call
        self._announce(session)

    def _announce(self, session: Session) -> None:
        self._remember(session)
        log.info("call.started", call=session.call_id, gateway=session.call.gateway, streams=len(session.call.streams))
        self._listener.on_event(CallStarted(session.call))
        self._stopped((), session.call)

    def change(self, session: Session, metadata: Metadata | None, streams: Sequence[MediaStream] | None = None) -> None:
        """Merge what a re-INVITE or UPDATE brought and, if anything is different now, tell the recorder."""
        before = session.call
        if metadata is not None:
            session.metadata = merge(session.metadata, metadata)
        fork, told = session.fork, session.fork == session.told
        session.told = fork
        parties, direction = self.people(before.parties, session.metadata, session.numbers, fork, told=told)
        sole = parties[0].participant_id if len(parties) == 1 and session.metadata is None else None
        streams = before.streams if streams is None else streams
        legs = self._sessions.get(session.call_id, [session])
        for leg in legs:
            if leg.fork is not None:
                streams = of_side(streams, leg.own, leg.fork, parties)
        settled = settle(streams, session.metadata, sole)
        for leg in legs:
            leg.call = replace(before, parties=parties, streams=settled, direction=direction)
        self._remember(session)
        if session.started and session.call != before:
            log.info("call.changed", call=session.call_id, parties=len(parties), streams=len(settled))
            self._listener.on_event(CallChanged(session.call_id, self._clock.time_ns(), parties, settled, direction))
            self._stopped(before.streams, session.call)

    def _stopped(self, before: Sequence[MediaStream], call: Call) -> None:
        """A gateway that makes every stream inactive, or removes it, has paused the session (RFC 7866 §7.1.1.1). What
        came before is not taken back."""
        stopped = is_stopped(call.streams)
        if not self._inactive_pauses or stopped is is_stopped(before):
            return
        verb = GateVerb.PAUSE if stopped else GateVerb.RESUME
        reason = f"session {'stopped' if stopped else 'resumed'} by the gateway"
        actor = f"gateway:{call.gateway}"
        command = GateCommand(call.call_id, verb, actor, reason, cause=SIPREC_CAUSE, reaches_back=False)
        self._listener.on_press(command)

    def now(self, session: Session, call: Call) -> None:
        """What is known of a call beside its parties and streams has changed."""
        for leg in self._sessions.get(session.call_id, [session]):
            leg.call = call
        self._remember(session)

    def refreshed(self, session: Session) -> None:
        """The dialog changed, though nothing of the call did."""
        self._remember(session)

    def alive(self, session: Session) -> None:
        """A sign of life: the session timer (RFC 4028) begins again."""
        timer = session.timer
        wait = timer.patience_s if timer.peer_refreshes else timer.refresh_s
        session.ends_at = self._clock.monotonic() + wait if timer.interval_s else 0.0

    def end(self, session: Session, cause: str) -> bool:
        """The session is over; its ports go back once the recorder has been told. False when it was over already."""
        legs = self._sessions.get(session.call_id, [])
        if session not in legs:
            return False
        legs.remove(session)
        self._no_more_legs(session)
        self._by_tag.pop(session.dialog.local_tag, None)
        self.dialogs.remove(session.dialog)
        if legs:
            self._leg_ended(session, legs)
            return True
        del self._sessions[session.call_id]
        if session.started:
            self._listener.on_event(CallEnded(session.call_id, self._clock.time_ns(), cause))
        self.give_back(session.ports)
        self._snapshots.pop(session.call_id, None)
        return True

    def _no_more_legs(self, session: Session) -> None:
        key = (session.call.gateway, session.fork.key if session.fork else "")
        if self._forks.get(key) is session:
            del self._forks[key]

    def _leg_ended(self, session: Session, legs: list[Session]) -> None:
        """The other leg goes on: what this one described is silent from now on."""
        before = session.call
        streams = tuple(replace(s, active=False) if s.stream in session.own else s for s in before.streams)
        for leg in legs:
            leg.call = replace(before, streams=streams)
        self._remember(legs[0])
        if session.started:
            now_ns = self._clock.time_ns()
            self._listener.on_event(CallChanged(before.call_id, now_ns, before.parties, streams, before.direction))
            self._stopped(before.streams, legs[0].call)
        self.give_back(session.ports)

    def restore(self, data: bytes) -> None:
        """See Srs.restore."""
        legs = restore_legs(data)
        if legs[0].call_id in self._sessions:
            raise ValueError("this call is live already")
        for session in legs:
            for stream in session.call.streams:
                if secret := session.secrets.get(stream.stream):
                    self._ports.secure(stream.port, secret.theirs.key)
            self.alive(session)
            self._add(session)
        self._remember(legs[0])

    def forget_all(self) -> None:
        """The tap stops: calls stay open in the capture log, to be taken up by the next start."""
        self._sessions.clear()
        self._forks.clear()
        self._by_tag.clear()
        self._snapshots.clear()
        self.dialogs = DialogTable()

    def _remember(self, session: Session) -> None:
        self._snapshots[session.call_id] = snapshot_legs(self._sessions.get(session.call_id, [session]))


def is_stopped(streams: Sequence[MediaStream]) -> bool:
    """Whether there are streams and none of them sends."""
    return bool(streams) and not any(s.active for s in streams)
