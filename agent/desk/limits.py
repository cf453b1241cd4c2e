"""How much one asker may ask: token buckets in constant memory, small bodies, and patience with slow senders.

Presses at a human pace never meet a limit. What is refused is answered 429 with Retry-After (RFC 6585 §4, RFC 9110
§10.2.3).
"""

import asyncio
import ipaddress
from collections import OrderedDict
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_KEYS = 4096
MOST_BODY = 16 << 10
BODY_S = 10.0
TURNS = 8
"""Of the event loop, until it has also seen the end of a connection that ended while it stood still."""


class Buckets:
    """A bucket a key: `burst` at once, `rate_s` a second on average. Who was not seen longest is forgotten first."""

    def __init__(self, rate_s: float, burst: int, most_keys: int = MOST_KEYS) -> None:
        self._rate_s = rate_s
        self._burst = float(burst)
        self._most_keys = most_keys
        self._filled: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str, now_s: float) -> float:
        """Take one; 0 when there was one, else in how many seconds there will be. `now_s` is monotonic."""
        level, at_s = self._filled.pop(key, (self._burst, now_s))
        level = min(self._burst, level + (now_s - at_s) * self._rate_s)
        wait_s = 0.0 if level >= 1.0 else (1.0 - level) / self._rate_s
        self._filled[key] = (level - (not wait_s), now_s)
        if len(self._filled) > self._most_keys:
            self._filled.popitem(last=False)
        return wait_s

    def __len__(self) -> int:
        return len(self._filled)


def address_key(host: str | None) -> str:
    """What an address is counted under: IPv4 as it is, IPv6 by its /64, which one machine has to itself."""
    try:
        address = ipaddress.ip_address(host or "")
    except ValueError:
        return "?"
    if address.version == 4:
        return str(address)
    return str(ipaddress.ip_network((address, 64), strict=False).network_address)


class SmallBodies:
    """Reads bodies before the application sees them: no more than `MOST_BODY` bytes (413), within `BODY_S` (408).

    What an asker gave up who has hung up since is not done: it was told as failed, and must not happen later.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = b""
        message: Message = {"more_body": True}
        try:
            async with asyncio.timeout(BODY_S):
                while message.get("more_body", False):
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return
                    body += message.get("body", b"")
                    if len(body) > MOST_BODY:
                        await _refuse(413, f"a body is at most {MOST_BODY} bytes", scope, receive, send)
                        return
        except TimeoutError:
            await _refuse(408, "the body did not come in time", scope, receive, send)
            return
        if await _hung_up(receive):
            return
        whole: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return whole.pop() if whole else await receive()

        await self._app(scope, replay, send)


async def _hung_up(receive: Receive) -> bool:
    """Whether the asker is gone, as when this process stood still for longer than the asker's patience."""
    for _ in range(TURNS):
        await asyncio.sleep(0)
    asked = asyncio.ensure_future(receive())
    await asyncio.sleep(0)
    if not asked.done():
        asked.cancel()
        return False
    return bool(asked.result()["type"] == "http.disconnect")


async def _refuse(status: int, words: str, *asgi: Any) -> None:
    await JSONResponse({"detail": f"not done: {words}"}, status, {"Connection": "close"})(*asgi)
