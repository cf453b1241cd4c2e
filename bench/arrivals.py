"""How often files get their names in some folders, counted by the kernel (inotify(7), IN_MOVED_TO): none goes unseen.

A library would ask for more than renames, and lose some of 60,000 in a minute when the kernel's queue is full.
"""

import ctypes
import os
import select
import struct
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

_IN_MOVED_TO = 0x80
_IN_Q_OVERFLOW = 0x4000
_HEADER = struct.Struct("iIII")
_READ_BYTES = 1 << 20
_LOOK_S = 0.2


class Arrivals:
    """Counts by `folder name/file name`, in a thread of its own until `close`. Folders may be renamed meanwhile."""

    def __init__(self, folders: Sequence[Path]) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self.count: Counter[str] = Counter()
        self.overflowed = False
        self._file = libc.inotify_init1(os.O_CLOEXEC)
        self._folders: dict[int, str] = {}
        for folder in folders:
            watch = libc.inotify_add_watch(self._file, os.fsencode(folder), _IN_MOVED_TO)
            if watch < 0:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number), str(folder))
            self._folders[watch] = folder.name
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """When all that was done before is counted."""
        self._stop.set()
        self._thread.join()
        os.close(self._file)

    def _run(self) -> None:
        while True:
            last = self._stop.is_set()
            if select.select([self._file], [], [], 0 if last else _LOOK_S)[0]:
                self._take(os.read(self._file, _READ_BYTES))
            elif last:
                return

    def _take(self, events: bytes) -> None:
        at = 0
        while at < len(events):
            watch, mask, _, size = _HEADER.unpack_from(events, at)
            at += _HEADER.size
            if mask & _IN_Q_OVERFLOW:
                self.overflowed = True
            else:
                name = os.fsdecode(events[at : at + size].rstrip(b"\0"))
                self.count[f"{self._folders[watch]}/{name}"] += 1
            at += size
