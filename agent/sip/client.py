"""Client transactions: the few requests a recording server sends (BYE, session refresh), sent again until answered.

RFC 3261 §17.1: timers E and F, which also serve the re-INVITE a refresh may need. Pure: times are passed in.
"""

from dataclasses import dataclass
from typing import Any

from aiosipua.message import SipResponse

from agent.sip.message import branch
from agent.sip.transaction import LIFE_S, T1_S, T2_S


@dataclass(slots=True)
class ClientTransaction:
    """A request that waits for its final response. `owner` and `method` tell its user what it was."""

    branch: str
    method: str
    data: bytes
    owner: Any
    reliable: bool
    late_at: float
    resend_at: float
    wait_s: float = T1_S


class ClientTable:
    """Requests under way, by branch."""

    def __init__(self) -> None:
        self._all: dict[str, ClientTransaction] = {}

    def __len__(self) -> int:
        return len(self._all)

    def send(self, name: str, method: str, data: bytes, owner: Any, reliable: bool, now: float) -> ClientTransaction:
        """Keep a request that is being sent."""
        new = ClientTransaction(name, method, data, owner, reliable, now + LIFE_S, now + T1_S)
        self._all[name] = new
        return new

    def answered(self, response: SipResponse) -> ClientTransaction | None:
        """The request that `response` answers for good; None for a provisional, repeated or foreign one."""
        name, _ = branch(response)
        found = self._all.get(name)
        if found is None:
            return None
        if response.status_code < 200:
            found.resend_at = found.late_at  # it has arrived
            return None
        return self._all.pop(name)

    def due(self, now: float) -> tuple[list[ClientTransaction], list[ClientTransaction]]:
        """Requests to send again, and those given up."""
        late = [tx for tx in self._all.values() if now >= tx.late_at]
        for tx in late:
            del self._all[tx.branch]
        again = [tx for tx in self._all.values() if not tx.reliable and now >= tx.resend_at]
        for tx in again:
            tx.wait_s = min(tx.wait_s * 2, T2_S)
            tx.resend_at = now + tx.wait_s
        return again, late
