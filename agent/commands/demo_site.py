"""The throw-away agent of the demonstration: its own folder, keys and ports; gone when the demonstration ends."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from agent.config import Endpoint, Settings, load
from agent.config.destinations import FolderSection
from agent.store.catalog import Catalog

READY_S = 60.0
STOP_S = 20.0
GREFFIER = [sys.executable, "-m", "agent.cli"]


class DemoFailed(Exception):
    """The agent did not do what the demonstration waited for."""


class DemoSite:
    """An agent under `folder`, on loopback. Everything is done as a user does it: by command, by REST, by SIP."""

    def __init__(self, folder: Path, local_retention_s: int) -> None:
        self.folder = folder
        self.etc = folder / "etc"
        self.config = self.etc / "greffier.toml"
        self.log = folder / "log.jsonl"
        self._process: subprocess.Popen[bytes] | None = None
        sip, desk = free_ports(2)
        low = 30000 + secrets.randbelow(200) * 100
        self.greffier(
            *("init", str(self.etc), "--name", "demo", "--state", str(folder / "state"), "--run", str(folder / "run")),
            *("--listen", "127.0.0.1", "--sip-port", str(sip), "--media-address", "127.0.0.1"),
            *("--media-ports", f"{low}, {low + 98}", "--desk-port", str(desk)),
        )
        text = self.config.read_text(encoding="utf-8")
        for line, changed in (
            ('engine = "auto" ', 'engine = "pocketsphinx" '),
            ("percent = 10", "percent = 100"),
            ('local_retention = "7 days"', f'local_retention = "{local_retention_s} s"'),
            ('local_retention = "2 days"', f'local_retention = "{local_retention_s} s"'),
            ('local_retention = "1 days"', f'local_retention = "{local_retention_s} s"'),
        ):
            if line not in text:
                raise DemoFailed(f"the configuration that `init` writes has no line {line!r} any more")
            text = text.replace(line, changed)
        self.config.write_text(text, encoding="utf-8")
        self.settings: Settings = load(self.config)
        self.url = f"http://127.0.0.1:{desk}"
        self.target = Endpoint(transport="tcp", host="127.0.0.1", port=sip)

    def greffier(self, *arguments: str) -> str:
        """The output of a `greffier` command. Raises DemoFailed with what it said when it fails."""
        environment = {**os.environ, "GREFFIER_CONFIG": str(self.config), "COLUMNS": "200", "NO_COLOR": "1"}
        done = subprocess.run([*GREFFIER, *arguments], capture_output=True, text=True, env=environment, check=False)
        if done.returncode:
            raise DemoFailed(f"greffier {arguments[0]} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def start(self) -> None:
        """`greffier run`, until the recorder answers over REST."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen([*GREFFIER, "run", "--config", str(self.config)], stdout=log, stderr=log)
        self.wait("the agent to be ready", self._ready, READY_S)

    def stop(self) -> None:
        """As Ctrl-C does."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._process = None

    def wait(self, what: str, look: Callable[[], bool], patience_s: float) -> None:
        """Until `look` is true. Raises DemoFailed naming `what`, with the end of the log."""
        deadline = time.monotonic() + patience_s
        while not look():
            if time.monotonic() > deadline or (self._process is not None and self._process.poll() is not None):
                tail = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-8:]
                raise DemoFailed("waited in vain for " + what + "; the agent last said:\n" + "\n".join(tail))
            time.sleep(0.1)

    def press(self, verb: str, agent: str, token: str, reason: str) -> dict[str, Any]:
        """The agent's button. Raises DemoFailed unless the desk says that it is done."""
        answer = httpx.post(
            f"{self.url}/v1/agents/{agent}/{verb}",
            json={"reason": reason},
            headers={"Authorization": f"Bearer {token}"},
            timeout=10,
        )
        if answer.status_code != httpx.codes.OK:
            raise DemoFailed(f"{verb} was refused: {answer.text}")
        done: dict[str, Any] = answer.json()
        return done

    @property
    def catalog(self) -> Catalog:
        """The catalog, opened anew."""
        return Catalog(self.settings.catalog_path)

    @property
    def centre(self) -> Path:
        """The central system: a folder."""
        destination = self.settings.destination["centre"]
        if not isinstance(destination, FolderSection):
            raise DemoFailed("the destination of the demonstration is a folder")
        return destination.path

    def key(self, purpose: str) -> Path:
        """The key file that opens what was recorded for a purpose."""
        return self.etc / "purpose-keys" / f"{purpose}.key.txt"

    def _ready(self) -> bool:
        try:
            healthy = httpx.get(f"{self.url}/v1/health", timeout=2).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False
        return healthy and self.settings.catalog_path.exists()


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that are free for TCP and UDP."""
    holders: list[socket.socket] = []
    found: list[int] = []
    while len(found) < count:
        tcp, udp = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
        holders += [tcp, udp]
        tcp.bind(("127.0.0.1", 0))
        try:
            udp.bind(tcp.getsockname())
        except OSError:
            continue
        found.append(tcp.getsockname()[1])
    for holder in holders:
        holder.close()
    return found
