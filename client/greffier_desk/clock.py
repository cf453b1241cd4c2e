"""A clock that goes on while the machine sleeps: after a laptop wakes up, what the light showed before is old."""

import time

_CLOCK = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))


def now() -> float:
    """Seconds since some fixed moment, time asleep included."""
    return time.monotonic() if _CLOCK is None else time.clock_gettime(_CLOCK)
