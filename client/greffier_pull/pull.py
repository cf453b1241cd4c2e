"""Pulling: page after page, each artifact fetched, checked, made durable, then acknowledged; then the cursor moves.

Killed anywhere, the next run does the rest: what is whole is not fetched again, what is partial is taken up, and
acknowledging again gives the same receipt. A tombstone is obeyed before it is acknowledged.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from greffier_pull.depot import Depot, WrongDigest
from greffier_pull.feed import CursorGone, Feed, Item, NotNow, PullError, TakenBack, TryAgain

WAIT_S = 55.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
MOST_TOLD = 10
LONGEST_TOLD_S = 300.0
"""However long the box asks us to wait."""
IDLE_S = 1.0
"""Between two questions of which the first brought nothing: a box may not wait as it should."""
MOST_ATTEMPTS = 5
"""At one thing, where nobody said to follow; and at one file whose digest is wrong."""

T = TypeVar("T")
Tell = Callable[[str], None]
Show = Callable[[Item, int], None]


@dataclass
class Counts:
    """What was done."""

    fetched: int = 0
    bytes: int = 0
    acknowledged: int = 0
    destroyed: int = 0
    skipped: int = 0


class Spoiled(PullError):
    """One file that is not what the feed says, however often it is fetched."""


class Puller:
    """Pulls one feed into one depot. `tell` is told of what happens, `show` how many bytes of an item are here."""

    def __init__(self, feed: Feed, depot: Depot, stop: threading.Event, tell: Tell, show: Show) -> None:
        self._feed, self._depot, self._stop, self._tell, self._show = feed, depot, stop, tell, show
        self.counts = Counts()

    def run(self, follow: bool) -> None:
        """Until all is here, or for ever if `follow`, until stopped. Raises PullError, TryAgain, OSError.

        A file that never is what the feed says holds up no other; but the cursor is kept before it, so that the next
        run tries it again.
        """
        cursor = self._depot.cursor(self._feed.url)
        spoiled: list[str] = []
        while not self._stop.is_set():
            try:
                page = self._patiently(lambda at=cursor: self._feed.page(at, WAIT_S if follow else 0.0), follow)  # type: ignore[misc]
            except CursorGone:
                if cursor is None:
                    raise PullError(f"{self._feed.url} knows no cursor, though none was sent") from None
                self._tell("the box has another catalog: the feed is read from its beginning")
                cursor = None
                continue
            for item in page.items:
                if self._stop.is_set():
                    return
                try:
                    self._patiently(lambda one=item: self._take(one), follow)  # type: ignore[misc]
                except Spoiled as error:
                    self._tell(str(error))
                    spoiled.append(str(error))
            if page.more and page.cursor == cursor:
                raise PullError(f"{self._feed.url} says that there is more, and never goes on")
            if page.cursor != cursor:
                cursor = page.cursor
                if not spoiled:
                    self._depot.remember(self._feed.url, cursor)
            if not page.more and not follow:
                if spoiled:
                    raise PullError(f"{'; '.join(spoiled[:MOST_TOLD])}; everything else is here")
                return
            if not page.items and not page.more:
                self._stop.wait(IDLE_S)

    def _patiently(self, do: Callable[[], T], follow: bool) -> T:
        """Try, and again when that may help: longer each time, without end if `follow`."""
        pause_s, attempt = FIRST_PAUSE_S, 1
        while True:
            try:
                return do()
            except TryAgain as error:
                if self._stop.is_set() or (attempt >= MOST_ATTEMPTS and not follow):
                    raise
                wait_s = max(pause_s, min(error.after_s or 0.0, LONGEST_TOLD_S))
                self._tell(f"{error}; again in {wait_s:g} s")
                self._stop.wait(wait_s)
                pause_s, attempt = min(2 * pause_s, LONGEST_PAUSE_S), attempt + 1

    def _take(self, item: Item) -> None:
        try:
            if not self._depot.has(item):
                self._fetch(item)
            for one in item.destroys:
                if self._depot.destroy(one):
                    self.counts.destroyed += 1
                    self._tell(f"destroyed {one.path}, as {item.path} demands")
            if not self._depot.receipt(item).exists():
                self._depot.keep_receipt(item, self._feed.acknowledge(item))
                self.counts.acknowledged += 1
        except NotNow:
            self.counts.skipped += 1  # it comes again, behind the cursor
        except TakenBack:
            self.counts.skipped += 1
            self._depot.forget(item)

    def _fetch(self, item: Item) -> None:
        for _ in range(MOST_ATTEMPTS):
            start = self._depot.begun(item)
            try:
                if start and start == item.size:  # killed before it had its name
                    self._stored(item, start, iter(()))
                else:
                    with self._feed.fetch(item, start) as (at, pieces):
                        self._stored(item, at, pieces)
            except WrongDigest:
                self._tell(f"{item.path}: what came is not what the feed says; fetched again")
            else:
                self.counts.fetched += 1
                self.counts.bytes += item.size
                return
        raise Spoiled(f"{item.path}: its SHA-256 is never what the feed says: is something in between changing it?")

    def _stored(self, item: Item, start: int, pieces: Iterator[bytes]) -> None:
        for here in self._depot.store(item, start, pieces):
            self._show(item, here)
