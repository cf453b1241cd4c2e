"""What is sent next to one destination: the most important purpose first, of each the oldest; one upload each.

A few rows at a time are taken from the catalog, and anew each second: what comes in meanwhile and is more important
does not wait for a long queue.
"""

import threading
from collections.abc import Callable, Sequence

from agent.model.artifact import Artifact, Delivery
from agent.store.catalog import Catalog

AHEAD = 4
"""So many rows are taken for each upload at once."""


class Shelf:
    """Of one destination. `order`: purposes by importance; others come after them, by name."""

    def __init__(
        self,
        destination: str,
        order: Sequence[str],
        uploads: int,
        stale_s: float,
        catalog: Catalog,
        clock_ns: Callable[[], int],
        monotonic: Callable[[], float],
    ) -> None:
        self._destination = destination
        self._rank = {purpose: rank for rank, purpose in enumerate(order)}
        self._batch = uploads * AHEAD
        self._stale_s = stale_s
        self._catalog = catalog
        self._clock_ns = clock_ns
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._rows: list[Artifact] = []
        self._filled_s = 0.0
        self._in_hand: dict[str, Artifact] = {}

    def take(self) -> Artifact | None:
        """The next one, to be put back when it was tried; None when nothing is due."""
        with self._lock:
            if not self._rows or self._monotonic() - self._filled_s >= self._stale_s:
                self._fill()
            while self._rows:
                artifact = self._rows.pop(0)
                if self._catalog.corrections.claim(artifact.artifact_id, self._clock_ns()):
                    self._in_hand[artifact.artifact_id] = artifact
                    return artifact
                # else it was masked or dropped since the row was read
        return None

    def put_back(self, artifact: Artifact) -> None:
        """It was tried, and the catalog says how it went."""
        with self._lock:
            self._in_hand.pop(artifact.artifact_id, None)

    def has(self, artifact_id: str) -> bool:
        """Whether somebody is sending it just now."""
        with self._lock:
            return artifact_id in self._in_hand

    def clear(self) -> None:
        """Begin with the most important again."""
        with self._lock:
            self._rows.clear()

    def _fill(self) -> None:
        in_hand = dict(self._in_hand)  # before the catalog is read: what is put back later is in it as it then stands
        now_ns, self._filled_s = self._clock_ns(), self._monotonic()
        self._rows = []
        waiting = self._catalog.lanes.purposes(self._destination)
        for purpose in sorted(waiting, key=lambda name: (self._rank.get(name, len(self._rank)), name)):
            most = self._batch + len(in_hand)
            due = self._catalog.next_waiting(self._destination, purpose, now_ns, most)
            self._rows += [a for a in due if a.artifact_id not in in_hand]
            if len(self._rows) >= self._batch:
                break
        del self._rows[self._batch :]
        if all(a.delivery is not Delivery.POISONED for a in in_hand.values()):  # one at a time: it holds up nobody
            aside = self._catalog.due_poisoned(self._destination, now_ns, 1 + len(in_hand))
            self._rows[1:1] = [a for a in aside if a.artifact_id not in in_hand][:1]
