"""Live text: who may read whose, and what ends it. The scribe is scripted, its socket is the real one."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from listening import Heard
from running_site import wait_for

from agent.control.server import Answer, ControlSocket
from agent.control.watching import Watcher, WatchRoom
from agent.desk.events import MOST_STREAMS
from agent.desk.livetext import LiveText
from agent.desk.presence import Presence
from agent.model.identity import Right, Scope

LIVE = {
    "rung": "step_2s", "step_s": 2.0, "calls": 9, "off": ["ab"], "lag_p95_s": 2.5, "late_p95_s": 1.0, "use": 0.9,
    "windows": 40, "coalesced": 3, "failed": 1, "skipped_s": 4.5,
}  # fmt: skip
GUARD = {"pauses": 2, "too_late": 1, "failed": 0, "off": ["a" * 32]}
STATS = {"purpose": "assistance", "ready": True, "dropped_s": 0.0, "live": LIVE, "guard": GUARD}


class ScriptedScribe:
    """Tells what it is told to tell, in a thread of its own."""

    def __init__(self, path: Path) -> None:
        self._closed = False
        self._room = WatchRoom()
        self._loop = asyncio.new_event_loop()
        self._socket = ControlSocket(path, self._handle)
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        asyncio.run_coroutine_threadsafe(self._socket.start(), self._loop).result(10)

    async def _handle(self, request: dict[str, Any]) -> Answer:
        if request["op"] == "stats":
            return STATS
        watcher = Watcher(self._room)
        self._room.welcome(watcher, [], asyncio.get_running_loop())
        return watcher

    def tell(self, kind: str, call: str, *, words: str = "", **fields: Any) -> None:
        """As soon as somebody listens. `words` are said in the first second."""
        wait_for("a watch of the scribe", lambda: self._room.is_watched)
        if words:
            fields |= {"words": [{"text": words, "start_s": 0.1, "end_s": 1.0}], "start_s": 0.1, "end_s": 1.0}
        self._room.tell({"news": kind, "call_id": call, **fields})

    def close(self) -> None:
        """Die, as far as anybody can see."""

        async def end() -> None:
            await self._socket.stop()
            serving = asyncio.all_tasks() - {asyncio.current_task()}
            for task in serving:
                task.cancel()
            await asyncio.gather(*serving, return_exceptions=True)

        if not self._closed:
            self._closed = True
            asyncio.run_coroutine_threadsafe(end(), self._loop).result(10)
            self._loop.call_soon_threadsafe(self._loop.stop)


@pytest.fixture
def scribe(desk) -> Iterator[ScriptedScribe]:
    scripted = ScriptedScribe(desk.settings.scribe_socket)
    yield scripted
    scripted.close()


@pytest.fixture
def read(desk) -> Iterator[Any]:
    """`read("ann", "?call=…")`: somebody who reads, from the moment it returns."""
    readers: list[Heard] = []

    def begin(name: str, query: str = "") -> Heard:
        readers.append(Heard(f"{desk.url}/v1/live{query}", desk.tokens[name]))
        wait_for("the stream to begin", lambda: readers[-1].comments or readers[-1].ended)
        return readers[-1]

    yield begin
    for reader in readers:
        reader.close()


def call_of(desk, agent: str) -> str:
    """A new call of an agent, which the desk knows of."""
    call = desk.recorder.add(agent)
    wait_for(
        "the desk to know it", lambda: desk.ask("GET", f"/v1/agents/{agent}/state", "admin").json()["call_id"] == call
    )
    return call


def texts(reader: Heard) -> list[str]:
    """The words that it has read."""
    return [word["text"] for name, data in reader.events if name == "text" for word in data["words"]]


def test_each_reads_the_calls_within_reach_and_no_others(desk, scribe, read) -> None:
    ann, bob, lead, crm = (read(name) for name in ("ann", "bob", "lead", "crm"))
    of_nobody, of_bob, of_ann = desk.recorder.add(None), call_of(desk, "2002"), call_of(desk, "2001")
    scribe.tell("text", of_ann, purpose="assistance", words="a")
    scribe.tell("text", of_bob, purpose="assistance", words="b")
    scribe.tell("text", of_nobody, purpose="assistance", words="n")
    scribe.tell("text", "ff" * 16, purpose="assistance", words="unknown")
    scribe.tell("text", of_ann, purpose="assistance", words="end")
    for reader in (ann, lead, crm):
        wait_for("the last word", lambda reader=reader: texts(reader)[-1:] == ["end"])
    assert texts(ann) == texts(crm) == ["a", "end"]
    assert texts(lead) == ["a", "b", "n", "end"]
    assert texts(bob) == ["b"]


def test_after_a_transfer_the_text_is_the_next_agents(desk, scribe, read) -> None:
    ann, bob = read("ann"), read("bob")
    call = call_of(desk, "2001")
    scribe.tell("text", call, purpose="assistance", words="before")
    wait_for("the first word", lambda: texts(ann) == ["before"])
    desk.recorder.change(call, agent="2002")
    wait_for("the transfer", lambda: desk.ask("GET", "/v1/agents/2002/state", "bob").json()["call_id"] == call)
    scribe.tell("text", call, purpose="assistance", words="after")
    wait_for("the next word", lambda: texts(bob) == ["after"])
    assert texts(ann) == ["before"]
    scribe.tell("forgotten", call, from_s=0.5)
    for reader in (ann, bob):
        wait_for("the news", lambda reader=reader: reader.events[-1] == ("forgotten", {"call_id": call, "from_s": 0.5}))


def test_one_call_and_one_purpose_may_be_asked_for(desk, scribe, read) -> None:
    first, second = call_of(desk, "2001"), call_of(desk, "2001")
    reader = read("lead", f"?call={first}&purpose=assistance")
    scribe.tell("text", second, purpose="assistance", words="other call")
    scribe.tell("text", first, purpose="quality", words="other purpose")
    scribe.tell("forgotten", first, from_s=1.5)
    scribe.tell("text", first, purpose="assistance", words="this")
    scribe.tell("forgotten", second, from_s=2.5)
    scribe.tell("forgotten", first, from_s=3.5)
    wait_for("the news", lambda: "forgotten" in [name for name, _ in reader.events])
    assert texts(reader) == ["this"]
    forgotten = [data for name, data in reader.events if name == "forgotten"]
    assert forgotten == [{"call_id": first, "from_s": 3.5}], "of what was read, and of nothing else"


def test_who_only_presses_reads_nothing(desk, scribe, read) -> None:
    assert read("hotkey").status == 403
    assert read("phone").status == 403
    assert read("eye").status == 403
    assert ("live text by a hotkey", "agent:2001") in desk.refusals()


def test_a_scribe_that_is_away_is_told_and_comes_back(desk, scribe, read) -> None:
    reader = read("ann")
    scribe.tell("text", desk.recorder.add("2001"), purpose="assistance", words="x")
    scribe.close()
    wait_for("the news that it is away", lambda: reader.events[-1:] == [("away", {})])
    again = ScriptedScribe(desk.settings.scribe_socket)
    call = call_of(desk, "2001")
    again.tell("text", call, purpose="assistance", words="back")
    wait_for("the word", lambda: texts(reader)[-1:] == ["back"])
    again.close()


def test_a_token_that_is_revoked_reads_no_further(desk, scribe, read) -> None:
    desk.tokens["gone"] = desk.token("agent", "2001", name="gone")
    reader = read("gone")
    desk.directory.revoke(next(t.token_id for t in desk.directory.tokens() if t.name == "gone"), 1)
    call = call_of(desk, "2001")
    scribe.tell("text", call, purpose="assistance", words="late")
    wait_for("the end of the stream", lambda: reader.ended)
    assert not texts(reader)


def test_how_live_text_copes_is_told_to_those_who_see_all_and_to_monitoring(desk, scribe) -> None:
    assert desk.ask("GET", "/v1/live/state", "lead").json() == STATS
    assert desk.ask("GET", "/v1/live/state", "ann").status_code == 403
    shown = desk.ask("GET", "/metrics").text
    assert "greffier_scribe_up 1.0" in shown and 'greffier_live_text_rung{rung="step_2s"} 1.0' in shown
    assert "greffier_live_text_off_calls 1.0" in shown and "greffier_guard_too_late_total 1.0" in shown
    assert "greffier_guard_off_calls 1.0" in shown
    scribe.close()
    assert desk.ask("GET", "/v1/live/state", "lead").status_code == 503
    assert "greffier_scribe_up 0.0" in desk.ask("GET", "/metrics").text


def test_one_token_does_not_take_everybody_s_place(desk, scribe, read) -> None:
    for _ in range(MOST_STREAMS):
        assert read("bob").status == 200
    assert read("bob").status == 429 and read("ann").status == 200


def test_a_reader_that_is_behind_is_not_told_what_was_taken_back() -> None:
    presence = Presence(Path("none"), 10.0)
    presence._calls["c1"] = {"call_id": "c1", "agent": "2001"}
    presence.ready = True
    text = LiveText(Path("none"), presence)
    reader = text.listen(Scope(Right.ADMIN), None, None)
    while not reader.queue.empty():
        reader.queue.get_nowait()
    for end_s in (1.0, 4.0):
        words = [{"text": f"w{end_s:g}", "start_s": end_s - 0.3, "end_s": end_s}]
        text._hear({"news": "text", "call_id": "c1", "purpose": "p", "seq": 0, "words": words})
    text._hear({"news": "forgotten", "call_id": "c1", "from_s": 2.0})
    told = [reader.queue.get_nowait() for _ in range(reader.queue.qsize())]
    assert [kind for kind, _ in told] == ["text", "text", "forgotten"]
    assert "w1" in told[0][1] and "w4" not in told[1][1]
