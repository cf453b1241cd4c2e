"""Calls built from SIP that phones, PBX and trunks say to each other; heard in passing, never answered.

Whatever is missing, repeated or out of order, what is known is used: a call begins with the first answer that describes
media, lasts while one of its dialogs does, and never takes over what another call may claim.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

import structlog
from aiosipua.message import SipRequest, SipResponse

from agent.config import Site, Span
from agent.model.call import Call
from agent.model.events import CallChanged, CallEnded, CallEvent, CallKeyed, CallStarted
from agent.model.keys import KEY_NAMES
from agent.model.wire import dump, load
from agent.sip import info
from agent.sip.errors import SipError
from agent.sip.message import branch, cseq, header, tag
from agent.sip.uri import name_of, number_of
from agent.tap.siprec.peers import AllowList
from agent.tap.siprec.people import numbers
from agent.tap.span.conversation import Conversation, is_secure
from agent.tap.span.correlation import Correlation
from agent.tap.span.leg import Leg, Referral, Side, Stage
from agent.tap.span.message import Overheard, Said
from agent.tap.span.reading import asserted, may_matter, message_of, numbers_of
from agent.tap.span.reassembly import Reassembly
from agent.tap.span.strays import HeardAt, Stray, claims

NS = 1_000_000_000
RINGING_NS = 300 * NS
"""So long may a call ring, or a dialog be tried, without a word."""
SILENT_NS = 120 * NS
"""A call without a word and without a packet for so long has ended unheard, unless it is on hold."""
LONGEST_SILENCE_NS = 12 * 3600 * NS
FORGOTTEN_NS = 64 * NS
"""Dialogs that are over are remembered so long: what comes of them then is a copy (RFC 3261 §17.1.1.2)."""
MOST_OVER = 20_000
CANCELLING_NS = 32 * NS
"""So long after a CANCEL an answer may still be on its way (RFC 3261 §9.1)."""
_GONE = frozenset({408, 481})
"""Refusals within a dialog that say there is none (RFC 3261 §12.2.1.2)."""
_LATER = frozenset({401, 407, 422, 494, *range(300, 400)})
"""Refusals after which the caller tries again under the same Call-ID."""

_MATTERS = frozenset({"INVITE", "ACK", "PRACK", "UPDATE", "REFER", "BYE", "CANCEL"})

LastMedia = Callable[[str], int | None]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Snapshot:
    conversation: Conversation


class Watcher:
    """`new_id(at_ns, seed)` gives the id of a call: 32 hexadecimal digits, the time first. One thread at a time."""

    def __init__(self, settings: Span, site: Site, new_id: Callable[[int, str], str]) -> None:
        self._settings = settings
        self._agents = site.agents
        self._new_id = new_id
        self._networks = AllowList(settings.networks)
        self._tcp = Reassembly()
        self.known = Correlation(settings.merge_headers)
        self._heard_ns: dict[int, int] = {}
        self._over: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._turn: deque[Conversation] = deque()
        self.garbage = 0
        """Messages that could not be read."""
        self.refused = 0
        """Calls that were not taken because there were `max_calls`."""
        self.encrypted = 0
        """Calls of whose media some was secure RTP, which cannot be recorded here."""

    @property
    def live(self) -> int:
        """Calls that have begun and not ended."""
        return len(self.known.calls)

    def hear(self, overheard: Overheard) -> list[CallEvent | CallKeyed]:
        """What has happened to calls by this datagram or segment, in order. Never raises on content."""
        return [event for one in self.read(overheard) for event in self.take(one)]

    def read(self, overheard: Overheard) -> list[Said]:
        """The messages that a datagram or segment completes, as far as they may matter, for `take`. It changes nothing
        that is known of calls. Never raises on content."""
        if overheard.source[0] not in self._networks:
            return []
        whole = self._tcp.feed(overheard) if overheard.transport == "tcp" else [overheard.data]
        found = []
        for data in whole:
            if may_matter(data, self.known.knows):
                try:
                    found.append(message_of(data, overheard))
                except SipError:
                    self.garbage += 1
                except Exception as error:  # what is wrong then is ours; other calls must go on
                    self._failed(error)
        return found

    def take(self, one: Said) -> Sequence[CallEvent | CallKeyed]:
        """What has happened to calls by this message, in order."""
        try:
            return self._message(one)
        except Exception as error:
            self._failed(error)
            return []

    def _failed(self, error: Exception) -> None:
        self.garbage += 1
        log.error("span.failed", kind=type(error).__name__, exc_info=True)

    # ---- messages

    def _message(self, said: Said) -> Sequence[CallEvent | CallKeyed]:
        message, method, at_ns = said.message, said.method, said.at_ns
        request = isinstance(message, SipRequest)
        found = self.known.find(said.call_id, tag(message, "from"), tag(message, "to"), request)
        if found is None:
            leg = self._new_leg(said) if self._begins(said) else None
            if leg is None:
                return []
            found, before = (leg, Side.CALLER if request else Side.CALLED), None
        else:
            before = found[0].standing
        leg, side = found
        self._heard_ns[id(leg)] = at_ns
        if method == "INFO" and isinstance(message, SipRequest):
            return self._keyed(leg, side, message, at_ns)
        if method not in _MATTERS:
            return []
        status = 0 if isinstance(message, SipRequest) else message.status_code
        asked = side if request else side.other
        if not leg.is_news(asked, method, cseq(message), branch(message)[0], status=status):
            return []
        if isinstance(message, SipRequest):
            cause = self._request(leg, side, message, said)
        else:
            cause = self._response(leg, side, message, said)
        if cause:
            leg.stage = Stage.OVER
        home = self.known.home(leg)
        if home.call is not None and leg.standing == before:
            return []
        return self._settle(home, at_ns, cause)

    def _begins(self, said: Said) -> bool:
        """Whether a message of an unknown dialog tells of one: an INVITE, or the answer to one we did not hear."""
        message = said.message
        if (said.call_id, tag(message, "from")) in self._over or not said.call_id:
            return False
        if (said.call_id, tag(message, "to")) in self._over:
            return False
        if isinstance(message, SipResponse):
            return said.method == "INVITE" and 100 < message.status_code < 300 and said.description is not None
        return said.method == "INVITE" or (said.method == "UPDATE" and said.description is not None)

    def _new_leg(self, said: Said) -> Leg | None:
        message = said.message
        found = numbers(message) if isinstance(message, SipRequest) else numbers_of(message)
        called = number_of(header(message, "to"))
        if self.known.legs >= self._settings.max_calls * 4 and not self._make_room(said.at_ns):
            return None
        server = said.destination if isinstance(message, SipRequest) else said.source
        named = name_of(header(message, "to"))
        leg = Leg(said.call_id, tag(message, "from"), found, called, named, server, said.at_ns)
        if isinstance(message, SipRequest):
            leg.introduce(Side.CALLER, *asserted(message), self._agents)
        patterns = self._settings.extensions
        if patterns and not any(fnmatchcase(n, p) for n in (leg.numbers.caller, called) for p in patterns if n):
            return None
        if isinstance(message, SipRequest) and tag(message, "to"):
            leg.stage, leg.to_tag = Stage.ANSWERED, tag(message, "to")  # it was under way before we listened
        self.known.place(leg, message, said.at_ns)
        return leg

    def _make_room(self, at_ns: int) -> bool:
        """Forget the oldest dialog that nobody has answered: a flood of them must keep no call out."""
        oldest = next(iter(self.known.trying.values()), None)
        if oldest is not None:
            self._end(oldest, at_ns, "expired")
        return oldest is not None

    def _request(self, leg: Leg, side: Side, request: SipRequest, said: Said) -> str:
        """Take note of a request; the cause if it ends the leg."""
        method, at_ns = said.method, said.at_ns
        if leg.is_other_branch(tag(request, "to" if side is Side.CALLER else "from")):
            return ""
        if method == "BYE":
            return "bye"
        if method in ("INVITE", "UPDATE") and leg.stage is Stage.ANSWERED:
            leg.identify(side, *asserted(request))
        if method == "CANCEL":
            leg.cancelled(cseq(request), branch(request)[0], at_ns)
        if method == "ACK":
            leg.acknowledged(side, cseq(request), branch(request)[0], tag(request, "to"))
        if method == "REFER":
            target = number_of(header(request, "refer-to"))
            referee = leg.called if side is Side.CALLER else leg.numbers.caller
            leg.referral = Referral(target, referee, at_ns) if target else None
            self.known.refers(leg)
        if said.description is not None:
            leg.offer(side, cseq(request), said.description)
        return ""

    def _keyed(self, leg: Leg, side: Side, request: SipRequest, at_ns: int) -> Sequence[CallKeyed]:
        """The key that an INFO tells of, if it tells of one. What cannot be understood is the PBX's business."""
        if leg.is_other_branch(tag(request, "to" if side is Side.CALLER else "from")):
            return ()
        try:
            key = info.key(request)
        except SipError:
            return ()
        home = self.known.home(leg)
        if key is None or home.call is None or not leg.is_new_key(side, cseq(request)):
            return ()
        who = home.whose_key(leg, side)
        return () if who is None else (CallKeyed(home.call.call_id, at_ns, who, KEY_NAMES.index(key)),)

    def _response(self, leg: Leg, side: Side, response: SipResponse, said: Said) -> str:
        """Take note of a response; the cause if it ends the leg."""
        status, method, description = response.status_code, said.method, said.description
        gone = status in _GONE and leg.stage is Stage.ANSWERED
        if leg.is_other_branch(tag(response, "from" if side is Side.CALLER else "to")) or status == 100:
            return ""
        if method == "BYE":
            return "bye" if gone or 200 <= status < 300 else ""
        if method not in ("INVITE", "PRACK", "UPDATE"):
            return ""
        if status >= 300:
            return self._refusal(leg, side, cseq(response), method, status)
        if method == "INVITE" and side is Side.CALLED and leg.stage is Stage.CALLING:
            leg.introduce(side, *asserted(response), self._agents)
        elif leg.stage is Stage.ANSWERED and status < 300:
            leg.identify(side, *asserted(response))
        if status < 200:
            leg.ringing(tag(response, "to"), description)
        elif method == "INVITE":
            leg.answered(side, tag(response, "to"), description)
        elif description is not None:
            leg.offer(side, cseq(response), description)
        return ""

    def _refusal(self, leg: Leg, side: Side, number: int, method: str, status: int) -> str:
        """Take note of a final answer that is none; the cause if it ends the leg."""
        leg.refused(side.other, number)
        if leg.stage is Stage.ANSWERED:
            return "expired" if status in _GONE and method != "PRACK" else ""
        if method != "INVITE" or (status in _LATER and not leg.cancelled_ns):
            return ""
        return "cancelled" if status == 487 else "refused"

    # ---- conversations

    def _settle(self, home: Conversation, at_ns: int, cause: str) -> list[CallEvent]:
        """Tell what is different now, and let go of what is over."""
        events: list[CallEvent] = []
        goes_on = not home.is_over or (cause == "bye" and home.waits(at_ns))
        if goes_on:
            events += self._reckon(home, at_ns)
        elif home.call is not None:
            events.append(CallEnded(home.call.call_id, at_ns, cause or "expired"))
        for leg in [leg for leg in home.legs if leg.stage is Stage.OVER and self.known.has(leg)]:
            self._forget(leg, at_ns)
        if not goes_on:
            self.known.drop(home)
        return events

    def _reckon(self, home: Conversation, at_ns: int) -> list[CallEvent]:
        leg = home.recorded(self._agents)
        before = home.call
        if not home.encrypted and any(one.is_open and is_secure(one) for one in home.legs):
            home.encrypted = True
            self.encrypted += 1
            log.warning(
                "span.encrypted",
                call=before.call_id if before else "",
                gateway=home.legs[0].gateway,
                mend="its media is secure RTP: have it recorded by SIPREC",
            )
        if before is None:
            if leg is None:
                return []
            if self.live >= self._settings.max_calls:
                self.refused += not home.refused
                home.refused = True
                return []
            seed = f"{leg.call_id}|{leg.from_tag}"
            before = Call(self._new_id(at_ns, seed), leg.call_id, "span", leg.gateway, at_ns)
            queue = next((one.numbers.queue for one in home.legs if one.numbers.queue), None)
            before = replace(before, queue=queue, did=home.dialled(leg))
        call = home.reckon(self._agents, at_ns, before, leg)
        if home.call is None and (other := self.known.same_media(home, call)) is not None:
            self.known.unite(other, home)
            return self._reckon(other, at_ns)
        events = self._claim(home, call, at_ns)
        if home.call is None:
            self.known.begun(home, call)
            events.append(CallStarted(call))
        elif call != home.call:
            events.append(CallChanged(call.call_id, at_ns, call.parties, call.streams, call.direction))
        home.call = call
        return events

    def _claim(self, home: Conversation, call: Call, at_ns: int) -> list[CallEvent]:
        """An address belongs to the call that named it last: a call that still uses it has ended unheard, one that has
        left it, or is on hold, only has it no more."""
        events: list[CallEvent] = []
        for other in self.known.users(call, home):
            events += self._end(other, at_ns, "expired")
        self.known.claim(call, home)
        return events

    def _end(self, home: Conversation, at_ns: int, cause: str) -> list[CallEvent]:
        for leg in home.legs:
            leg.stage = Stage.OVER
        return self._settle(home, at_ns, cause)

    def _forget(self, leg: Leg, at_ns: int) -> None:
        self.known.forget(leg)
        self._heard_ns.pop(id(leg), None)
        self._over[leg.call_id, leg.from_tag] = at_ns
        while len(self._over) > MOST_OVER:
            self._over.popitem(last=False)

    # ---- time and strays

    def disown(self, addresses: Collection[int], at_ns: int) -> list[CallEvent]:
        """Somebody named these addresses, and it was not heard who: a call that uses one has it no longer."""
        events: list[CallEvent] = []
        for at in sorted(addresses):
            if (home := self.known.user(at)) is not None:
                events += self._end(home, at_ns, "expired")
        return events

    def expire(self, now_ns: int, last_media_ns: LastMedia | None = None, turns: int = 1) -> list[CallEvent]:
        """End what has ended unheard, of all conversations in as many `turns`. `last_media_ns(call_id)` says when the
        last packet of a call came (UTC ns), None: it is not known of any call."""
        events: list[CallEvent] = []
        if not self._turn:
            self._turn.extend((*self.known.calls.values(), *self.known.trying.values()))
        for _ in range(-(-max(len(self._turn), self.known.legs) // turns)):
            if not self._turn:
                break
            if self.known.holds(home := self._turn.popleft()):
                events += self._expire(home, now_ns, last_media_ns)
        while self._over and now_ns - next(iter(self._over.values())) > FORGOTTEN_NS:
            self._over.popitem(last=False)
        return events

    def _expire(self, home: Conversation, now_ns: int, last_media_ns: LastMedia | None) -> list[CallEvent]:
        events: list[CallEvent] = []
        for leg in home.legs:
            if leg.stage is Stage.CALLING and leg.cancelled_ns and now_ns - leg.cancelled_ns > CANCELLING_NS:
                leg.stage = Stage.OVER
                events += self._settle(home, now_ns, "cancelled")
            elif self._heard_ns.get(id(leg)) == 0:
                self._heard_ns[id(leg)] = now_ns  # taken up after a restart
        if not self.known.holds(home):
            return events
        quiet_ns = now_ns - max((self._heard_ns.get(id(leg), 0) for leg in home.legs), default=0)
        if home.is_over:
            quiet_ns, most_ns = 0 if home.waits(now_ns) else RINGING_NS, 0
        elif home.call is None:
            most_ns = RINGING_NS
        elif last_media_ns is None or not any(s.active for s in home.call.streams):
            most_ns = LONGEST_SILENCE_NS
        else:
            most_ns = SILENT_NS
        if quiet_ns > most_ns and home.call is not None and last_media_ns is not None and not home.is_over:
            quiet_ns = min(quiet_ns, now_ns - (last_media_ns(home.call.call_id) or 0))
        if quiet_ns > most_ns:
            events += self._end(home, now_ns, "bye" if home.is_over else "no-media")
        return events

    def adopt(self, strays: Sequence[Stray], heard: HeardAt, now_ns: int) -> list[CallEvent]:
        """Give packets to addresses that nobody named, counted since the last time, to the calls they belong to.
        `heard`: what a stream of a live call has, by the address its packets go to. See `agent.tap.span.strays`."""
        calls = self.known.calls
        events: list[CallEvent] = []
        for claim in claims(strays, [home.call for home in calls.values() if home.call], heard, now_ns):
            if (home := calls.get(claim.call_id)) is not None:
                home.move(claim)
                events += self._reckon(home, now_ns)
        return events

    # ---- restart

    def snapshot(self, call_id: str) -> bytes:
        """What `restore` needs to go on with a live call; b"" when it is unknown. It holds numbers: keep it sealed."""
        home = self.known.calls.get(call_id)
        return b"" if home is None else dump(_Snapshot(home))

    def restore(self, snapshot: bytes) -> None:
        """Take up a call of before a restart. Raises ValueError when it is unusable, or live already."""
        home = load(_Snapshot, snapshot).conversation
        if home.call is None or home.call.call_id in self.known.calls:
            raise ValueError("the snapshot is of no call, or of one that is live")
        self.known.restore(home, home.call)
        self._heard_ns |= {id(leg): 0 for leg in home.legs if leg.stage is not Stage.OVER}
