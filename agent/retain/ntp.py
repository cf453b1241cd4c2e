"""The machine's clocks: UTC, time since its start with sleep, which start it was, and whether the kernel says that UTC
is kept by NTP (adjtimex(2); reading it takes no right)."""

import ctypes
import time
from functools import cache
from pathlib import Path

from agent.retain.clock import NS, Reading

_STA_UNSYNC, _STA_NANO = 0x0040, 0x2000
_TIME_ERROR = 5
_AGREE_NS = 2 * NS
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_TIMESYNCD = Path("/run/systemd/timesync/synchronized")


class _Timex(ctypes.Structure):
    """struct timex of <sys/timex.h>."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        *((name, ctypes.c_long) for name in ("offset", "freq", "maxerror", "esterror")),
        ("status", ctypes.c_int),
        *((name, ctypes.c_long) for name in ("constant", "precision", "tolerance", "time_s", "time_fraction", "tick")),
        *((name, ctypes.c_long) for name in ("ppsfreq", "jitter")),
        ("shift", ctypes.c_int),
        *((name, ctypes.c_long) for name in ("stabil", "jitcnt", "calcnt", "errcnt", "stbcnt")),
        ("tai", ctypes.c_int),
        ("padding", ctypes.c_int * 11),
    )


def read_clocks() -> Reading:
    """As they stand now."""
    boot_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return Reading(time.time_ns(), boot_ns, _boot_id(), synchronised())


def synchronised() -> bool:
    """Whether NTP keeps the clock. Where the kernel may not be asked, systemd-timesyncd is."""
    asked = _Timex()
    answer = ctypes.CDLL(None).adjtimex(ctypes.byref(asked))
    if answer < 0:
        return _TIMESYNCD.exists()
    fraction_ns = asked.time_fraction if asked.status & _STA_NANO else asked.time_fraction * 1000
    kernel_ns = asked.time_s * NS + fraction_ns
    mine = abs(kernel_ns - time.time_ns()) <= _AGREE_NS  # what it vouches for is the time that this process sees
    return answer != _TIME_ERROR and not asked.status & _STA_UNSYNC and mine


@cache
def _boot_id() -> str:
    return _BOOT_ID.read_text(encoding="ascii").strip()
