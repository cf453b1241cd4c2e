"""glibc is told to keep memory: otherwise each large temporary of the media thread is mapped and unmapped anew."""

import ctypes
import gc

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # mallopt(3)
KEPT_BYTES = 32 << 20
"""The most that mallopt(3) takes for mappings."""


def keep_memory() -> None:
    """For this process, from now on. Where there is no mallopt (other C libraries) nothing is done."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    gc.set_threshold(100_000, 50, 100)
    for option, value in ((_MMAP_THRESHOLD, KEPT_BYTES), (_TRIM_THRESHOLD, 8 * KEPT_BYTES), (_ARENA_MAX, 1)):
        mallopt(ctypes.c_int(option), ctypes.c_int(value))
