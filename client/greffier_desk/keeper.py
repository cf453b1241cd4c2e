"""Tells the newest view to something that may be slow or stuck, from a thread of its own: nobody waits for it."""

import threading
from collections.abc import Callable

from greffier_desk.clock import now
from greffier_desk.words import View

KEEP_S = 0.05
FRESH_S = 1.0
"""What nobody has said again for so long does not hold any more, and is not told on."""


class Keeper:
    """Between the program, which says often how things stand, and one way of showing it."""

    def __init__(self, tell: Callable[[View], None], name: str) -> None:
        self._tell = tell
        self._view: tuple[View, float] | None = None
        self._is_over = threading.Event()
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def show(self, view: View) -> None:
        """Returns at once."""
        self._view = view, now()

    def stop(self) -> None:
        """Tell nothing more."""
        self._is_over.set()

    def _work(self) -> None:
        while not self._is_over.wait(KEEP_S):
            if self._view is not None and now() - self._view[1] < FRESH_S:
                self._tell(self._view[0])
