"""Who fetched what, when: a line of the journal before the first byte leaves, without one disk flush a request.

Lines of requests that come while one flush is under way share the next. Whoever takes a file up again, or fetches it in
ranges, is written down once an hour.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from agent.store.journal import Journal

AGAIN_S = 3600.0
MOST_KNOWN = 4096


class AccessLog:
    """Writes into `journal`, in a thread, one group of lines at a time."""

    def __init__(self, journal: Journal, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._journal = journal
        self._monotonic = monotonic
        self._known: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._waiting: list[tuple[dict[str, Any], asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def fetched(self, by: str, artifact_id: str, **fields: str) -> None:
        """Durable when this returns. Raises OSError."""
        key = (by, artifact_id)
        if self._monotonic() < self._known.get(key, 0.0):
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(({"artifact": artifact_id, "by": by, **fields}, done))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())
        await done
        self._known[key] = self._monotonic() + AGAIN_S
        self._known.move_to_end(key)
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                await asyncio.to_thread(self._append, [fields for fields, _ in batch])
            except (OSError, ValueError) as error:
                for _, done in batch:
                    if not done.done():
                        done.set_exception(OSError(str(error)))
            else:
                for _, done in batch:
                    if not done.done():
                        done.set_result(None)

    def _append(self, lines: list[dict[str, Any]]) -> None:
        with self._journal.group():
            for fields in lines:
                self._journal.append("fetched", **fields)
