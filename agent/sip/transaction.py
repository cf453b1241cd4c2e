"""Server transactions: what is sent again, how often, and until when, written as one table.

RFC 3261 §17.2.1 (INVITE) and §17.2.2 (others), with RFC 6026's Accepted state; the retransmission of a 2xx until its
ACK (§13.3.1.4), properly the business of the server core, is a row of the same table. Timers are due times on the
clock that is passed in (monotonic seconds).
"""

import heapq
from collections.abc import Hashable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from aiosipua.message import SipRequest

from agent.sip.errors import SipError
from agent.sip.message import branch, call_id, cseq, header, tag

T1_S = 0.5
T2_S = 4.0
T4_S = 5.0
LIFE_S = 64 * T1_S
MAX_TRANSACTIONS = 50_000
_COOKIE = "z9hG4bK"

Key = tuple[str, ...]


class State(Enum):
    """Where a server transaction stands."""

    PROCEEDING = auto()
    ACCEPTED = auto()
    ACKED = auto()
    COMPLETED = auto()
    CONFIRMED = auto()
    DONE = auto()
    TERMINATED = auto()


class Event(Enum):
    """What happens to it. `AGAIN` is a retransmission of the request; `LATE` the end of its life."""

    AGAIN = auto()
    SENT_2XX = auto()
    SENT_FINAL = auto()
    ACK = auto()
    RESEND = auto()
    LATE = auto()


class Action(Enum):
    """What its owner must do."""

    SEND = auto()
    NO_ACK = auto()
    """Nobody acknowledged the 2xx: the session is to be ended with BYE."""


Row = tuple[State, tuple[Action, ...]]

INVITE_TABLE: dict[tuple[State, Event], Row] = {
    (State.PROCEEDING, Event.AGAIN): (State.PROCEEDING, ()),
    (State.PROCEEDING, Event.SENT_2XX): (State.ACCEPTED, (Action.SEND,)),
    (State.PROCEEDING, Event.SENT_FINAL): (State.COMPLETED, (Action.SEND,)),
    (State.PROCEEDING, Event.LATE): (State.TERMINATED, ()),
    (State.ACCEPTED, Event.AGAIN): (State.ACCEPTED, (Action.SEND,)),
    (State.ACCEPTED, Event.RESEND): (State.ACCEPTED, (Action.SEND,)),
    (State.ACCEPTED, Event.ACK): (State.ACKED, ()),
    (State.ACCEPTED, Event.LATE): (State.TERMINATED, (Action.NO_ACK,)),
    (State.ACKED, Event.AGAIN): (State.ACKED, ()),
    (State.ACKED, Event.ACK): (State.ACKED, ()),
    (State.ACKED, Event.LATE): (State.TERMINATED, ()),
    (State.COMPLETED, Event.AGAIN): (State.COMPLETED, (Action.SEND,)),
    (State.COMPLETED, Event.RESEND): (State.COMPLETED, (Action.SEND,)),
    (State.COMPLETED, Event.ACK): (State.CONFIRMED, ()),
    (State.COMPLETED, Event.LATE): (State.TERMINATED, ()),
    (State.CONFIRMED, Event.AGAIN): (State.CONFIRMED, ()),
    (State.CONFIRMED, Event.ACK): (State.CONFIRMED, ()),
    (State.CONFIRMED, Event.LATE): (State.TERMINATED, ()),
}

OTHER_TABLE: dict[tuple[State, Event], Row] = {
    (State.PROCEEDING, Event.AGAIN): (State.PROCEEDING, ()),
    (State.PROCEEDING, Event.SENT_2XX): (State.DONE, (Action.SEND,)),
    (State.PROCEEDING, Event.SENT_FINAL): (State.DONE, (Action.SEND,)),
    (State.PROCEEDING, Event.LATE): (State.TERMINATED, ()),
    (State.DONE, Event.AGAIN): (State.DONE, (Action.SEND,)),
    (State.DONE, Event.LATE): (State.TERMINATED, ()),
}

RESENDING = frozenset({State.ACCEPTED, State.COMPLETED})
"""States in which the response is sent again on a timer (G; 2xx always, the rest where packets get lost)."""


@dataclass(slots=True)
class ServerTransaction:
    """One request and the response to it. `owner` is what its user needs to send again (a peer)."""

    key: Key
    invite: bool
    reliable: bool
    owner: Any
    state: State = State.PROCEEDING
    response: bytes = b""
    wait_s: float = T1_S
    resend_at: float = 0.0
    late_at: float = 0.0


