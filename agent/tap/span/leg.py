"""One dialog as overheard: who called whom, what each side said about its media, and whether it still lasts.

RFC 3261 §12 and §13, RFC 3264 (offer and answer), RFC 3262 and RFC 3311 (either may come in other messages as well),
RFC 3960 (early media). Either side's messages may be missing: what is known is used. A proxy's copy of a message has
another branch (RFC 3261 §16.6): of each transaction only the hop is followed on which it was heard first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum

from agent.model.call import Role
from agent.sip.sdp import Description
from agent.tap.siprec.people import Numbers, role_of

MOST_BRANCHES = 16
MOST_PENDING = 8
MOST_EXCHANGES = 16
MOST_COPIES = 32


class Side(IntEnum):
    """Who sent the INVITE that began it, and who got it."""

    CALLER = 0
    CALLED = 1

    @property
    def other(self) -> "Side":
        """The opposite side."""
        return Side(1 - self)


class Stage(IntEnum):
    """How far it has come."""

    CALLING = 0
    ANSWERED = 1
    OVER = 2


@dataclass(frozen=True, slots=True)
class Referral:
    """A REFER (RFC 3515): to whom, who is to call there, and when it was sent (UTC ns)."""

    target: str
    referee: str
    at_ns: int


@dataclass(slots=True)
class Exchange:
    """One transaction: its branch where it was heard first, and those of the proxies' copies."""

    branch: str
    asked: bool = False
    answered: bool = False
    copies: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Leg:
    """`early` are the answers of an INVITE that was forked, by To tag; `caller_said`, `called_said` what each side said
    last, in the dialog that counts; `offered` what was said before an offer that may be refused yet, by side and CSeq.
    """

    call_id: str
    from_tag: str
    numbers: Numbers
    called: str
    called_name: str
    gateway: str
    at_ns: int
    stage: Stage = Stage.CALLING
    to_tag: str = ""
    caller_said: Description | None = None
    called_said: Description | None = None
    early: dict[str, Description] = field(default_factory=dict)
    offered: dict[str, Description | None] = field(default_factory=dict)
    answered_any: bool = False
    referral: Referral | None = None
    cancelled_ns: int = 0
    """When the caller gave up: the answer may have been on its way (RFC 3261 §9.1)."""
    aliases: dict[str, str] = field(default_factory=dict)
    """By side and number that the network asserts: by what number that side is known."""
    exchanges: dict[str, Exchange] = field(default_factory=dict)
    highest: dict[str, int] = field(default_factory=dict)
    keyed: dict[str, int] = field(default_factory=dict)
    """By side, the CSeq of the last INFO that told of a key."""

    def is_news(self, side: Side, method: str, cseq: int, branch: str, *, status: int = 0) -> bool:
        """Take note of a request of `side`, or of a response to one; False when it is a copy, or was overtaken."""
        named = f"{side}:{cseq}:{method}"
        exchange = self.exchanges.get(named)
        if exchange is None:
            if not status and method not in ("ACK", "CANCEL"):
                if cseq < self.highest.get(str(side), 0):
                    return False
                self.highest[str(side)] = cseq
            while len(self.exchanges) >= MOST_EXCHANGES:
                del self.exchanges[next(iter(self.exchanges))]
            exchange = self.exchanges[named] = Exchange(branch)
        if exchange.branch != branch:
            if len(exchange.copies) < MOST_COPIES:
                exchange.copies.append(branch)
            return False
        if exchange.answered or (not status and exchange.asked):
            return False
        exchange.asked |= not status
        exchange.answered = status >= 200
        return True

    def is_new_key(self, side: Side, cseq: int) -> bool:
        """Take note of an INFO of `side` that tells of a key; False when it is a copy, or was overtaken."""
        if cseq <= self.keyed.get(str(side), -1):
            return False
        self.keyed[str(side)] = cseq
        return True

    def cancelled(self, cseq: int, branch: str, at_ns: int) -> None:
        """The caller gives up, unless it is a proxy that gives up one of its branches."""
        exchange = self.exchanges.get(f"{Side.CALLER}:{cseq}:INVITE")
        if self.stage is Stage.CALLING and (exchange is None or exchange.branch == branch):
            self.cancelled_ns = at_ns

    def acknowledged(self, side: Side, cseq: int, branch: str, to_tag: str) -> None:
        """An ACK with a branch of its own speaks of a 2xx (RFC 3261 §13.2.2.4): it was not for us to hear."""
        exchange = self.exchanges.get(f"{side}:{cseq}:INVITE")
        if exchange is None or exchange.answered or branch in (exchange.branch, "", *exchange.copies):
            return
        exchange.answered = True
        if self.stage is Stage.CALLING and side is Side.CALLER and to_tag:
            self.stage, self.to_tag = Stage.ANSWERED, to_tag
            self.early.clear()

    def number(self, side: Side) -> str:
        """By what number a side is known."""
        return self.numbers.caller if side is Side.CALLER else self.called

    def identify(self, side: Side, number: str, name: str = "") -> None:
        """The network says who is on a side now (RFC 3325): somebody else after a transfer."""
        number = self.aliases.get(f"{side}:{number}", number)
        if not number or number == self.number(side):
            return
        if side is Side.CALLER:
            self.numbers = replace(self.numbers, caller=number, caller_name=name)
        else:
            self.called, self.called_name = number, name

    def introduce(self, side: Side, asserted: str, name: str, agents: Sequence[str]) -> None:
        """Who is on a side at first. Of what the phone says and what the network says that is believed which is an
        extension of the site; else the network, which may know better than a phone that withholds its number."""
        said = self.number(side)
        if asserted and said and role_of(said, agents) is Role.AGENT:
            self.aliases[f"{side}:{asserted}"] = said  # the number of the house, it may be, that stands for everybody
        else:
            self.identify(side, asserted, name)

    def is_other_branch(self, called_tag: str) -> bool:
        """Whether a tag of the called side is that of a fork that is not the call."""
        return bool(called_tag and self.to_tag) and called_tag != self.to_tag

    def said(self, side: Side) -> Description | None:
        """What a side said of its media last."""
        return self.caller_said if side is Side.CALLER else self.called_said

    @property
    def is_open(self) -> bool:
        """Whether media is to be expected: something was answered, or the answer was not for us to hear."""
        return self.stage is Stage.ANSWERED or (self.stage is Stage.CALLING and self.answered_any)

    @property
    def standing(self) -> tuple[object, ...]:
        """All of it that parties and streams follow from."""
        who = (self.numbers, self.called, self.called_name)
        return (self.stage, self.answered_any, self.caller_said, self.called_said, *who)

    def side_of(self, from_tag: str, to_tag: str, is_request: bool) -> Side | None:
        """Who sent a message with these tags; None when it is of another dialog."""
        if self.from_tag == from_tag:
            by_caller = is_request
        elif self.from_tag == to_tag and to_tag:
            by_caller = not is_request
        else:
            return None
        return Side.CALLER if by_caller else Side.CALLED

    def offer(self, side: Side, cseq: int, description: Description) -> None:
        """A description in a request: it counts at once, and is taken back if the request is refused."""
        named = f"{side}:{cseq}"
        if self.stage is Stage.ANSWERED and named not in self.offered:
            while len(self.offered) >= MOST_PENDING:
                del self.offered[next(iter(self.offered))]
            self.offered[named] = self.said(side)
        self._set(side, description)

    def refused(self, side: Side, cseq: int) -> None:
        """The request of this side was refused: what it had said before counts again (RFC 3261 §14.1)."""
        before = self.offered.pop(f"{side}:{cseq}", None)
        if before is not None:
            self._set(side, before)

    def ringing(self, to_tag: str, description: Description | None) -> None:
        """A provisional answer of a branch; the last one that describes media is the one that is heard."""
        if self.stage is not Stage.CALLING or description is None:
            return
        if to_tag in self.early or len(self.early) < MOST_BRANCHES:
            self.early[to_tag] = description
        self.called_said, self.answered_any = description, True

    def answered(self, side: Side, to_tag: str, description: Description | None) -> None:
        """A final answer by `side`: the dialog of this branch is the one that counts."""
        if self.stage is Stage.CALLING and side is Side.CALLED:
            self.stage, self.to_tag = Stage.ANSWERED, to_tag
            self.called_said = description or self.early.get(to_tag) or self.called_said
            self.early.clear()
        elif description is not None:
            self._set(side, description)
        if description is not None:
            self.answered_any = True
        self.offered.clear()

    def _set(self, side: Side, description: Description) -> None:
        if side is Side.CALLER:
            self.caller_said = description
        else:
            self.called_said = description
