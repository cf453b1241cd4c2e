"""Which dialogs are one call: every conversation that is live, and all that it is found by.

A new leg belongs to a conversation by a REFER (RFC 3515 §2.4.1), by Replaces (RFC 3891), by a header that a PBX carries
from one side to the other (RFC 7989), by its Call-ID, or by the very media addresses that another has just named.
"""

from collections.abc import Container, Sequence

from agent.model.call import Call
from agent.sip.message import Message, header
from agent.sip.uri import number_of
from agent.tap.span.conversation import MOST_LEGS, Conversation, address, named, used
from agent.tap.span.leg import Leg, Side, Stage
from agent.tap.span.message import Said
from agent.tap.span.reading import common_value

TWIN_NS = 5_000_000_000
"""Between the two INVITEs that a PBX shows of one call."""

Name = str | int
"""What conversations are found by: Call-IDs, numbers that somebody was asked to call, and values of headers, each with
its kind before it, and addresses."""


class Correlation:
    """Conversations and their legs. `merge_headers`: dialogs with the same value in one of these are one call."""

    def __init__(self, merge_headers: Sequence[str]) -> None:
        self._merge_headers = merge_headers
        self._legs: dict[str, list[Leg]] = {}
        self._home: dict[int, Conversation] = {}
        self._by_call: dict[str, Conversation] = {}
        self._trying: dict[int, Conversation] = {}
        self._referring: dict[int, Conversation] = {}
        self._by_header: dict[str, Conversation] = {}
        self._by_address: dict[int, Conversation] = {}

    # ---- what there is

    @property
    def calls(self) -> dict[str, Conversation]:
        """Conversations whose call has begun, by its id."""
        return self._by_call

    @property
    def trying(self) -> dict[int, Conversation]:
        """Those whose call has not, oldest first."""
        return self._trying

    @property
    def legs(self) -> int:
        """Dialogs that are not over."""
        return len(self._home)

    def holds(self, home: Conversation) -> bool:
        """Whether a conversation is live."""
        return id(home) in self._trying or (home.call is not None and self._by_call.get(home.call.call_id) is home)

    def has(self, leg: Leg) -> bool:
        """Whether a leg is of a live conversation."""
        return id(leg) in self._home

    def home(self, leg: Leg) -> Conversation:
        """The conversation of a leg."""
        return self._home[id(leg)]

    def knows(self, call_id: str) -> bool:
        """Whether a dialog with this Call-ID is live."""
        return call_id in self._legs

    def uses(self, at: int) -> bool:
        """Whether a call has this address."""
        return at in self._by_address

    def user(self, at: int) -> Conversation | None:
        """The conversation whose call uses an address now."""
        home = self._by_address.get(at)
        return home if home is not None and home.call is not None and at in used(home.call) else None

    def find(self, call_id: str, from_tag: str, to_tag: str, request: bool) -> tuple[Leg, Side] | None:
        """The leg that a message is of, and who of its two sides sent it."""
        for leg in self._legs.get(call_id, ()):
            side = leg.side_of(from_tag, to_tag, request)
            if side is not None:
                return leg, side
        return None

    # ---- where a new leg belongs

    def place(self, leg: Leg, message: Message, at_ns: int) -> None:
        """Find the conversation that a new leg is part of: a transfer, the other side of a PBX, or none but its own."""
        self._legs.setdefault(leg.call_id, []).append(leg)
        named = self.common(message)
        asked = home = self._referred(leg, at_ns) or self._replaced(message)
        home = home or next((self._by_header[n] for n in named if n in self._by_header), None)
        home = home or next((self._home[id(other)] for other in self._legs[leg.call_id] if other is not leg), None)
        if home is None or len(home.legs) >= MOST_LEGS or (home.is_over and not home.waits(at_ns)):
            home = Conversation([leg])
            self._trying[id(home)] = home
        else:
            for other in home.legs if home is asked else ():
                other.referral = None  # this is what was waited for
            home.legs.append(leg)
        self._home[id(leg)] = home
        for name in named:
            if self._by_header.setdefault(name, home) is home:
                home.headers.append(name)

    def common(self, message: Message) -> list[str]:
        """What a message has in common with the other dialogs of its call: values of the merge headers, each named."""
        values = ((name, common_value(header(message, name))) for name in self._merge_headers)
        return [f"{name.lower()}:{value}" for name, value in values if value]

    def refers(self, leg: Leg) -> None:
        """A REFER was sent within this leg."""
        home = self._home[id(leg)]
        self._referring[id(home)] = home

    def _referred(self, leg: Leg, at_ns: int) -> Conversation | None:
        """The conversation in which the caller was asked to call just this number."""
        for home in list(self._referring.values()):
            if not home.waits(at_ns):
                del self._referring[id(home)]
                continue
            asked = [other.referral for other in home.legs if other.referral]
            if any(r.target == leg.called and r.referee == leg.numbers.caller for r in asked):
                return home
        return None

    def _replaced(self, message: Message) -> Conversation | None:
        """The conversation of the dialog that an INVITE takes over."""
        found = self._legs.get(replaced(message), ())
        return self._home[id(found[0])] if found else None

    def same_media(self, home: Conversation, call: Call) -> Conversation | None:
        """The call begun a moment ago with just these addresses: a PBX that passes descriptions on shows each twice."""
        at = used(call)
        other = self._by_address.get(next(iter(at))) if len(at) > 1 else None
        if other is None or other is home or other.call is None or used(other.call) != at:
            return None
        if len(other.legs) + len(home.legs) > MOST_LEGS:
            return None
        return other if home.legs[0].at_ns - other.legs[0].at_ns < TWIN_NS else None

    # ---- what a message may have to do with

    def names(self, said: Said, waiting: Container[Name]) -> set[Name]:
        """What a message is found by, and would make a conversation be found by; `waiting` are those of messages that
        come before it."""
        found: set[Name] = {f"i:{said.call_id}", *self.common(said.message), *named((said.description,))}
        if other := replaced(said.message):
            found.add(f"i:{other}")
        if said.method == "REFER":
            found.add(f"r:{number_of(header(said.message, 'refer-to'))}")
        elif said.method in ("INVITE", "UPDATE"):
            target = f"r:{number_of(header(said.message, 'to'))}"
            if target in waiting or self._found_by(target):
                found.add(target)
        return found

    def around(self, names: set[Name]) -> set[Name]:
        """These names and those of all conversations that are found by them, or by such a name in turn. No message that
        has none of them can have anything to do with these conversations, nor they with it."""
        found, homes, new = set(names), set[int](), list(names)
        while new:
            for home in self._found_by(new.pop()):
                if id(home) not in homes:
                    homes.add(id(home))
                    more = _names_of(home) - found
                    found |= more
                    new += more
        return found

    def _found_by(self, name: Name) -> list[Conversation]:
        if isinstance(name, int):
            return [self._by_address[name]] if name in self._by_address else []
        if name.startswith("i:"):
            return [self._home[id(leg)] for leg in self._legs.get(name[2:], ())]
        if name.startswith("r:"):
            return [home for home in self._referring.values() if name in _targets(home)]
        return [self._by_header[name]] if name in self._by_header else []

    # ---- changes

    def unite(self, home: Conversation, other: Conversation) -> None:
        """Everything of `other`, whose call has not begun, is part of `home` from now on."""
        home.take_over(other)
        self._home |= {id(leg): home for leg in other.legs}
        self._by_header |= dict.fromkeys(other.headers, home)
        del self._trying[id(other)]

    def begun(self, home: Conversation, call: Call) -> None:
        """The call of a conversation has begun."""
        self._trying.pop(id(home), None)
        self._by_call[call.call_id] = home

    def users(self, call: Call, home: Conversation) -> list[Conversation]:
        """Other conversations whose calls use an address of `call` now."""
        found = {}
        for at in used(call):
            other = self.user(at)
            if other is not None and other is not home:
                found[id(other)] = other
        return list(found.values())

    def claim(self, call: Call, home: Conversation) -> None:
        """The addresses of `call` belong to a conversation from now on."""
        self._by_address |= dict.fromkeys(used(call), home)

    def forget(self, leg: Leg) -> None:
        """A leg is over."""
        same = [other for other in self._legs.get(leg.call_id, ()) if other is not leg]
        if same:
            self._legs[leg.call_id] = same
        else:
            self._legs.pop(leg.call_id, None)
        del self._home[id(leg)]

    def drop(self, home: Conversation) -> None:
        """A conversation is over."""
        self._trying.pop(id(home), None)
        self._referring.pop(id(home), None)
        for name in home.headers:
            self._by_header.pop(name, None)
        if home.call is None:
            return
        self._by_call.pop(home.call.call_id, None)
        for stream in home.call.streams:
            at = address(stream.host, stream.port)
            if self._by_address.get(at) is home:
                del self._by_address[at]

    def restore(self, home: Conversation, call: Call) -> None:
        """Take up a conversation of before a restart."""
        self._by_call[call.call_id] = home
        for leg in home.legs:
            if leg.stage is not Stage.OVER:
                self._legs.setdefault(leg.call_id, []).append(leg)
                self._home[id(leg)] = home
        for name in home.headers:
            self._by_header.setdefault(name, home)
        self.claim(call, home)


def _names_of(home: Conversation) -> set[Name]:
    return {*home.addresses, *home.headers, *_targets(home), *(f"i:{leg.call_id}" for leg in home.legs)}


def _targets(home: Conversation) -> list[str]:
    return [f"r:{leg.referral.target}" for leg in home.legs if leg.referral]


def replaced(message: Message) -> str:
    """The Call-ID of the dialog that an INVITE takes over; "" for none."""
    return header(message, "replaces").partition(";")[0].strip()
