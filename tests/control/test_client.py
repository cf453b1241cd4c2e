"""Connections to a control socket: nobody waits for another's answer, and no answer is taken for another's."""

import asyncio
import json
from contextlib import suppress
from pathlib import Path

from agent.control.client import MOST_AT_ONCE, ControlClient, NoAnswer


class SlowRecorder:
    """Answers each question with its name, those called `slow` only when `go` is set; counts its connections."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(ConnectionError):
            while line := await reader.readline():
                name = json.loads(line)["op"]
                if name == "slow":
                    await self.go.wait()
                writer.write(json.dumps({"ok": True, "name": name}).encode() + b"\n")
        writer.close()


def test_a_question_does_not_wait_for_the_answer_to_another(tmp_path: Path) -> None:
    async def story() -> None:
        recorder = SlowRecorder()
        async with await asyncio.start_unix_server(recorder.serve, tmp_path / "sock"):
            client = ControlClient(tmp_path / "sock")
            slow = asyncio.create_task(client.ask(op="slow"))
            for number in range(5):
                assert await client.ask(op=f"quick{number}") == {"name": f"quick{number}"}
            assert recorder.connections == 2, "one is used again and again"
            assert not slow.done()
            recorder.go.set()
            assert await slow == {"name": "slow"}
            client.close()

    asyncio.run(story())


def test_a_question_that_was_given_up_takes_its_connection_with_it(tmp_path: Path) -> None:
    async def story() -> None:
        recorder = SlowRecorder()
        async with await asyncio.start_unix_server(recorder.serve, tmp_path / "sock"):
            client = ControlClient(tmp_path / "sock", patience_s=0.1)
            given_up = await asyncio.gather(
                *(client.ask(op="slow") for _ in range(MOST_AT_ONCE)), return_exceptions=True
            )
            assert all(isinstance(one, NoAnswer) for one in given_up)
            recorder.go.set()
            assert await client.ask(op="quick") == {"name": "quick"}
            client.close()

    asyncio.run(story())
