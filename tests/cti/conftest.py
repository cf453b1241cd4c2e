"""A `[cti.NAME]` with its credentials, and a recorder that speaks the control socket."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pbx import SECRET, USERNAME
from scripted_recorder import asked_for

from agent.config.cti import Cti

LIVE = [
    {"call_id": "a" * 32, "reference": "leg-201@pbx", "started_ns": 1, "agent": "201"},
    {"call_id": "b" * 32, "reference": "leg-301@pbx", "started_ns": 2, "agent": "301"},
    {"call_id": "c" * 32, "reference": "leg-early@pbx", "started_ns": 3, "agent": None},
]


class Recorder:
    """Answers as the recorder does; `asked` are the requests that change something."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.calls: list[dict[str, Any]] = [dict(call) for call in LIVE]
        self.asked: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Recorder"]:
        """While it listens."""
        server = await asyncio.start_unix_server(self._serve, self.path)
        try:
            yield self
        finally:
            server.close()
            self.path.unlink()

    async def next(self) -> dict[str, Any]:
        """The next request; fails the test when none comes."""
        return await asyncio.wait_for(self.asked.get(), 30)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            request = json.loads(line)
            if request["op"] == "calls":
                answer = {"calls": asked_for(self.calls, request)}
            else:
                self.asked.put_nowait(request)
                answer = {"call_id": request["call"], "states": {}, "changed": [], "since_s": 0.0, "causes": {}}
            writer.write(json.dumps({"ok": True, **answer}).encode() + b"\n")
        writer.close()


@pytest.fixture
def credentials_file(tmp_path: Path) -> Path:
    """A user and a secret."""
    path = tmp_path / "cti.toml"
    path.write_text(f'username = "{USERNAME}"\nsecret = "{SECRET}"\n')
    path.chmod(0o600)
    return path


@pytest.fixture
def section(credentials_file: Path) -> Callable[..., Cti]:
    """`section("ami", port=…, …)`: a `[cti.NAME]` for agents 2xx."""

    def make(kind: str, port: int = 5038, **more: Any) -> Cti:
        fields = {"address": f"127.0.0.1:{port}", "agents": ["2[0-9][0-9]"], "credentials_file": credentials_file}
        return Cti.model_validate({"kind": kind, **fields, **more})

    return make


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    """A recorder that is not running yet."""
    return Recorder(tmp_path / "recorder.sock")
