"""Who asks at another process's control socket: a few connections, one question each at a time, reopened when broken.

Questions do not wait for each other: people who press at the same moment are answered at the same moment.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

LIMIT = 16 << 20
PATIENCE_S = 3.0
"""Less than that of those who press through the desk: what is told them as failed must not be done after all."""
MOST_AT_ONCE = 8
"""Questions under way; more wait for their turn."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 2.0
"""Between two attempts to watch."""
SILENCE_S = 15.0
"""A watch says that it is alive every few seconds; after so much silence a process counts as away."""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class NoAnswer(ConnectionError):
    """A process does not answer; nothing was done that we know of."""


class ControlClient:
    """Asks the recorder, or the process that `of` names. Answers with `ok` false raise ValueError with its words.

    A question that is given up takes its connection with it, so that its answer can never be taken for another's.
    """

    def __init__(self, path: Path, patience_s: float = PATIENCE_S, of: str = "recorder") -> None:
        self._path = path
        self._of = of
        self._patience_s = patience_s
        self._turns = asyncio.Semaphore(MOST_AT_ONCE)
        self._idle: list[Streams] = []

    async def ask(self, **request: Any) -> dict[str, Any]:
        """The answer to one request, within the patience, waiting for one's turn included. Raises NoAnswer,
        ValueError."""
        try:
            async with asyncio.timeout(self._patience_s), self._turns:
                answer = await self._exchange(request)
        except (OSError, TimeoutError, EOFError, asyncio.LimitOverrunError, json.JSONDecodeError) as error:
            raise NoAnswer(f"the {self._of} does not answer on {self._path}: {type(error).__name__}") from None
        if not isinstance(answer, dict) or "ok" not in answer:
            raise NoAnswer(f"the {self._of} answers in another way on {self._path}")
        if not answer.pop("ok"):
            raise ValueError(answer["error"])
        return answer

    async def _exchange(self, request: dict[str, Any]) -> dict[str, Any]:
        reader, writer = await self._connection()
        try:
            writer.write(json.dumps(request).encode() + b"\n")
            await writer.drain()
            answer: dict[str, Any] = json.loads(await reader.readuntil(b"\n"))
        except BaseException:  # also when the asker is cancelled
            writer.close()
            raise
        self._idle.append((reader, writer))
        return answer

    async def _connection(self) -> Streams:
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()  # the other process was started anew meanwhile
        return await asyncio.open_unix_connection(self._path, limit=LIMIT)

    def close(self) -> None:
        """Let go of the connections; the next question opens another."""
        while self._idle:
            self._idle.pop()[1].close()


async def watch(path: Path, silence_s: float = SILENCE_S, of: str = "recorder") -> AsyncGenerator[dict[str, Any], None]:
    """What happens in the process that `of` names, for ever. Raises NoAnswer when it ends or falls silent."""
    try:
        async with asyncio.timeout(silence_s):
            reader, writer = await asyncio.open_unix_connection(path, limit=LIMIT)
        try:
            writer.write(b'{"op": "watch"}\n')
            while True:
                async with asyncio.timeout(silence_s):
                    line = await reader.readuntil(b"\n")
                news = json.loads(line)
                if "news" not in news:
                    raise NoAnswer(f"the {of} does not let itself be watched")
                yield news
        finally:
            writer.close()
    except (OSError, TimeoutError, EOFError, asyncio.LimitOverrunError, ValueError) as error:
        raise NoAnswer(f"the {of} cannot be watched: {type(error).__name__}") from None


async def follow(
    path: Path,
    take: Callable[[dict[str, Any]], None],
    away: Callable[[Exception], None],
    silence_s: float = SILENCE_S,
    of: str = "recorder",
) -> None:
    """Watch again and again; never returns. `take` is given all news from `ready` or what comes before it on, `away` is
    told each time that the process went, or could not be reached; what `take` cannot understand counts as that."""
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            async with aclosing(watch(path, silence_s, of)) as lines:
                async for news in lines:
                    take(news)
                    if news["news"] == "ready":
                        pause_s = FIRST_PAUSE_S
        except (NoAnswer, LookupError, TypeError) as error:
            away(error)
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
