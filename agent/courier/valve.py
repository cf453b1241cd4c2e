"""Whether, and how fast, may be sent to a destination now: by its hours, and by who paused it (docs/delivery.md)."""

from collections.abc import Callable

from agent.model.bandwidth import Bandwidth
from agent.policy.bandwidth import rate_at
from agent.policy.calendar import Calendar
from agent.store.lanes import LaneRow, Lanes

LOOK_S = 1.0


class Valve:
    """Of one destination, for its lane and its throttle. The catalog is asked once a second at most."""

    def __init__(
        self,
        destination: str,
        bandwidth: Bandwidth,
        calendar: Calendar,
        lanes: Lanes,
        clock_ns: Callable[[], int],
        monotonic: Callable[[], float],
    ) -> None:
        self._destination = destination
        self._bandwidth = bandwidth
        self._calendar = calendar
        self._lanes = lanes
        self._clock_ns = clock_ns
        self._monotonic = monotonic
        self._row = lanes.lane(destination)
        self._looked_s = monotonic()

    def row(self) -> LaneRow:
        """What people asked of the lane."""
        if self._monotonic() - self._looked_s >= LOOK_S:
            self._looked_s = self._monotonic()
            self._row = self._lanes.lane(self._destination)
        return self._row

    def rate(self) -> float | None:
        """Bytes a second now; None: no limit, 0: closed."""
        now_ns = self._clock_ns()
        return 0.0 if self.row().is_paused(now_ns) else rate_at(self._bandwidth, self._calendar, now_ns)

    @property
    def closed(self) -> bool:
        """Whether nothing may be sent now."""
        return self.rate() == 0
