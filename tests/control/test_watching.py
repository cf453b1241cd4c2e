"""Watchers: what is told is heard in order, and who is cancelled while news comes is gone all the same."""

import asyncio
from contextlib import suppress

from agent.control.watching import Watcher, WatchRoom


def test_a_watcher_that_is_cancelled_just_as_news_comes_ends() -> None:
    async def story() -> None:
        watcher, heard = Watcher(WatchRoom()), list[object]()

        async def listen() -> None:
            async for news in watcher:
                heard.append(news)

        listening = asyncio.create_task(listen())
        await asyncio.sleep(0)
        watcher.put({"news": "x"})
        await asyncio.sleep(0)  # it has been handed the news, and has not run since
        listening.cancel()
        with suppress(asyncio.CancelledError):
            async with asyncio.timeout(5):
                await listening
        assert listening.cancelled()

    asyncio.run(story())


def test_what_is_told_is_heard_in_order_after_what_there_was() -> None:
    async def story() -> list[object]:
        room = WatchRoom()
        watcher = Watcher(room)
        room.welcome(watcher, [{"news": "call", "n": 0}], asyncio.get_running_loop())
        await asyncio.sleep(0)
        for n in (1, 2):
            room.tell({"news": "call", "n": n})
        heard: list[object] = []
        async for news in watcher:
            heard.append(news.get("n", news["news"]))
            if len(heard) == 4:
                watcher.close()
                return heard
        return heard

    assert asyncio.run(story()) == [0, "ready", 1, 2]
