"""What the recorder is measured against, on the same traffic over the same link: other programs, each with a line that
says what it does and does not do."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from agent.media.core import CoreMissing, load
from bench.generator import Streams, compiled
from bench.net import Link
from bench.sinks import sinks
from bench.site import FIRST_PORT


class Yardstick:
    """A program at the box from when it is ready until `end`, which says how many packets it took in.

    Its `streams` are what must be sent to it.
    """

    name = ""
    program = ""
    does = ""
    most_calls = 1 << 20
    holds_ports = False
    """Whether it binds the ports itself; else they are held for it, so that no ICMP goes out."""

    def __init__(self, folder: Path, link: Link, calls: int) -> None:
        self._folder, self._link, self._calls = folder, link, calls
        self._ports = list(range(FIRST_PORT, FIRST_PORT + calls * 4, 2))
        self.streams: Streams = [(port, port) for port in self._ports]
        self._held = ExitStack()
        if not self.holds_ports:
            self._held.enter_context(sinks(link.host, self._ports, link.prefix))
        try:
            self._process = self._start()
        except BaseException:
            self._held.close()
            raise
        self.pid = self._process.pid

    @classmethod
    def missing(cls) -> str | None:
        """Why it cannot be measured here, or None."""
        return None if not cls.program or shutil.which(cls.program) else f"{cls.program} is not installed"

    @classmethod
    @contextmanager
    def running(cls, folder: Path, link: Link, calls: int) -> Iterator["Yardstick"]:
        """Ready, and gone after the block."""
        yardstick = cls(folder, link, calls)
        try:
            yield yardstick
        finally:
            yardstick._process.kill()
            yardstick._process.wait()
            yardstick._held.close()

    def end(self) -> int:
        """Stop it; packets it took in."""
        raise NotImplementedError

    def _start(self) -> subprocess.Popen[str]:
        raise NotImplementedError

    def _run(self, *command: str, sign: str, error: bool = False) -> subprocess.Popen[str]:
        """Start a program at the box, and wait until it says `sign` (on its standard error, perhaps)."""
        out, err = (None, subprocess.PIPE) if error else (subprocess.PIPE, None)
        process = subprocess.Popen([*self._link.prefix, *command], text=True, stdout=out, stderr=err)
        stream: IO[str] | None = process.stderr if error else process.stdout
        assert stream is not None
        said = ""
        while sign not in (line := stream.readline()):
            said += line
            if not line:
                process.wait()
                raise RuntimeError(f"{self.name} does not start: {said[-300:].strip()}")
        return process

    def _stop(self, number: signal.Signals) -> str:
        """Everything it said since it was ready."""
        self._process.send_signal(number)
        out, error = self._process.communicate(timeout=60)
        return (out or "") + (error or "")

    def _filter(self) -> str:
        return f"udp and dst portrange {self._ports[0]}-{self._ports[-1]}"


class Floor(Yardstick):
    """bench/floor.c."""

    name, program = "c_floor", "cc"
    does = "ring reader in C: finds each packet's stream and puts its payload in its place in RAM; nothing else"

    def _start(self) -> subprocess.Popen[str]:
        program = compiled("floor.c", self._folder)
        low, high = str(self._ports[0]), str(self._ports[-1])
        return self._run(str(program), self._link.interface, low, high, sign="ready")

    def end(self) -> int:
        """See Yardstick."""
        return int(self._stop(signal.SIGTERM))


class Receiver(Yardstick):
    """bench/receiver.py with the compiled core."""

    name, core = "receive_only", "c"
    does = "our ring and engine alone: source, order, media in its place in RAM; no gate, no encryption, no disk"

    @classmethod
    def missing(cls) -> str | None:
        """See Yardstick."""
        try:
            load()
        except CoreMissing as missing:
            return str(missing)
        return None

    def _start(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "bench.receiver", self._link.interface, self._link.host, self.core]
        return self._run(*command, *map(str, self._ports), sign="ready")

    def end(self) -> int:
        """See Yardstick."""
        return int(self._stop(signal.SIGTERM))


class NumpyReceiver(Receiver):
    """bench/receiver.py without it."""

    name, core = "receive_only_numpy", "numpy"
    does = "the same without the compiled core"

    @classmethod
    def missing(cls) -> str | None:
        """See Yardstick."""
        return None


class Tcpdump(Yardstick):
    """`tcpdump -w`."""

    name = program = "tcpdump"
    does = "writes whole packets as they come to one file in clear; neither separates, orders nor encrypts; no sync"

    def _start(self) -> subprocess.Popen[str]:
        command = ["tcpdump", "-i", self._link.interface, "-Z", "root", "-B", "65536"]
        command += ["-w", str(self._folder / "tcpdump.pcap"), self._filter()]
        return self._run(*command, sign="listening on", error=True)

    def end(self) -> int:
        """See Yardstick."""
        said = self._stop(signal.SIGINT)
        (self._folder / "tcpdump.pcap").unlink()
        captured = next(line for line in said.splitlines() if line.endswith(" captured"))
        return int(captured.split()[0])


class Dumpcap(Yardstick):
    """`dumpcap -w`, Wireshark's own."""

    name = program = "dumpcap"
    does = "as tcpdump, in pcapng"

    def _start(self) -> subprocess.Popen[str]:
        command = ["dumpcap", "-i", self._link.interface, "-q", "-B", "64", "-f", self._filter()]
        return self._run(*command, "-w", str(self._folder / "dumpcap.pcapng"), sign="File:", error=True)

    def end(self) -> int:
        """See Yardstick."""
        said = self._stop(signal.SIGINT)
        (self._folder / "dumpcap.pcapng").unlink()
        captured = next(line for line in said.splitlines() if line.startswith("Packets received/dropped"))
        return int(captured.rpartition("': ")[2].split("/")[0])


class Naive(Yardstick):
    """bench/naive.py."""

    name = "asyncio"
    does = "a socket and a Python callback a stream: encrypts and appends each packet; no order, no look-back, no sync"
    most_calls = 300  # it is near the end of its core then
    holds_ports = True

    def _start(self) -> subprocess.Popen[str]:
        folder = self._folder / "naive"
        folder.mkdir(parents=True)
        command = [sys.executable, "-m", "bench.naive", self._link.host, str(folder)]
        return self._run(*command, *map(str, self._ports), sign="ready")

    def end(self) -> int:
        """See Yardstick."""
        return int(json.loads(self._stop(signal.SIGTERM))["received"])
