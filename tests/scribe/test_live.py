"""Live text from sound to the desk's socket: redacted, taken back where a pause reached, and guarded.

The recorder is played by its two sockets, the engine reads words off the level of the sound; all between is real.
"""

import asyncio
import json
import queue
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from running_site import wait_for
from scripted_engine import LevelEngine, LoudVoice, say

from agent.config import Settings, load
from agent.control.client import watch
from agent.control.server import ControlSocket
from agent.media.g711 import encode
from agent.model.call import Codec, Role
from agent.model.live import Conversation, Forget, Hello, Message, Over, Sound, Voice, pack
from agent.scribe.live import Live

CALL = "0192f0a0" + "0" * 24
WORDS = ("bonjour", "quatre", "cinq", "trois", "deux", "un", "carte", "merci", "zéro", "neuf", "six", "numéro")
CONFIG = """
[site]
state_dir = "state"
run_dir = "run"
keys_dir = "keys"

[guard]
enabled = true
hold_s = 2

[purpose.assistance]
trigger = "all"
live = true
"""


class PlayedRecorder:
    """The recorder's live socket and control socket."""

    def __init__(self, settings: Settings) -> None:
        self.asked: queue.Queue[dict[str, Any]] = queue.Queue()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._control = ControlSocket(settings.recorder_socket, self._handle)
        asyncio.run_coroutine_threadsafe(self._control.start(), self._loop).result(10)
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(settings.live_socket))
        self._door.listen()
        self.line: socket.socket | None = None

    async def _handle(self, request: dict[str, Any]) -> dict[str, Any]:
        self.asked.put(request)
        return {"covered": True}

    def answer_the_door(self) -> None:
        self.line, _ = self._door.accept()
        self.send(Hello())

    def send(self, *messages: Message) -> None:
        assert self.line is not None
        self.line.sendall(b"".join(pack(message) for message in messages))

    def begins(self) -> None:
        voices = (Voice(0, 0, "c", Role.CUSTOMER), Voice(1, 1, "a", Role.AGENT))
        self.send(Conversation(CALL, 1, queue="sales", voices=voices))

    def speaks(self, text: str, start_s: float, channel: int = 0, then_s: float = 1.0) -> float:
        """In real time: 0.4 s a word, then silence; returns where it ends."""
        numbers = [WORDS.index(word) for word in text.split()]
        spoken = [(n, at * 0.4 + 0.1, at * 0.4 + 0.4) for at, n in enumerate(numbers)]
        length_s = len(numbers) * 0.4 + then_s
        coded = encode(say(spoken, length_s), Codec.PCMA)
        for at in range(0, len(coded), 800):
            position = round(start_s * 8000) + at
            self.send(Sound(CALL, channel, Codec.PCMA, position, coded[at : at + 800].tobytes()))
            time.sleep(0.1)
        return start_s + length_s

    def close(self) -> None:
        if self.line is not None:
            self.line.close()
        self._door.close()
        asyncio.run_coroutine_threadsafe(self._control.stop(), self._loop).result(10)


class Reader:
    """One who watches the scribe's socket."""

    def __init__(self, path: Path) -> None:
        self.news: list[dict[str, Any]] = []
        self._loop = asyncio.new_event_loop()
        self._task = self._loop.create_task(self._read(path))
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        wait_for("the watch to begin", lambda: self.news)

    async def _read(self, path: Path) -> None:
        async for news in watch(path, of="scribe"):
            self.news.append(news)

    def texts(self, *, stable: bool = True) -> list[str]:
        told = [n for n in self.news if n["news"] == "text" and n["stable"] is stable]
        return [word["text"] for n in told for word in n["words"]]

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._task.cancel)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "run").mkdir()
    (tmp_path / "greffier.toml").write_text(CONFIG)
    return load(tmp_path / "greffier.toml")


@pytest.fixture
def recorder(settings: Settings) -> Iterator[PlayedRecorder]:
    played = PlayedRecorder(settings)
    yield played
    played.close()


@pytest.fixture
def live(settings: Settings, recorder: PlayedRecorder) -> Iterator[Live]:
    engine = LevelEngine(2, WORDS)
    one = Live(settings, lambda: engine, bytes(32), LoudVoice)
    one.start()
    one.follow(settings.purposes())
    recorder.answer_the_door()
    yield one
    one.stop()


