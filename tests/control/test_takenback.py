"""Words that a pause reached and nobody has heard yet are told to nobody; all else goes out as it was."""

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agent.control.takenback import amend, without_words
from agent.control.watching import Watcher, WatchRoom


def text(call: str, seq: int, *ends: float) -> dict[str, Any]:
    words = [{"text": f"w{end}", "start_s": end - 0.3, "end_s": end} for end in ends]
    return {"news": "text", "call_id": call, "seq": seq, "start_s": ends[0] - 0.3, "end_s": ends[-1], "words": words}


def test_of_a_text_stays_what_was_said_before() -> None:
    whole = text("a", 3, 1.0, 2.0, 3.0)
    left = without_words(whole, "a", 2.0)
    assert [w["end_s"] for w in left["words"]] == [1.0, 2.0] and (left["seq"], left["end_s"]) == (3, 2.0)
    assert without_words(whole, "a", 0.5) == {**whole, "words": [], "start_s": None, "end_s": None}
    for other in (text("b", 1, 9.0), {"news": "forgotten", "call_id": "a", "from_s": 0.0}, {"news": "alive"}):
        assert without_words(other, "a", 0.0) is other


@given(st.lists(st.integers()))
def test_what_waits_is_changed_in_order(numbers: list[int]) -> None:
    queue: asyncio.Queue[int] = asyncio.Queue()
    for number in numbers:
        queue.put_nowait(number)
    amend(queue, lambda number: number + 1 if number % 2 else None)
    assert [queue.get_nowait() for _ in range(queue.qsize())] == [n + 1 for n in numbers if n % 2]


def test_a_watcher_that_is_behind_never_hears_what_was_taken_back() -> None:
    async def story() -> list[dict[str, Any]]:
        room = WatchRoom()
        watcher = Watcher(room)
        room.welcome(watcher, [], asyncio.get_running_loop())
        await asyncio.sleep(0)
        for news in (text("a", 0, 1.0), text("a", 1, 4.0, 6.0), text("b", 0, 6.0)):
            room.tell(news)
        room.take_back(lambda news: without_words(news, "a", 5.0), {"news": "forgotten", "call_id": "a"})
        heard: list[dict[str, Any]] = []
        async for news in watcher:
            heard.append(news)
            if len(heard) == 5:
                watcher.close()
                return heard
        return heard

    heard = asyncio.run(story())
    assert [n["news"] for n in heard] == ["ready", "text", "text", "text", "forgotten"]
    assert [[w["end_s"] for w in n["words"]] for n in heard[1:4]] == [[1.0], [4.0], [6.0]]


def test_a_watcher_that_was_cut_off_ends_all_the_same(monkeypatch) -> None:
    monkeypatch.setattr("agent.control.watching.MOST_WAITING", 2)

    async def story() -> None:
        watcher = Watcher(WatchRoom())
        for seq in range(3):
            watcher.put(text("a", seq, 1.0))
        watcher.recall(lambda _: None)
        async with asyncio.timeout(5):
            assert [news async for news in watcher] == []

    asyncio.run(story())
