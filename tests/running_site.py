"""A whole agent under test: configured by `greffier init`, run by `greffier run`, seen from outside."""

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx

from agent.commands.demo_site import free_ports
from agent.config import Settings, load
from agent.store.catalog import Catalog

T = TypeVar("T")
GREFFIER = [sys.executable, "-m", "agent.cli"]


def wait_for(what: str, look: Callable[[], T | None], patience_s: float = 30.0) -> T:
    """The first true result of `look`, asked again and again; fails the test naming `what` after the patience."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if result := look():
            return result
        time.sleep(0.05)
    raise AssertionError(f"waited {patience_s:g} s in vain for {what}")


class RunningSite:
    """One agent in one folder. `edit` changes the configuration text before the start."""

    def __init__(self, folder: Path, *, edit: Callable[[str], str] = lambda text: text) -> None:
        self.folder = folder
        self.etc = folder / "etc"
        self.config = self.etc / "greffier.toml"
        self.sip_port, self.desk_port = free_ports(2)
        low = 20000 + os.getpid() % 100 * 400
        arguments = ["--state", folder / "state", "--run", folder / "run", "--listen", "127.0.0.1"]
        arguments += ["--sip-port", self.sip_port, "--desk-port", self.desk_port]
        arguments += ["--media-address", "127.0.0.1", "--media-ports", f"{low}, {low + 398}"]
        self.greffier("init", self.etc, *arguments)
        self.config.write_text(edit(self.config.read_text()))
        self.admin = self.greffier("token", "add", "admin").strip()
        self.log = folder / "log.jsonl"
        self._process: subprocess.Popen[bytes] | None = None

    # ---- life

    def start(self) -> None:
        """Start the four processes and wait until recorder and desk answer."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen([*GREFFIER, "run", "--config", self.config], stdout=log, stderr=log)
        wait_for("the agent to be ready", self._ready, 40)

    def _ready(self) -> bool:
        try:
            healthy = httpx.get(f"{self.url}/v1/health").status_code == 200
        except httpx.HTTPError:
            return False
        return healthy and self.settings.catalog_path.exists() and self.settings.recorder_socket.exists()

    def stop(self) -> None:
        """Stop it as Ctrl-C does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                raise
            self._process = None

    def pid_of(self, process: str) -> int:
        """Process id of one of the four."""
        for child in Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split():
            command = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
            if f"agent.{process}".encode() in command:
                return int(child)
        raise LookupError(process)

    def kill(self, process: str) -> None:
        """kill -9 one of the four; returns when it is gone and another has taken its place."""
        old = self.pid_of(process)
        os.kill(old, signal.SIGKILL)

        def replaced() -> bool:
            try:
                return self.pid_of(process) != old
            except LookupError:
                return False

        wait_for(f"a new {process}", replaced)

    # ---- seen from outside

    @property
    def settings(self) -> Settings:
        """The configuration as the agent reads it."""
        return load(self.config)

    @property
    def url(self) -> str:
        """The REST interface."""
        return f"http://127.0.0.1:{self.desk_port}"

    @property
    def centre(self) -> Path:
        """The folder destination."""
        return Path(tomllib.loads(self.config.read_text())["destination"]["centre"]["path"])

    def greffier(self, *arguments: object, status: int = 0) -> str:
        """Output of a `greffier` command; its exit status must be `status`."""
        environment = {**os.environ, "GREFFIER_CONFIG": str(self.config), "COLUMNS": "200", "NO_COLOR": "1"}
        command = [*GREFFIER, *map(str, arguments)]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment, check=False
        )
        assert done.returncode == status, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + (done.stderr if status else "")

    def press(
        self, verb: str, *, call: str | None = None, agent: str | None = None, token: str | None = None, **body: str
    ) -> httpx.Response:
        """Press a button over REST."""
        path = f"calls/{call}" if call else f"agents/{agent}"
        headers = {"Authorization": f"Bearer {token or self.admin}"}
        return httpx.post(f"{self.url}/v1/{path}/{verb}", json=body, headers=headers)

    def live(self) -> list[dict[str, Any]]:
        """Live calls over REST; none while the recorder is away."""
        response = httpx.get(f"{self.url}/v1/calls", headers={"Authorization": f"Bearer {self.admin}"})
        if response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            return []
        response.raise_for_status()
        found: list[dict[str, Any]] = response.json()
        return found

    def catalog(self) -> Catalog:
        """The catalog."""
        return Catalog(self.settings.catalog_path)

    def call_of(self, reference: str) -> str:
        """Our id of the live call with the gateway's reference."""
        return wait_for(
            "the call to be live",
            lambda: next((c["call_id"] for c in self.live() if c["reference"] == reference), None),
        )

    def wait_state(self, call_id: str, state: str, patience_s: float = 60) -> None:
        """Wait until the catalog has the call in `state`, or beyond it."""
        catalog = self.catalog()
        states = ["live", "ended", "finalised", "forgotten"]
        late_enough = states[states.index(state) :]

        def reached() -> bool:
            return any(c.call_id == call_id and c.state in late_enough for c in catalog.calls(1000))

        wait_for(f"call {call_id} to be {state}", reached, patience_s)

    def events(self, name: str) -> list[dict[str, Any]]:
        """Logged events of this name."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [e for e in (json.loads(x) for x in lines if x.startswith("{")) if e.get("event") == name]

    def age_opens(self, key: str, path: Path) -> bytes | None:
        """What the independent `age` program reads with a purpose's key; None when it refuses."""
        identity = self.etc / "purpose-keys" / f"{key}.key.txt"
        done = subprocess.run(["age", "-d", "-i", identity, path], capture_output=True, check=False)
        return done.stdout if done.returncode == 0 else None


@contextmanager
def running_site(folder: Path, *, edit: Callable[[str], str] = lambda text: text) -> Iterator[RunningSite]:
    """A started site that is stopped at the end; its log is printed when the test fails."""
    site = RunningSite(folder, edit=edit)
    try:
        site.start()
        yield site
    except BaseException:
        if site.log.exists():
            print(site.log.read_text(errors="replace")[-8000:])
        raise
    finally:
        site.stop()
