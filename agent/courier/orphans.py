"""Uploads at a destination that nobody will finish: let go of, every hour.

An upload is begun there before its id is in the catalog, and a box may be replaced: what then is left costs space, and
is seen by nobody. What the catalog remembers is kept, however old.
"""

import time
from collections.abc import Callable

import structlog

from agent.forward.destination import Destination, Poison, Retry
from agent.store.catalog import Catalog

log = structlog.get_logger()

EVERY_S = 3600.0


class Orphans:
    """Those of one destination. What fails is said and tried an hour later: it holds up nothing."""

    def __init__(self, catalog: Catalog, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._catalog = catalog
        self._monotonic = monotonic
        self._next_s = 0.0

    def step(self, destination: Destination) -> None:
        """Sweep if it is time."""
        if self._monotonic() < self._next_s:
            return
        self._next_s = self._monotonic() + EVERY_S
        try:
            destination.sweep(self._catalog.remembered_uploads())
        except Exception as error:  # a server's surprise must not end the lane
            why = str(error) if isinstance(error, Retry | Poison) else f"unexpected {type(error).__name__}"
            log.warning("delivery.not_swept", destination=destination.name, why=why)
