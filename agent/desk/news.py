"""Long polls: who waits for something new in a feed is woken when there is, by one look at the catalog for all of
them."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Collection

LOOK_S = 0.25
"""How often the catalog is looked at while anybody waits, and never otherwise."""
MOST_WAITING = 8
"""Long polls of one asker."""


class TooMany(RuntimeError):
    """One asker waits too often at once."""


class News:
    """`newest` tells the number of the last entry of some purposes; it runs in a thread."""

    def __init__(self, newest: Callable[[Collection[str]], dict[str, int]], look_s: float = LOOK_S) -> None:
        self._newest, self._look_s = newest, look_s
        self._waiting: dict[asyncio.Event, tuple[str, int]] = {}
        self._askers: dict[str, int] = {}
        self._looking: asyncio.Task[None] | None = None

    async def wait(
        self, purpose: str, seen: int, asker: str, seconds: float, gone: Callable[[], Awaitable[bool]]
    ) -> bool:
        """Whether a purpose has an entry behind number `seen`; False when the time is over, or the asker has `gone`.

        Raises TooMany.
        """
        if self._askers.get(asker, 0) >= MOST_WAITING:
            raise TooMany
        self._askers[asker] = self._askers.get(asker, 0) + 1
        event = asyncio.Event()
        self._waiting[event] = (purpose, seen)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        try:
            while (left := until - loop.time()) > 0 and not await gone():
                try:
                    async with asyncio.timeout(min(1.0, left)):
                        await event.wait()
                    return True
                except TimeoutError:
                    continue
            return False
        finally:
            del self._waiting[event]
            self._askers[asker] -= 1
            if not self._askers[asker]:
                del self._askers[asker]

    async def _look(self) -> None:
        while self._waiting:
            try:
                now = await asyncio.to_thread(self._newest, {purpose for purpose, _ in self._waiting.values()})
            except sqlite3.Error:  # no catalog yet
                now = {}
            for event, (purpose, seen) in self._waiting.items():
                if now.get(purpose, 0) > seen:
                    event.set()
            await asyncio.sleep(self._look_s)
