"""What waits to be told and is taken back before anybody heard it: words of a call that a pause reached.

Who was told already hears `forgotten` and lets go by himself; what still lies in a queue need not go out at all.
"""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


def amend(waiting: asyncio.Queue[T], change: Callable[[T], T | None]) -> None:
    """Put `change` of all that waits in the place of it, in order; None: nothing. In the loop's thread."""
    for _ in range(waiting.qsize()):
        one = change(waiting.get_nowait())
        if one is not None:
            waiting.put_nowait(one)


def without_words(news: dict[str, Any], call_id: str, from_s: float) -> dict[str, Any]:
    """A piece of news without words of the call that end after `from_s`; the numbers of its texts stay whole."""
    if news.get("news") != "text" or news["call_id"] != call_id:
        return news
    words = [word for word in news["words"] if word["end_s"] <= from_s]
    if len(words) == len(news["words"]):
        return news
    start_s, end_s = (words[0]["start_s"], words[-1]["end_s"]) if words else (None, None)
    return {**news, "start_s": start_s, "end_s": end_s, "words": words}
