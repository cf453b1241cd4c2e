"""A desk under test: the real process on a free port, asked over HTTP; its recorder is scripted."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fed_site import PULLED, OutboxSite, running_courier
from running_site import wait_for
from scripted_recorder import ScriptedRecorder, scripted_recorder

from agent.commands.demo_site import free_ports
from agent.config import Settings, load
from agent.model.identity import Agent, Device, Right
from agent.store.directory import Directory
from agent.store.journal import read

CONFIG = """
[site]
state_dir = "state"
run_dir = "run"
keys_dir = "keys"

[desk]
port = {port}
{desk}

[context.payment]
[context.survey]
purposes = ["training"]

[purpose.evidence]
trigger = "all"
[purpose.training]
trigger = "all"
"""
AGENTS = (Agent("Ann", ("2001", "2011")), Agent("Bob", ("2002",)), Agent("Cleo", ("2003",), True))


class DeskUnderTest:
    """The process, its tokens by name, and its recorder."""

    def __init__(self, folder: Path, recorder: ScriptedRecorder, port: int, log: Path) -> None:
        self.folder, self.recorder, self.port, self.log = folder, recorder, port, log
        self.url = f"http://127.0.0.1:{port}"
        self.directory = Directory(self.settings.directory_path)
        self.tokens: dict[str, str] = {}
        self.pid = 0

    @property
    def settings(self) -> Settings:
        """As the desk reads it."""
        return load(self.folder / "greffier.toml")

    def token(self, right: str, extension: str | None = None, device: Device | None = None, **more: Any) -> str:
        """A new token."""
        return self.directory.add_token(
            Right(right), time.time_ns(), extension=extension, device=device, **{"name": "test", **more}
        )

    def ask(self, method: str, path: str, token: str | None = None, **more: Any) -> httpx.Response:
        """One request; `token` is a name of `tokens`, or a token."""
        headers = {"Authorization": f"Bearer {self.tokens.get(token, token)}"} if token else {}
        return httpx.request(method, f"{self.url}{path}", headers=headers | more.pop("headers", {}), timeout=30, **more)

    def refusals(self) -> list[tuple[str, str]]:
        """What the journal says was refused, to whom."""
        lines = [line for line in read(self.settings.journal_dir) if line.kind == "refused"]
        return [(line.fields["what"], line.fields["actor"]) for line in lines]

    def events(self, name: str) -> list[dict[str, Any]]:
        """Logged events of this name."""
        return [e for e in map(json.loads, self.log.read_text().splitlines()) if e["event"] == name]

    def wait_watching(self) -> None:
        """Until the desk knows how things stand."""
        wait_for("the desk to watch", lambda: self.ask("GET", "/v1/agents/2001/state", "admin").status_code == 200)


@contextmanager
def running_desk(folder: Path, desk: str = "", scheme: str = "http") -> Iterator[DeskUnderTest]:
    """A started desk; its log is printed when the test fails."""
    (port,) = free_ports(1)
    (folder / "keys").mkdir(parents=True)
    (folder / "greffier.toml").write_text(CONFIG.format(port=port, desk=desk))
    log = folder / "log.jsonl"
    with scripted_recorder(folder / "run" / "recorder.sock") as recorder, log.open("wb") as output:
        under = DeskUnderTest(folder, recorder, port, log)
        under.url = f"{scheme}://127.0.0.1:{port}"
        under.directory.add_agents(AGENTS, 1)
        under.tokens = {
            "admin": under.token("admin", name="boss"),
            "lead": under.token("supervisor", name="lead"),
            "ann": under.token("agent", "2001"),
            "bob": under.token("agent", "2002"),
            "cleo": under.token("agent", "2003"),
            "phone": under.token("agent", "2001", Device.PHONE, name="desk-7"),
            "hotkey": under.token("agent", "2001", Device.HOTKEY),
            "crm": under.token("agent", "2001", Device.CRM),
            "eye": under.token("metrics"),
        }
        command = [sys.executable, "-m", "agent.desk", "--config", folder / "greffier.toml"]
        process = subprocess.Popen(command, stdout=output, stderr=output)
        under.pid = process.pid
        try:
            wait_for("the desk to listen", lambda: _listens(under, process), 60)
            yield under
        except BaseException:
            print(log.read_text()[-8000:])
            raise
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


def _listens(under: DeskUnderTest, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "the desk ended"
    try:
        return httpx.get(f"{under.url}/v1/health", verify=False).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeskUnderTest]:
    """One desk for the tests of a module."""
    with running_desk(tmp_path_factory.mktemp("desk")) as under:
        under.wait_watching()
        yield under


@pytest.fixture
def desk(running: DeskUnderTest) -> DeskUnderTest:
    """The module's desk, its recorder without calls and well again."""
    running.recorder.clear()
    running.wait_watching()
    return running


@pytest.fixture(scope="session")
def start_desk() -> Callable[..., Any]:
    """`with start_desk(folder, desk='tls = "off"') as desk`: one of one's own."""
    return running_desk


@pytest.fixture(scope="module")
def fed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A desk with a feed, a courier beside it, and a catalog that the test fills: `desk`, `site`, `ask`, `public`, and
    tokens of the feeds, called as the purposes."""
    folder = tmp_path_factory.mktemp("feed")
    with running_desk(folder, PULLED) as desk:
        site = OutboxSite(folder / "greffier.toml")
        for purpose in ("evidence", "training"):
            desk.tokens[purpose] = desk.token("feed", purpose=purpose, name=f"archive-{purpose}")
        with running_courier(site, folder / "courier.log"):
            yield SimpleNamespace(desk=desk, site=site, ask=desk.ask, public=site.certify().public)
