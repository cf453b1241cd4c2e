"""What is asked over the control socket: refused before anything is done; who does not read is cut off."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from agent.capture.writer import LogWriter
from agent.config import Settings
from agent.control import watching
from agent.control.server import ControlSocket
from agent.control.watching import Watcher
from agent.model.call import Call, Codec, MediaStream
from agent.model.events import CallStarted
from agent.model.gate import GateState
from agent.model.purpose import ArtifactKind, Decision, Purpose, Trigger
from agent.policy.decide import Policy
from agent.recorder.loop import MediaLoop
from agent.recorder.news import Newsroom
from agent.recorder.policy import Rulebook
from agent.recorder.questions import Questions
from agent.recorder.resume import ResumeBox

CALL, HOST, PORT = "ab" * 16, "10.0.0.1", 6000
RULES = Rulebook(
    Settings(), Policy((Purpose("training", Trigger.ALL, (ArtifactKind.AUDIO,), ("age1x",), None),), bytes(32))
)


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[MediaLoop]:
    source = SimpleNamespace(
        name="test", interval_s=0.02, behind_s=0.0, failed=0, read=lambda: None, count_drops=lambda: 0, counts=dict
    )
    ports = SimpleNamespace(since_ns=lambda port: 0, give_back=lambda port: None)
    writer = LogWriter(tmp_path, 1 << 26, time.time_ns)
    loop = MediaLoop(Settings(), RULES, source, ports, writer, ResumeBox(tmp_path), lambda _: b"")
    loop.start()
    stream = MediaStream(0, "p", 0, "p", Codec.PCMA, 8, PORT, True, HOST)
    event = CallStarted(Call(CALL, "ref", "siprec", "gw", time.time_ns(), streams=(stream,)))
    decisions = (Decision("training", True, Trigger.ALL, "all"),)
    loop.ask(lambda: loop.call_started(event, decisions, time.monotonic_ns())).result(30)
    yield loop
    loop.stop()


@pytest.mark.parametrize(
    ("operation", "field"), [("gate", "actor"), ("gate", "reason"), ("context", "actor"), ("context", "queue")]
)
def test_what_cannot_be_written_down_presses_nothing(loop: MediaLoop, operation: str, field: str) -> None:
    asked = Questions(loop, Newsroom(), lambda: {"training"}).by_name[operation]
    request = {"call": CALL, "verb": "pause", "actor": "cli:root", "source": "api", "consent": "withdrawn"}
    with pytest.raises(ValueError, match="surrogates"):
        asyncio.run(asked(request | {field: "x\ud800"}))
    assert loop.ask(lambda: loop.calls.all()[0].gate.states).result(30) == {"training": GateState.RECORDING}
    asyncio.run(asked(request))
    assert loop.ask(lambda: loop.calls.all()[0].gate.states).result(30) != {"training": GateState.RECORDING}


def test_who_does_not_read_the_news_is_cut_off_and_another_gets_the_seat(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(watching, "MOST_WAITING", 100)
    room, told = Newsroom(), {"news": "call", "call": "x" * 60_000}

    async def scene() -> None:
        async def handle(_request: dict) -> Watcher:
            watcher = Watcher(room)
            room._begin(watcher, [{"news": "ready"}])
            return watcher

        socket = ControlSocket(tmp_path / "c.sock", handle)
        await socket.start()
        reader, writer = await asyncio.open_unix_connection(tmp_path / "c.sock")
        writer.write(b'{"op": "watch"}\n')
        assert b"ready" in await reader.readline()
        writer.transport.pause_reading()
        async with asyncio.timeout(60):
            while room._watchers:
                room._spread(told)
                await asyncio.sleep(0)
            writer.transport.resume_reading()
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                while True:
                    await reader.readexactly(1)
        writer.close()
        await socket.stop()

    asyncio.run(scene())


def test_calls_can_be_asked_for_by_what_they_are(loop: MediaLoop) -> None:
    asked = Questions(loop, Newsroom(), lambda: {"training"}).by_name["calls"]

    def ids(**request: str) -> list[str]:
        answer = asyncio.run(asked({"op": "calls", **request}))
        assert isinstance(answer, dict)
        return [call["call_id"] for call in answer["calls"]]

    assert ids() == ids(reference="ref") == ids(call="abab") == ids(call=CALL, reference="ref") == [CALL]
    assert ids(reference="re") == ids(call="ba") == ids(agent="201") == ids(call=CALL, reference="other") == []
