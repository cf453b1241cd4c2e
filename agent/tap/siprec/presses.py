"""Presses and answers that come with SIP inside a recording session: the record key, keys by INFO, consent and tags.

Who presses is known by the dialog: a press must carry our tag, which only those in the dialog have seen, and comes from
an allowed peer. It counts as the agent's whose call it is; where that is not one person, as the gateway's.
"""

from concurrent.futures import Future
from dataclasses import dataclass, replace

import structlog
from aiosipua.message import SipRequest, SipResponse

from agent.config.presses import Keys, SipPresses
from agent.model.call import CLOCK_RATE, Call, Consent, Party, Role
from agent.model.context import ContextNote
from agent.model.gate import GateAnswer, GateCommand, GateVerb
from agent.model.keys import KEY_NAMES, KeyCode
from agent.model.media import KeyPress
from agent.policy.featurecodes import Typing, allowed, read
from agent.sip import info
from agent.sip.errors import SipError
from agent.sip.message import cseq, header, tag
from agent.sip.said import Said, said
from agent.sip.uri import number_of
from agent.tap.siprec.calls import Calls
from agent.tap.siprec.contract import CallListener, Clock
from agent.tap.siprec.forks import Side
from agent.tap.siprec.people import party_of
from agent.tap.siprec.session import Session

_IDENTITIES = ("p-asserted-identity", "remote-party-id")
BY_RECORD, BY_CODE = "record key (SIP INFO)", "feature code (SIP INFO)"

log = structlog.get_logger()

Standing = Future[GateAnswer]


@dataclass(frozen=True, slots=True)
class Later:
    """A response that is only true once all of `standing` are done: until then there is none."""

    response: SipResponse
    standing: tuple[Standing, ...]


class Presses:
    """What requests inside sessions press and say. One asyncio loop."""

    def __init__(self, calls: Calls, listener: CallListener, clock: Clock, settings: SipPresses, keys: Keys) -> None:
        self._calls = calls
        self._listener = listener
        self._clock = clock
        self._settings = settings
        self._codes = keys.codes()
        self._gap_samples = int(keys.gap_s * CLOCK_RATE)
        self._choice_samples = keys.consent_within * CLOCK_RATE

    # ---- INFO

    def info(self, session: Session, request: SipRequest) -> tuple[Standing, ...]:
        """Do what an INFO asks for; what must be done before it is answered.

        Raises SipError, and then nothing has been done: 400 when it cannot be understood, 403 when it may not press,
        500 when a later press has overtaken it (RFC 3261 §12.2.2).
        """
        wanted, may_press = info.record(request), self._settings.info_presses
        key = info.key(request) if self._codes and may_press else None
        if wanted is None and key is None and self.read(request) == Said():
            return ()
        if wanted is not None and not may_press:
            raise SipError(403, "siprec.info_presses is off")
        self._check(session, request)
        standing = self.said(session, request, "info")
        if wanted is not None:
            verbs = (GateVerb.RESUME, GateVerb.KEEP) if wanted else (GateVerb.PAUSE,)
            standing += self._press(session.call_id, verbs, _actor(session, agent_of(session)), BY_RECORD)
        if key is not None:
            standing += self._key(session, request, key)
        return standing

    @staticmethod
    def _check(session: Session, request: SipRequest) -> None:
        if tag(request, "to") != session.dialog.local_tag:
            raise SipError(403, "what presses must carry the tag of the dialog")
        if cseq(request) <= session.pressed_cseq:
            raise SipError(500, "a later request has overtaken this one")
        session.pressed_cseq = cseq(request)

    def _press(self, call_id: str, verbs: tuple[GateVerb, ...], actor: str, reason: str) -> tuple[Standing, ...]:
        return tuple(self._listener.on_press(GateCommand(call_id, verb, actor, reason)) for verb in verbs)

    # ---- keys

    def _key(self, session: Session, request: SipRequest, key: str) -> tuple[Standing, ...]:
        """One key of somebody: if it completes a code, what that does."""
        party = self._who(session, request)
        role = party.role if party else None
        if role is None and self._settings.info_keys != "unknown":
            role = Role(self._settings.info_keys)
        at = (self._clock.time_ns() - session.call.started_ns) * CLOCK_RATE // 1_000_000_000
        may_choose = session.call.consent is Consent.UNKNOWN and at <= self._choice_samples
        codes = allowed(self._codes, role, may_choose=may_choose)
        sender = party.participant_id if party else ""
        press = KeyPress(session.call_id, -1, KEY_NAMES.index(key), max(0, at))
        reading = read(codes, session.typed.get(sender, Typing()), press, self._gap_samples)
        session.typed[sender] = reading.now
        return self._decoded(session, reading.code, party, role) if reading.code else ()

    def _decoded(self, session: Session, code: KeyCode, party: Party | None, role: Role | None) -> tuple[Standing, ...]:
        by = party if role is not Role.AGENT or party else agent_of(session)
        if isinstance(code.does, GateVerb):
            return self._press(session.call_id, (code.does,), _actor(session, by), BY_CODE)
        note = ContextNote(session.call_id, _actor(session, by), "dtmf", consent=code.does)
        self._calls.now(session, replace(session.call, consent=code.does))
        return (self._listener.on_context(note),)

    def _who(self, session: Session, request: SipRequest) -> Party | None:
        """Whose keys an INFO tells of: the party at the end this leg forks, or whom the request names."""
        present = _present(session.call)
        if session.fork is not None and session.fork.side is not None:
            return party_of(present, session.fork.side)
        named = {number_of(header(request, name)) for name in _IDENTITIES} - {""}
        found = [p for p in present if p.number in named]
        return found[0] if len(found) == 1 else None

    # ---- headers

    def read(self, request: SipRequest) -> Said:
        """What a request says of its call."""
        s = self._settings
        return said(request, s.consent_headers, s.consent_words, s.tag_headers)

    def begins(self, call: Call, request: SipRequest) -> Call:
        """A call with what its first INVITE says of it."""
        heard = self.read(request)
        return replace(call, consent=heard.consent or call.consent, tags=heard.tags_of(call.tags))

    def said(self, session: Session, request: SipRequest, source: str = "header") -> tuple[Standing, ...]:
        """Pass on what a request inside the dialog says that is not known yet."""
        heard, call = self.read(request), session.call
        tags, consent = heard.tags_of(call.tags), heard.consent or call.consent
        if (tags, consent) == (call.tags, call.consent):
            return ()
        self._calls.now(session, replace(call, tags=tags, consent=consent))
        if not session.started:
            return ()
        note = ContextNote(
            session.call_id,
            f"gateway:{session.call.gateway}",
            source,
            add_tags=tuple(t for t in tags if t not in call.tags),
            remove_tags=tuple(t for t in call.tags if t not in tags),
            consent=consent if consent is not call.consent else None,
        )
        return (self._listener.on_context(note),)


def agent_of(session: Session) -> Party | None:
    """The agent whose call it is: who is at the phone that forks, or the only agent there; None: nobody can tell."""
    agents = [p for p in _present(session.call) if p.role is Role.AGENT]
    if session.fork is not None and session.fork.side is not None:
        return party_of(agents, Side.NEAR)
    return agents[0] if len(agents) == 1 else None


def _present(call: Call) -> list[Party]:
    return [p for p in call.parties if p.left_ns is None]


def _actor(session: Session, party: Party | None) -> str:
    """An agent by extension. A customer's number is nobody's business: the gateway says what the customer did."""
    if party is not None and party.role is Role.AGENT and party.number:
        return f"agent:{party.number}"
    return f"gateway:{session.call.gateway}"