def key_of(request: SipRequest) -> Key:
    """The transaction a request belongs to; ACK and CANCEL have that of their INVITE.

    Call-ID and CSeq are part of the key, since some peers use one branch for a whole dialog; peers without RFC 3261
    branches are told apart by From tag (§17.2.3).
    """
    method = "INVITE" if request.method in ("ACK", "CANCEL") else request.method
    value, sent_by = branch(request)
    name = (value, sent_by) if value.startswith(_COOKIE) else ("", tag(request, "from"), header(request, "from")[:255])
    return (*name, call_id(request), str(cseq(request)), method)


class TransactionTable:
    """All server transactions. Raises nothing but SipError 503 from `open` when there are MAX_TRANSACTIONS."""

    def __init__(self) -> None:
        self._all: dict[Key, ServerTransaction] = {}
        self._invites: dict[tuple[str, int], Key] = {}
        self._timers: list[tuple[float, Key]] = []

    def __len__(self) -> int:
        return len(self._all)

    def find(self, request: SipRequest) -> ServerTransaction | None:
        """The transaction that `request` repeats, acknowledges or cancels.

        An ACK or CANCEL whose branch is not that of its INVITE is placed by Call-ID and CSeq number.
        """
        found = self._all.get(key_of(request))
        if found is None and request.method in ("ACK", "CANCEL"):
            found = self._all.get(self._invites.get((call_id(request), cseq(request)), ()))
        return found

    def open(
        self, request: SipRequest, reliable: bool, owner: Hashable, now: float, key: Key | None = None
    ) -> ServerTransaction:
        """A new transaction for `request`; `key` where it differs from that of the request (CANCEL)."""
        if len(self._all) >= MAX_TRANSACTIONS:
            raise SipError(503, "too many transactions")
        new = ServerTransaction(key or key_of(request), request.method == "INVITE", reliable, owner)
        self._all[new.key] = new
        if new.invite:
            self._invites[(call_id(request), cseq(request))] = new.key
        new.late_at = now + LIFE_S
        heapq.heappush(self._timers, (new.late_at, new.key))
        return new

    def happen(self, tx: ServerTransaction, event: Event, now: float) -> tuple[Action, ...]:
        """Let `event` happen to a transaction; pairs that are not in the table are ignored."""
        state, actions = (INVITE_TABLE if tx.invite else OTHER_TABLE).get((tx.state, event), (tx.state, ()))
        if state is not tx.state:
            tx.state = state
            self._enter(tx, now)
        elif event is Event.RESEND and actions:
            tx.wait_s = min(tx.wait_s * 2, T2_S)
            self._resend_later(tx, now)
        return actions

    def answer(self, tx: ServerTransaction, status: int, response: bytes, now: float) -> None:
        """The final response has been made and is to be sent."""
        tx.response = response
        self.happen(tx, Event.SENT_2XX if status < 300 else Event.SENT_FINAL, now)

    def due(self, now: float) -> list[tuple[ServerTransaction, Action]]:
        """What is to be done by now."""
        todo = []
        while self._timers and self._timers[0][0] <= now:
            _, key = heapq.heappop(self._timers)
            tx = self._all.get(key)
            if tx is None:
                continue
            if now >= tx.late_at:
                todo += [(tx, action) for action in self.happen(tx, Event.LATE, now)]
            elif tx.state in RESENDING and now >= tx.resend_at > 0:
                todo += [(tx, action) for action in self.happen(tx, Event.RESEND, now)]
        return todo

    def _enter(self, tx: ServerTransaction, now: float) -> None:
        if tx.state is State.TERMINATED:
            self._forget(tx)
            return
        brief = tx.state is State.CONFIRMED or (tx.state in (State.DONE, State.ACKED) and tx.reliable)
        tx.late_at = now + (T4_S if brief else LIFE_S)
        heapq.heappush(self._timers, (tx.late_at, tx.key))
        if tx.state is State.ACCEPTED or (tx.state is State.COMPLETED and not tx.reliable):
            self._resend_later(tx, now)

    def _resend_later(self, tx: ServerTransaction, now: float) -> None:
        tx.resend_at = now + tx.wait_s
        heapq.heappush(self._timers, (tx.resend_at, tx.key))

    def _forget(self, tx: ServerTransaction) -> None:
        self._all.pop(tx.key, None)
        if tx.invite:
            place = (tx.key[-3], int(tx.key[-2]))
            if self._invites.get(place) == tx.key:
                del self._invites[place]
