"""Session timers: how long a recording session lives without a sign of life, and who has to give it.

RFC 4028 §9 (what a server answers) and §10 (when the session is over).
"""

import re
from dataclasses import dataclass

from aiosipua.message import SipRequest

from agent.sip.errors import SipError
from agent.sip.message import header, tokens

MIN_SE_S = 90
DEFAULT_S = 1800
MAX_S = 86400
_INTERVAL = re.compile(r"\s*(\d{1,10})")
_REFRESHER = re.compile(r";\s*refresher\s*=\s*\"?(uac|uas)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SessionTimer:
    """What was agreed: `interval_s` 0 means that there is no timer."""

    interval_s: int = 0
    peer_refreshes: bool = True

    @property
    def patience_s(self) -> float:
        """Without a refresh for so long the session is over: §10 has the server end it a little before the interval."""
        return self.interval_s - min(32.0, self.interval_s / 3)

    @property
    def refresh_s(self) -> float:
        """When it is ours to refresh, do so after this."""
        return self.interval_s / 2


NO_TIMER = SessionTimer()


def agree(request: SipRequest) -> SessionTimer:
    """What an INVITE or UPDATE and we agree on.

    A peer that supports timers gets one even if it names none; it refreshes unless it asks us to. One that does not
    support them gets none. Raises SipError 422 when the interval is below MIN_SE_S and the peer can understand that.
    """
    supports = "timer" in tokens(request, "supported") | tokens(request, "require")
    value = header(request, "session-expires")
    asked = _INTERVAL.match(value)
    if asked is None:
        return SessionTimer(max(DEFAULT_S, _least(request))) if supports else NO_TIMER
    interval = min(int(asked[1]), MAX_S)
    if interval < MIN_SE_S:
        if supports:
            raise SipError(422, f"the session interval is below {MIN_SE_S} s")
        interval = MIN_SE_S
    refresher = _REFRESHER.search(value)
    return SessionTimer(interval, refresher is None or refresher[1].lower() == "uac")


def _least(request: SipRequest) -> int:
    found = _INTERVAL.match(header(request, "min-se"))
    return min(int(found[1]), MAX_S) if found else MIN_SE_S


def fields(timer: SessionTimer, request: SipRequest) -> dict[str, str]:
    """The headers of a 2xx: Session-Expires, and Require when the peer must refresh (§9)."""
    required = [t for t in ("siprec",) if t in tokens(request, "require")]
    answer = {}
    if timer.interval_s and "timer" in tokens(request, "supported") | tokens(request, "require"):
        answer["Session-Expires"] = f"{timer.interval_s};refresher={'uac' if timer.peer_refreshes else 'uas'}"
        if timer.peer_refreshes:
            required.append("timer")
    if required:
        answer["Require"] = ", ".join(required)
    return answer
