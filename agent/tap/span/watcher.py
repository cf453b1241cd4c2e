"""Calls built from SIP that phones, PBX and trunks say to each other; heard in passing, never answered.

Whatever is missing, repeated or out of order, what is known is used: a call begins with the first answer that describes
media, lasts while one of its dialogs does, and never takes over what another call may claim.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

import structlog
from aiosipua.message import SipRequest, SipResponse

from agent.config import Site, Span
from agent.model.call import Call
from agent.model.events import CallChanged, CallEnded, CallEvent, CallStarted
from agent.model.wire import dump, load
from agent.sip.errors import SipError
from agent.sip.message import Message, branch, call_id, cseq, header, parse, tag
from agent.sip.uri import name_of, number_of
from agent.tap.siprec.peers import AllowList
from agent.tap.siprec.people import numbers
from agent.tap.span.conversation import Conversation
from agent.tap.span.correlation import Correlation
from agent.tap.span.leg import Leg, Referral, Side, Stage
from agent.tap.span.message import Overheard
from agent.tap.span.reading import asserted, cseq_method, described, numbers_of
from agent.tap.span.reassembly import Reassembly
from agent.tap.span.strays import Heard, Stray, claims

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
        self._known = Correlation(settings.merge_headers)
        self._heard_ns: dict[int, int] = {}
        self._over: OrderedDict[tuple[str, str], int] = OrderedDict()
        self.garbage = 0
        """Messages that could not be read."""

    @property
    def live(self) -> int:
        """Calls that have begun and not ended."""
        return len(self._known.calls)

    def hear(self, overheard: Overheard) -> list[CallEvent]:
        """What has happened to calls by this datagram or segment, in order. Never raises on content."""
        if overheard.source[0] not in self._networks:
            return []
        whole = self._tcp.feed(overheard) if overheard.transport == "tcp" else [overheard.data]
        events: list[CallEvent] = []
        for data in whole:
            if not data.strip(b"\r\n\0 "):
                continue  # a keep-alive
            try:
                events += self._message(parse(data), overheard)
            except SipError:
                self.garbage += 1
            except Exception as error:  # what is wrong then is ours; other calls must go on
                self.garbage += 1
                log.error("span.failed", kind=type(error).__name__, exc_info=True)
        return events

    # ---- messages

    def _message(self, message: Message, overheard: Overheard) -> list[CallEvent]:
        request = isinstance(message, SipRequest)
        method = message.method if isinstance(message, SipRequest) else cseq_method(message)
        at_ns = overheard.at_ns
        found = self._known.find(call_id(message), tag(message, "from"), tag(message, "to"), request)
        if found is None:
            if not self._begins(message, method):
                return []
            leg = self._new_leg(message, overheard, request)
            if leg is None:
                return []
            found, before = (leg, Side.CALLER if request else Side.CALLED), None
        else:
            before = found[0].standing
        leg, side = found
        self._heard_ns[id(leg)] = at_ns
        status = 0 if isinstance(message, SipRequest) else message.status_code
        asked = side if request else side.other
        if not leg.is_news(asked, method, cseq(message), branch(message)[0], status=status):
            return []
        if isinstance(message, SipRequest):
            cause = self._request(leg, side, message, method, at_ns)
        else:
            cause = self._response(leg, side, message, method)
        if cause:
            leg.stage = Stage.OVER
        home = self._known.home(leg)
        if home.call is not None and leg.standing == before:
            return []
        return self._settle(home, at_ns, cause)

    def _begins(self, message: Message, method: str) -> bool:
        """Whether a message of an unknown dialog tells of one: an INVITE, or the answer to one we did not hear."""
        if (call_id(message), tag(message, "from")) in self._over or not call_id(message):
            return False
        if (call_id(message), tag(message, "to")) in self._over:
            return False
        if isinstance(message, SipResponse):
            return method == "INVITE" and 100 < message.status_code < 300 and described(message) is not None
        return method == "INVITE" or (method == "UPDATE" and described(message) is not None)

    def _new_leg(self, message: Message, overheard: Overheard, request: bool) -> Leg | None:
        found = numbers(message) if isinstance(message, SipRequest) else numbers_of(message)
        called = number_of(header(message, "to"))
        if self._known.legs >= self._settings.max_calls * 4 and not self._make_room(overheard.at_ns):
            return None
        server = overheard.destination if request else overheard.source
        named = name_of(header(message, "to"))
        leg = Leg(call_id(message), tag(message, "from"), found, called, named, server[0], overheard.at_ns)
        if request:
            leg.introduce(Side.CALLER, *asserted(message), self._agents)
        patterns = self._settings.extensions
        if patterns and not any(fnmatchcase(n, p) for n in (leg.numbers.caller, called) for p in patterns if n):
            return None
        if isinstance(message, SipRequest) and tag(message, "to"):
            leg.stage, leg.to_tag = Stage.ANSWERED, tag(message, "to")  # it was under way before we listened
        self._known.place(leg, message, overheard.at_ns)
        return leg

    def _make_room(self, at_ns: int) -> bool:
        """Forget the oldest dialog that nobody has answered: a flood of them must keep no call out."""
        oldest = next(iter(self._known.trying.values()), None)
        if oldest is not None:
            self._end(oldest, at_ns, "expired")
        return oldest is not None

    def _request(self, leg: Leg, side: Side, request: SipRequest, method: str, at_ns: int) -> str:
        """Take note of a request; the cause if it ends the leg."""
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
            self._known.refers(leg)
        description = described(request) if method in ("INVITE", "ACK", "PRACK", "UPDATE") else None
        if description is not None:
            leg.offer(side, cseq(request), description)
        return ""

    def _response(self, leg: Leg, side: Side, response: SipResponse, method: str) -> str:
        """Take note of a response; the cause if it ends the leg."""
        status = response.status_code
        gone = status in _GONE and leg.stage is Stage.ANSWERED
        if leg.is_other_branch(tag(response, "from" if side is Side.CALLER else "to")) or status == 100:
            return ""
        if method == "BYE":
            return "bye" if gone or 200 <= status < 300 else ""
        if method not in ("INVITE", "PRACK", "UPDATE"):
            return ""
        if status >= 300:
            return self._refusal(leg, side, cseq(response), method, status)
        description = described(response)
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
        for leg in [leg for leg in home.legs if leg.stage is Stage.OVER and self._known.has(leg)]:
            self._forget(leg, at_ns)
        if not goes_on:
            self._known.drop(home)
        return events

    def _reckon(self, home: Conversation, at_ns: int) -> list[CallEvent]:
        leg = home.recorded(self._agents)
        before = home.call
        if before is None:
            if leg is None or self.live >= self._settings.max_calls:
                return []
            seed = f"{leg.call_id}|{leg.from_tag}"
            before = Call(self._new_id(at_ns, seed), leg.call_id, "span", leg.gateway, at_ns)
            queue = next((one.numbers.queue for one in home.legs if one.numbers.queue), None)
            before = replace(before, queue=queue, did=home.dialled(leg))
        call = home.reckon(self._agents, at_ns, before, leg)
        if home.call is None and (other := self._known.same_media(home, call)) is not None:
            self._known.unite(other, home)
            return self._reckon(other, at_ns)
        events = self._claim(home, call, at_ns)
        if home.call is None:
            self._known.begun(home, call)
            events.append(CallStarted(call))
        elif call != home.call:
            events.append(CallChanged(call.call_id, at_ns, call.parties, call.streams, call.direction))
        home.call = call
        return events

    def _claim(self, home: Conversation, call: Call, at_ns: int) -> list[CallEvent]:
        """An address belongs to the call that named it last: a call that still uses it has ended unheard, one that has
        left it, or is on hold, only has it no more."""
        events: list[CallEvent] = []
        for other in self._known.users(call, home):
            events += self._end(other, at_ns, "expired")
        self._known.claim(call, home)
        return events

    def _end(self, home: Conversation, at_ns: int, cause: str) -> list[CallEvent]:
        for leg in home.legs:
            leg.stage = Stage.OVER
        return self._settle(home, at_ns, cause)

    def _forget(self, leg: Leg, at_ns: int) -> None:
        self._known.forget(leg)
        self._heard_ns.pop(id(leg), None)
        self._over[leg.call_id, leg.from_tag] = at_ns
        while len(self._over) > MOST_OVER:
            self._over.popitem(last=False)

    # ---- time and strays

    def expire(self, now_ns: int, last_media_ns: Mapping[str, int] | None = None) -> list[CallEvent]:
        """End what has ended unheard. `last_media_ns`: by call id, when its last packet came (UTC ns)."""
        events: list[CallEvent] = []
        for home in [*self._known.calls.values(), *self._known.trying.values()]:
            for leg in home.legs:
                if leg.stage is Stage.CALLING and leg.cancelled_ns and now_ns - leg.cancelled_ns > CANCELLING_NS:
                    leg.stage = Stage.OVER
                    events += self._settle(home, now_ns, "cancelled")
                elif self._heard_ns.get(id(leg)) == 0:
                    self._heard_ns[id(leg)] = now_ns  # taken up after a restart
            if not self._known.holds(home):
                continue
            heard_ns = max((self._heard_ns.get(id(leg), 0) for leg in home.legs), default=0)
            if home.is_over:
                quiet_ns, most_ns = 0 if home.waits(now_ns) else RINGING_NS, 0
            elif home.call is None:
                quiet_ns, most_ns = now_ns - heard_ns, RINGING_NS
            else:
                media_ns = (last_media_ns or {}).get(home.call.call_id, 0)
                quiet_ns = now_ns - max(heard_ns, media_ns)
                held = last_media_ns is None or not any(s.active for s in home.call.streams)
                most_ns = LONGEST_SILENCE_NS if held else SILENT_NS
            if quiet_ns > most_ns:
                events += self._end(home, now_ns, "bye" if home.is_over else "no-media")
        while self._over and now_ns - next(iter(self._over.values())) > FORGOTTEN_NS:
            self._over.popitem(last=False)
        return events

    def adopt(self, strays: Sequence[Stray], heard: Mapping[tuple[str, int], Heard], now_ns: int) -> list[CallEvent]:
        """Give packets to addresses that nobody named, counted since the last time, to the calls they belong to.
        `heard`: what each stream of live calls has, by the address its packets go to. See `agent.tap.span.strays`."""
        calls = self._known.calls
        events: list[CallEvent] = []
        for claim in claims(strays, [home.call for home in calls.values() if home.call], heard, now_ns):
            if (home := calls.get(claim.call_id)) is not None:
                home.move(claim)
                events += self._reckon(home, now_ns)
        return events

    # ---- restart

    def snapshot(self, call_id: str) -> bytes:
        """What `restore` needs to go on with a live call; b"" when it is unknown. It holds numbers: keep it sealed."""
        home = self._known.calls.get(call_id)
        return b"" if home is None else dump(_Snapshot(home))

    def restore(self, snapshot: bytes) -> None:
        """Take up a call of before a restart. Raises ValueError when it is unusable, or live already."""
        home = load(_Snapshot, snapshot).conversation
        if home.call is None or home.call.call_id in self._known.calls:
            raise ValueError("the snapshot is of no call, or of one that is live")
        self._known.restore(home, home.call)
        self._heard_ns |= {id(leg): 0 for leg in home.legs if leg.stage is not Stage.OVER}
