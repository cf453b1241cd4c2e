"""The live socket's door: its file, who gets in, and that it is left behind by nobody."""

import asyncio
import socket
from pathlib import Path

from agent.model.live import Hello, Parser, pack
from agent.recorder.livedoor import LiveDoor


def test_who_may_listen_gets_in_again_and_again(tmp_path: Path) -> None:
    path = tmp_path / "live.sock"
    path.write_bytes(b"left by a dead recorder")
    admitted: list[socket.socket] = []

    def admit(connection: socket.socket) -> None:
        admitted.append(connection)
        connection.send(pack(Hello()))

    async def story() -> None:
        door = LiveDoor(path, admit)
        await door.start()
        assert path.stat().st_mode & 0o777 == 0o660
        for _ in range(2):
            reader, writer = await asyncio.open_unix_connection(path)
            assert list(Parser().feed(await reader.readexactly(len(pack(Hello()))))) == [Hello()]
            writer.close()
        await door.stop()

    asyncio.run(story())
    assert len(admitted) == 2 and not any(connection.getblocking() for connection in admitted)
    assert not path.exists()
    for connection in admitted:
        connection.close()
