"""A token bucket: never more than rate × time + burst, however many upload at once, also while the rate changes.

Time, rate and waiting are passed in. A piece larger than the burst is paid for before it may go: until it returns, a
`take` has waited for all of its bytes.
"""

import threading
from collections.abc import Callable

BURST_S = 0.25
LEAST_BURST = 64 << 10
LONGEST_WAIT_S = 1.0
"""The rate is looked up at least so often while somebody waits."""


class Halted(Exception):
    """Nothing may be sent any more: the hours of the destination, somebody's pause, or the end of the process. What is
    under way stops here and is taken up later; it did not fail."""


class TokenBucket:
    """The Throttle of one destination, shared by its uploads.

    `rate` is bytes a second at this moment (None: no limit, 0: closed); `monotonic` seconds; `wait` waits so many
    seconds and returns True when the process stops.
    """

    def __init__(
        self, rate: Callable[[], float | None], monotonic: Callable[[], float], wait: Callable[[float], bool]
    ) -> None:
        self._rate = rate
        self._monotonic = monotonic
        self._wait = wait
        self._turn = threading.Lock()
        """One upload at a time is served, so that none waits for ever beside smaller ones."""
        self._tokens = 0.0
        self._at_s = monotonic()
        self._before: float | None = 0.0

    def take(self, count: int) -> None:
        """Return when so many bytes may be sent. Raises Halted."""
        with self._turn:
            while count > 0:
                missing_s, taken = self._try(count)
                count -= taken
                if missing_s and self._wait(min(missing_s, LONGEST_WAIT_S)):
                    raise Halted

    @property
    def closed(self) -> bool:
        """Whether nothing may be sent now."""
        return self._rate() == 0

    def _try(self, count: int) -> tuple[float, int]:
        """What there is of `count` now, and how long to wait for the next of it. Raises Halted."""
        rate = self._rate()
        if rate == 0:
            self._before = rate
            raise Halted
        now_s = self._monotonic()
        if rate is None:
            self._tokens, self._at_s, self._before = 0.0, now_s, None
            return 0.0, count
        burst = burst_of(rate)
        passed = max(0.0, now_s - self._at_s)
        slower = rate if self._before is None else min(rate, self._before)
        self._tokens = min(burst, self._tokens + slower * passed)
        self._at_s, self._before = now_s, rate
        want = min(count, burst)
        if self._tokens >= want:
            self._tokens -= want
            return 0.0, int(want)
        return max((want - self._tokens) / rate, 0.001), 0


def burst_of(rate: float) -> int:
    """How many bytes may go at once at this rate."""
    return max(LEAST_BURST, int(rate * BURST_S))
