"""What the recorder is measured against: a recorder of one callback a packet, and `tcpdump -w`.

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
import time
from functools import partial
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bench.cpu import cpu_s

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


class Naive:
    """The naive recorder as a process."""

    def __init__(self, folder: Path, ports: list[int]) -> None:
        folder.mkdir(parents=True)
        command = [sys.executable, "-m", "bench.yardsticks", str(folder), *map(str, ports)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"
        self._began = cpu_s(self._process.pid)

    def end(self) -> tuple[int, float]:
        """Packets received and CPU seconds used for them."""
        time.sleep(1.5)
        used = cpu_s(self._process.pid) - self._began
        self._process.terminate()
        out, _ = self._process.communicate(timeout=30)
        return int(json.loads(out)["received"]), used


class Tcpdump:
    """`tcpdump -w` of a range of ports on loopback, which are bound here so that nothing answers."""

    def __init__(self, folder: Path, ports: list[int]) -> None:
        program = shutil.which("tcpdump")
        if program is None or os.geteuid() != 0:
            raise RuntimeError("tcpdump as a yardstick needs root and the program: apt install tcpdump")
        self._sockets = []
        for port in ports:
            sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            sink.bind(("127.0.0.1", port))
            self._sockets.append(sink)
        what = f"udp and dst portrange {min(ports)}-{max(ports)}"
        command = [program, "-i", "lo", "-Z", "root", "-B", "65536", "-w", str(folder / "all.pcap"), what]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        while "listening on" not in self._process.stderr.readline():
            pass
        self._began = cpu_s(self._process.pid)

    def end(self) -> tuple[int, float]:
        """Packets captured and CPU seconds used for them."""
        time.sleep(1.5)
        used = cpu_s(self._process.pid) - self._began
        self._process.send_signal(signal.SIGINT)
        _, said = self._process.communicate(timeout=30)
        for sink in self._sockets:
            sink.close()
        captured = next(line for line in said.splitlines() if line.endswith(" captured"))
        return int(captured.split()[0]), used


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), [int(port) for port in sys.argv[2:]]))
