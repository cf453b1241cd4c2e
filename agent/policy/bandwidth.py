"""How many bytes a second may be sent at this moment. Pure.

Hours are looked up on the clocks of the site at each UTC instant: where summer time begins, a stretch from two to four
lasts one hour, where it ends three.
"""

from agent.model.bandwidth import Bandwidth
from agent.policy.calendar import Calendar, within

BYTES_PER_MBIT = 1_000_000 / 8


def rate_at(bandwidth: Bandwidth, calendar: Calendar, at_ns: int) -> float | None:
    """Bytes a second at this UTC instant; None: without limit, 0: nothing may be sent."""
    moment = calendar.moment(at_ns) if bandwidth.hours else None
    mbit = bandwidth.mbit
    if moment is not None:
        mbit = next((one.mbit for one in bandwidth.hours if within(moment, one.hours)), mbit)
    return None if mbit is None else mbit * BYTES_PER_MBIT
