"""News for whoever watches a process: a line to each watcher, in order, and nobody is ever waited for.

Another thread tells; the control socket's loop passes on. A watcher that falls behind is cut off and connects again.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Any

from agent.control.takenback import amend

MOST_WATCHERS = 16
MOST_WAITING = 20_000
"""Lines that wait for one watcher: several for each of the most calls there can be."""
ALIVE_S = 5.0

News = dict[str, Any]


class Watcher:
    """One who watches: an iterator of news, which ends when too many wait. With nothing new for ALIVE_S it says so."""

    def __init__(self, room: "WatchRoom") -> None:
        self._room = room
        self._queue: asyncio.Queue[News | None] = asyncio.Queue()
        self._over = asyncio.Event()

    @property
    def is_cut_off(self) -> bool:
        """Whether it hears nothing more."""
        return self._over.is_set()

    async def cut_off(self) -> None:
        """Return when it hears nothing more, though it may be stuck in what it was told before."""
        await self._over.wait()

    def put(self, news: News) -> None:
        """In the loop's thread. Nothing is dropped from the middle: who is too slow hears nothing more."""
        if self.is_cut_off:
            return
        if self._queue.qsize() >= MOST_WAITING:
            self._over.set()
            while not self._queue.empty():
                self._queue.get_nowait()
            self._queue.put_nowait(None)
            return
        self._queue.put_nowait(news)

    def recall(self, change: Callable[[News], News | None]) -> None:
        """In the loop's thread. What waits for it is told as `change` says, or not at all."""
        if not self.is_cut_off:
            amend(self._queue, lambda news: news and change(news))

    def close(self) -> None:
        """It watches no more."""
        self._over.set()
        self._room.leave(self)

    async def __aiter__(self) -> AsyncIterator[News]:
        while True:
            news: News | None = {"news": "alive"}
            with suppress(TimeoutError):
                async with asyncio.timeout(ALIVE_S):  # wait_for may swallow being cancelled when news comes just then
                    news = await self._queue.get()
            if news is None:
                return
            yield news


class WatchRoom:
    """Those who watch. `is_watched` costs nothing, so that what nobody hears need not be put into words."""

    def __init__(self) -> None:
        self._watchers: list[Watcher] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    # ---- in the loop's thread

    def leave(self, watcher: Watcher) -> None:
        """See `Watcher.close`."""
        if watcher in self._watchers:
            self._watchers.remove(watcher)

    def has_room(self) -> bool:
        """Whether one more may watch."""
        return len(self._watchers) < MOST_WATCHERS

    def _spread(self, news: News) -> None:
        for watcher in self._watchers:
            watcher.put(news)

    def _recall(self, change: Callable[[News], News | None], news: News) -> None:
        for watcher in self._watchers:
            watcher.recall(change)
            watcher.put(news)

    def _begin(self, watcher: Watcher, news: Sequence[News]) -> None:
        if not watcher.is_cut_off:
            self._watchers.append(watcher)
        for one in news:
            watcher.put(one)

    # ---- in the thread that tells

    @property
    def is_watched(self) -> bool:
        """Whether anybody would hear it."""
        return bool(self._watchers)

    def welcome(self, watcher: Watcher, begin: Sequence[News], loop: asyncio.AbstractEventLoop) -> None:
        """It hears `begin`, which ends with `ready`, and everything that is told after that."""
        self._loop = loop
        loop.call_soon_threadsafe(self._begin, watcher, [*begin, {"news": "ready"}])

    def tell(self, news: News) -> None:
        """Everybody who watches hears this."""
        if self._watchers and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._spread, news)

    def take_back(self, change: Callable[[News], News | None], news: News) -> None:
        """Everybody who watches hears this; what still waits for them goes out as `change` says, or not at all."""
        if self._watchers and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._recall, change, news)
