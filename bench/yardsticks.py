"""What the recorder is measured against: a reader in C, `tcpdump -w`, `dumpcap -w`, a recorder of a callback a packet.

`python -m bench.yardsticks FOLDER PORT…` is the naive recorder: asyncio, one protocol object a port; each packet is
parsed with `struct`, its payload encrypted with AES-GCM under the next nonce and appended to a buffered file of its
stream. It does not reorder, align, hold back or sync. It counts on standard output when it gets SIGTERM.
"""

import asyncio
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import IO, Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from agent.media import bpf

_HEADER = struct.Struct("!BBHII")
PCMA = 8


class Stream(asyncio.DatagramProtocol):
    """One port."""

    def __init__(self, path: Path, aead: AESGCM) -> None:
        self._file = path.open("ab")
        self._aead = aead
        self.received = 0

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """Parse and keep."""
        _, payload_type, sequence, timestamp, _ = _HEADER.unpack_from(data)
        if payload_type & 0x7F != PCMA:
            return
        self.received += 1
        header = struct.pack("!QHI", self.received, sequence, timestamp)
        nonce = self.received.to_bytes(12, "big")
        self._file.write(header + self._aead.encrypt(nonce, data[_HEADER.size :], header))

    def close(self) -> None:
        """Write what is buffered."""
        self._file.close()


async def _serve(folder: Path, ports: list[int]) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    streams = []
    for port in ports:
        made = partial(Stream, folder / str(port), AESGCM(os.urandom(32)))
        transport, stream = await loop.create_datagram_endpoint(made, local_addr=("127.0.0.1", port))
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        streams.append(stream)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await stop.wait()
    for stream in streams:
        stream.close()
    sys.stdout.write(json.dumps({"received": sum(s.received for s in streams)}) + "\n")


class Yardstick:
    """Another program on the same traffic, from when it is ready until `end`, which says what it received."""

    name = ""
    program = ""

    def __init__(self, folder: Path, ports: list[int]) -> None:
        """Start, and return when it is ready."""
        self._folder = folder
        self._sockets = [] if self.name == "asyncio" else [_sink(port) for port in ports]
        self._process = self._start(min(ports), max(ports), ports)
        self.pid = self._process.pid

    @classmethod
    def missing(cls) -> str | None:
        """Why it cannot be measured here, or None."""
        if cls.program and shutil.which(cls.program) is None:
            return f"{cls.program} is not installed"
        return "needs root" if cls.program and os.geteuid() != 0 else None

    def end(self) -> int:
        """Stop it; packets it received."""
        received = self._received()
        for sink in self._sockets:
            sink.close()
        return received

    def _start(self, low: int, high: int, ports: list[int]) -> subprocess.Popen[str]:
        raise NotImplementedError

    def _received(self) -> int:
        raise NotImplementedError

    def _await(self, stream: IO[str] | None, sign: str) -> None:
        assert stream is not None
        while sign not in (line := stream.readline()):
            if not line:
                raise RuntimeError(f"{self.name} does not start")


class Naive(Yardstick):
    """The naive recorder as a process."""

    name = "asyncio"

    def _start(self, low: int, high: int, ports: list[int]) -> subprocess.Popen[str]:
        folder = self._folder / "naive"
        folder.mkdir(parents=True)
        command = [sys.executable, "-m", "bench.yardsticks", str(folder), *map(str, ports)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._await(process.stdout, "ready")
        return process

    def _received(self) -> int:
        self._process.terminate()
        out, _ = self._process.communicate(timeout=60)
        return int(json.loads(out)["received"])


class Tcpdump(Yardstick):
    """`tcpdump -w`: one file in clear, packets as they come; it neither separates, orders nor encrypts."""

    name = program = "tcpdump"

    def _start(self, low: int, high: int, ports: list[int]) -> subprocess.Popen[str]:
        what = f"udp and dst portrange {low}-{high}"
        command = ["tcpdump", "-i", "lo", "-Z", "root", "-B", "65536", "-w", str(self._folder / "tcpdump.pcap"), what]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self._await(process.stderr, "listening on")
        return process

    def _received(self) -> int:
        self._process.send_signal(signal.SIGINT)
        _, said = self._process.communicate(timeout=60)
        captured = next(line for line in said.splitlines() if line.endswith(" captured"))
        return int(captured.split()[0])


class Dumpcap(Yardstick):
    """`dumpcap -w`, Wireshark's own: as tcpdump, in pcapng."""

    name = program = "dumpcap"

    def _start(self, low: int, high: int, ports: list[int]) -> subprocess.Popen[str]:
        what = f"udp and dst portrange {low}-{high}"
        self._file = self._folder / "dumpcap.pcapng"
        command = ["dumpcap", "-i", "lo", "-q", "-B", "64", "-f", what, "-w", str(self._file)]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self._await(process.stderr, "File:")
        return process

    def _received(self) -> int:
        self._process.send_signal(signal.SIGINT)
        _, said = self._process.communicate(timeout=60)
        captured = next(line for line in said.splitlines() if line.startswith("Packets received/dropped"))
        return int(captured.rpartition("': ")[2].split("/")[0])


class Floor(Yardstick):
    """bench/floor.c: a ring reader in C that finds each packet's stream and puts its payload in its place in RAM."""

    name = "c_floor"
    program = "cc"

    def _start(self, low: int, high: int, ports: list[int]) -> subprocess.Popen[str]:
        program = self._folder / "floor"
        source = Path(__file__).with_name("floor.c")
        subprocess.run(["cc", "-O2", "-o", str(program), str(source)], check=True)
        process = subprocess.Popen([str(program), "lo", str(low), str(high)], stdout=subprocess.PIPE, text=True)
        self._await(process.stdout, "ready")
        return process

    def _received(self) -> int:
        self._process.terminate()
        out, _ = self._process.communicate(timeout=60)
        return int(out)


def _sink(port: int) -> socket.socket:
    """A bound port that lets nothing through: no ICMP goes out, and nothing is copied for it."""
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bpf.attach(sink, bpf.NOTHING)
    sink.bind(("127.0.0.1", port))
    return sink


YARDSTICKS: tuple[type[Yardstick], ...] = (Floor, Tcpdump, Dumpcap, Naive)


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), [int(port) for port in sys.argv[2:]]))
