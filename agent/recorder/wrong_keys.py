"""Secure RTP that no key of ours opens: an alarm while most of what a stream sends is of that kind.

A few such packets are nobody's fault (under way when keys changed, or a stranger's); a stream of them means that the
gateway encrypts under another key than it told us, and that the call is not being recorded.
"""

from collections.abc import Callable, Mapping

import structlog

from agent.media.srtp import Opened

WINDOW_S = 5.0
LEAST_PACKETS = 50

log = structlog.get_logger()


class WrongKeys:
    """`look` is told the counts by address; `owner_of(address)` names call and stream for the log."""

    def __init__(self, owner_of: Callable[[int], tuple[str, int]]) -> None:
        self._owner_of = owner_of
        self._before: dict[int, tuple[int, int]] = {}
        self._alarms: dict[int, tuple[str, int]] = {}
        self._window_ends = 0.0

    def look(self, counts: Mapping[int, Opened], now_s: float) -> None:
        """Raise what is to be raised at once, take back what is over at the end of a window."""
        ends = now_s >= self._window_ends
        for address, count in counts.items():
            opened, failed = self._before.get(address, (0, 0))
            if count.failed < failed or count.opened < opened:
                opened = failed = 0  # another stream at the same address
            new = count.failed - failed
            wrong = new > LEAST_PACKETS and new > count.opened - opened
            if wrong and address not in self._alarms:
                self._alarms[address] = call, stream = self._owner_of(address)
                mend = "the gateway's SRTP keys are not those of its SDP"
                log.error("alarm.srtp_wrong_key", call=call, stream=stream, packets=count.failed, mend=mend)
            elif ends and not wrong:
                self._over(address)
        if ends:
            self._window_ends = now_s + WINDOW_S
            self._before = {address: (count.opened, count.failed) for address, count in counts.items()}
        for address in [a for a in self._alarms if a not in counts]:
            self._over(address)

    def _over(self, address: int) -> None:
        if owner := self._alarms.pop(address, None):
            log.info("alarm.srtp_wrong_key.over", call=owner[0], stream=owner[1])
