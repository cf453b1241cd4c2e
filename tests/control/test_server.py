"""The control socket: what is asked of it is answered, and what was given up is not done."""

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

from agent.control.server import ControlSocket


def test_who_does_not_wait_for_the_answer_is_not_obeyed(tmp_path: Path) -> None:
    path = tmp_path / "recorder.sock"
    obeyed: list[str] = []

    async def obey(request: dict[str, Any]) -> dict[str, Any]:
        obeyed.append(request["verb"])
        return {"verb": request["verb"]}

    def ask(verb: str) -> socket.socket:
        asker = socket.socket(socket.AF_UNIX)
        asker.connect(str(path))
        asker.sendall(json.dumps({"op": "gate", "verb": verb}).encode() + b"\n")
        return asker

    async def story() -> None:
        server = ControlSocket(path, obey)
        await server.start()
        ask("resume").close()  # before the recorder comes to read it
        patient = ask("pause")
        patient.shutdown(socket.SHUT_WR)  # has nothing more to ask, and listens
        reader, writer = await asyncio.open_unix_connection(sock=patient)
        assert json.loads(await reader.readline()) == {"ok": True, "verb": "pause"}
        writer.close()
        await server.stop()

    asyncio.run(story())
    assert obeyed == ["pause"]
