"""The scribe stays behind: whatever it computes, the recorder comes first (DESIGN I7), however it was started.

systemd gives its unit the same (`Nice=10`, `IOSchedulingClass=idle`); this is for `greffier run` and containers.
"""

import ctypes
import os
import platform
import threading

import structlog

log = structlog.get_logger()

NICE = 10
IDLE_DISK = 3 << 13
"""`IOPRIO_CLASS_IDLE` (ioprio_set(2)): the disk is its own only where nobody else wants it."""
_WHO_PROCESS = 1
_IOPRIO_SET = {"x86_64": 251, "aarch64": 30}


def stay_behind() -> None:
    """Lower the calling thread, and those it starts from now on, never raise it; what the system refuses is logged."""
    me = threading.get_native_id()
    try:
        if os.getpriority(os.PRIO_PROCESS, me) < NICE:
            os.setpriority(os.PRIO_PROCESS, me, NICE)
    except OSError as error:
        log.warning("scribe.priority", error=str(error))
    number = _IOPRIO_SET.get(platform.machine())
    if number is not None and ctypes.CDLL(None, use_errno=True).syscall(number, _WHO_PROCESS, 0, IDLE_DISK) != 0:
        log.warning("scribe.disk_priority", error=os.strerror(ctypes.get_errno()))