@pytest.fixture
def reader(settings: Settings, live: Live) -> Iterator[Reader]:
    one = Reader(settings.scribe_socket)
    yield one
    one.close()


def test_both_parties_are_read_in_their_own_name_and_the_end_is_told(live, recorder, reader) -> None:
    recorder.begins()
    end = recorder.speaks("bonjour merci", 0.0)
    recorder.speaks("merci bonjour", end, channel=1)
    wait_for("their words", lambda: len(reader.texts()) == 4)
    told = [n for n in reader.news if n["news"] == "text" and n["stable"]]
    assert [(n["party"], [w["text"] for w in n["words"]]) for n in told if n["words"]] == [
        ("customer", ["bonjour", "merci"]),
        ("agent", ["merci", "bonjour"]),
    ] or reader.texts() == ["bonjour", "merci", "merci", "bonjour"]
    first = next(n for n in told if n["party"] == "agent")
    assert first["words"][0]["start_s"] == pytest.approx(end + 0.1, abs=0.05), "in seconds of the call"
    assert {(n["call_id"], n["purpose"]) for n in told} == {(CALL, "assistance")}
    recorder.send(Over(CALL))
    wait_for("the call to be gone", lambda: live.room.state.live.calls == 0 and not live._texts)


def test_no_digit_of_a_card_is_ever_told_in_words_or_guesses(live, recorder, reader) -> None:
    recorder.begins()
    number = "quatre cinq trois deux un zéro neuf six quatre cinq trois deux un zéro neuf six"
    end = recorder.speaks(f"bonjour carte {number}", 0.0, then_s=0.6)
    recorder.speaks("merci", end)
    recorder.send(Over(CALL))
    wait_for("the call to be gone", lambda: not live._texts)
    told = reader.texts() + reader.texts(stable=False)
    assert not set(told) & set(number.split()), told
    assert reader.texts() == ["bonjour", "carte", "[CARTE]", "merci"]


def test_what_a_pause_reached_is_taken_back_and_never_told_again(live, recorder, reader) -> None:
    recorder.begins()
    end = recorder.speaks("bonjour carte merci", 0.0)
    wait_for("the words", lambda: len(reader.texts()) == 3)
    recorder.speaks("numéro bonjour", end, then_s=0.0)
    recorder.send(Forget(CALL, 4000))
    wait_for("the news of it", lambda: any(n["news"] == "forgotten" for n in reader.news))
    at = next(n for n, news in enumerate(reader.news) if news["news"] == "forgotten")
    assert reader.news[at] == {"news": "forgotten", "call_id": CALL, "from_s": 0.5}
    recorder.speaks("merci", 60.0)
    wait_for("the next word", lambda: reader.texts()[-1] == "merci" and len(reader.texts()) > 3)
    after = [w["text"] for n in reader.news[at:] if n["news"] == "text" for w in n["words"]]
    assert set(after) == {"merci"}, "nothing of before"


def test_a_recorder_that_goes_away_takes_its_calls_with_it(live, recorder, reader) -> None:
    recorder.begins()
    recorder.speaks("bonjour", 0.0)
    wait_for("the word", lambda: reader.texts() == ["bonjour"])
    recorder.line.close()
    wait_for("the call to be gone", lambda: {"news": "forgotten", "call_id": CALL, "from_s": 0.0} in reader.news)
    assert not live._texts
    recorder.answer_the_door()
    recorder.begins()
    recorder.speaks("merci", 9.0)
    wait_for("the next word", lambda: reader.texts()[-1] == "merci")


def test_the_guard_says_where_a_number_began_and_lets_go_after_a_while(live, recorder, reader) -> None:
    recorder.begins()
    recorder.speaks("bonjour carte quatre cinq trois deux", 0.0)
    first = recorder.asked.get(timeout=10)
    assert (first["op"], first["call"], first["active"], first["reason"]) == ("sensitive", CALL, True, "digits")
    assert first["said_at_s"] == pytest.approx(0.9, abs=0.1), "where the first digit lies"
    asked = [first]
    while asked[-1]["active"]:
        asked.append(recorder.asked.get(timeout=10))
    assert {one["call"] for one in asked} == {CALL} and recorder.asked.empty()
    state = live._stats()
    assert state["guard"]["pauses"] == len(asked) - 1 and state["ready"] and state["purpose"] == "assistance"
    assert "quatre" not in json.dumps(reader.news)
