"""The clock of the probe's media: one thread that sends what is due on all streams, a batch every tick.

A thread, so that media flows on whatever the event loop of the caller does; one for any number of calls.
"""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

TICK_S = 0.02


class Paced(Protocol):
    """Something that sends in steps."""

    def send(self, elapsed_s: float) -> bool:
        """Send all that is due `elapsed_s` after the start; True when nothing is left."""


class Pacer:
    """Runs while it has something to pace. `monotonic` gives seconds, `wait` waits for as many."""

    def __init__(
        self, monotonic: Callable[[], float] = time.monotonic, wait: Callable[[float], None] = time.sleep
    ) -> None:
        self._monotonic = monotonic
        self._wait = wait
        self._lock = threading.Lock()
        self._jobs: list[tuple[Paced, float, Callable[[Exception | None], None]]] = []
        self._thread: threading.Thread | None = None
        self._closed = False

    def start(self, job: Paced, finished: Callable[[Exception | None], None]) -> None:
        """Pace `job` from the next tick on; `finished` is called from the thread, with what went wrong or None."""
        with self._lock:
            if self._closed:
                raise RuntimeError("the pacer is closed")
            self._jobs.append((job, self._monotonic(), finished))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="probe-pacer", daemon=True)
                self._thread.start()

    def drop(self, job: Paced) -> None:
        """Send no more of `job`; its `finished` is not called."""
        with self._lock:
            self._jobs = [entry for entry in self._jobs if entry[0] is not job]

    def close(self) -> None:
        """Drop all jobs and end the thread."""
        with self._lock:
            self._closed, self._jobs, thread = True, [], self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        next_s = self._monotonic()
        while True:
            with self._lock:
                if not self._jobs:
                    self._thread = None
                    return
                jobs = list(self._jobs)
            for entry in jobs:
                self._step(entry)
            next_s += TICK_S
            pause_s = next_s - self._monotonic()
            if pause_s > 0:
                self._wait(pause_s)

    def _step(self, entry: tuple[Paced, float, Callable[[Exception | None], None]]) -> None:
        job, started_s, finished = entry
        failure: Exception | None = None
        try:
            if not job.send(self._monotonic() - started_s):
                return
        except Exception as error:
            failure = error
        with self._lock:
            if entry not in self._jobs:
                return
            self._jobs.remove(entry)
        finished(failure)
