"""A throw-away site for a benchmark: a real recorder process (and desk), calls placed by SIPREC, its log read back."""

import asyncio
import json
import re
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.capture.format import RecordKind
from agent.capture.reader import Cursor, Record, open_record, scan
from agent.commands.demo_site import free_ports
from agent.commands.run import PROCESSES, give_way
from agent.config import Endpoint, Settings, load
from agent.model.call import Call
from agent.model.events import CallStarted
from agent.model.wire import load as parse
from agent.probe import Pacer, ProbeCall
from agent.process import log_events
from agent.retain.identities import ensure_current
from agent.scribe.keyring import Keyring
from agent.store.journal import Journal
from bench.generator import Streams
from bench.net import LOOPBACK, Link

GREFFIER = [sys.executable, "-m", "agent.cli"]
READY_S = 60.0
FIRST_PORT = 12000
"""Of media: below those that the kernel gives to whoever does not ask for one."""


class BenchSite:
    """Configuration, keys and processes under one folder, at the far end of `link`; evidence of every call.

    `mirrored`: that end is a mirror port. `more` is added to the configuration.
    """

    def __init__(
        self, folder: Path, calls: int, link: Link = LOOPBACK, *, mirrored: bool = False, more: str = ""
    ) -> None:
        log_events("bench")
        self.folder = folder
        self.link = link
        config = folder / "etc" / "greffier.toml"
        self.sip_port, self.desk_port = free_ports(2)
        arguments = ["init", str(config.parent), "--state", str(folder / "state"), "--run", str(folder / "run")]
        arguments += ["--listen", link.host, "--sip-port", str(self.sip_port), "--desk-port", str(self.desk_port)]
        arguments += ["--media-address", link.host, "--media-ports", f"{FIRST_PORT}, {FIRST_PORT + calls * 4 + 100}"]
        subprocess.run([*GREFFIER, *arguments], check=True, stdout=subprocess.DEVNULL)
        text = config.read_text(encoding="utf-8").replace('trigger = "on_demand"', 'trigger = "all"       ')
        text = re.sub(r"^keep_from = .*$", "", text, flags=re.MULTILINE)
        text = text.replace("[siprec]", f"[siprec]\nmax_calls = {max(calls, 100)}", 1)
        if mirrored:
            text += f'\n[span]\ninterface = "{link.interface}"\nmax_calls = {max(calls, 100)}\n'
        config.write_text(text + more, encoding="utf-8")
        self.config = config
        self.settings: Settings = load(config)
        journal = Journal(self.settings.journal_dir, "bench", time.time_ns)
        identities, recipient = self.settings.identities_dir, self.settings.recipient_file
        ensure_current(identities, recipient, 86400, time.time_ns(), journal)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def greffier(self, *arguments: str) -> str:
        """The output of a command."""
        command = [*GREFFIER, *arguments, "--config", str(self.config)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def start(self, name: str) -> int:
        """Start a process and wait until its log says that it is ready; returns its id."""
        log = self.folder / f"{name}.log"
        with log.open("wb") as out:
            command = [*self.link.prefix, sys.executable, "-m", f"agent.{name}", "--config", str(self.config)]
            self._processes[name] = subprocess.Popen(command, stderr=out)
            give_way(self._processes[name].pid, PROCESSES[name])
        deadline = time.monotonic() + READY_S
        while f'"{name}.ready"' not in log.read_text(encoding="utf-8"):
            if self._processes[name].poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{name} does not start: {log.read_text(encoding='utf-8')[-2000:]}")
            time.sleep(0.05)
        return self._processes[name].pid

    def stop(self) -> None:
        """SIGTERM to all."""
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            process.wait(30)

    @contextmanager
    def running(self, *names: str) -> Iterator[list[int]]:
        """These processes, until the end of the block."""
        try:
            yield [self.start(name) for name in names]
        finally:
            self.stop()

    async def place(self, count: int) -> list[ProbeCall]:
        """Invite `count` calls, 50 at a time. Each has an agent number of its own from 1000 up."""
        target = Endpoint(transport="udp", host=self.link.host, port=self.sip_port)
        pacer = Pacer()
        calls = [ProbeCall(target, agent_number=str(1000 + n), pacer=pacer) for n in range(count)]
        for first in range(0, count, 50):
            await asyncio.gather(*(self._invite(call) for call in calls[first : first + 50]))
        return calls

    async def _invite(self, call: ProbeCall) -> None:
        await call.__aenter__()
        await call.invite()

    async def hang_up(self, calls: list[ProbeCall]) -> None:
        """BYE to all."""
        for first in range(0, len(calls), 50):
            await asyncio.gather(*(call.__aexit__(None, None, None) for call in calls[first : first + 50]))

    # ---- what is in the capture log

    def log(self) -> tuple[dict[str, Call], dict[tuple[str, int], list[tuple[Record, bytes]]]]:
        """Everything, decrypted: calls by id, and the media records of each stream with their plain bytes."""
        keys = Keyring(self.settings.identities_dir, self.settings.callkeys_dir)
        calls: dict[str, Call] = {}
        media: dict[tuple[str, int], list[tuple[Record, bytes]]] = defaultdict(list)
        for _, record in scan(self.settings.capture_dir, Cursor(0, 0)):
            head = record.header
            if head.kind not in (RecordKind.MEDIA, RecordKind.EVENT):
                continue
            key = keys.key(head.call_id, head.epoch)
            if key is None:
                raise RuntimeError("a call key cannot be opened")
            plain = open_record(record, key)
            if head.kind is RecordKind.MEDIA:
                media[head.call_id, head.stream].append((record, plain))
            elif json.loads(plain)["kind"] == "started":
                event = parse(CallStarted, plain)
                calls[event.call_id] = event.call
        return calls, media


def streams_of(placed: list[ProbeCall]) -> Streams:
    """What is to be sent: from the port each party's media was said to come from, to the port it was given."""
    return [
        (call.local_ports[speaker], remote[1])
        for call in placed
        for speaker, remote in call.remote.items()
        if remote is not None
    ]
