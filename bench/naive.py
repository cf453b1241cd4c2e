"""`python -m bench.naive HOST FOLDER PORT…`: a recorder as one would write it first, asyncio and a callback a packet.

Each packet is parsed with `struct`, its payload encrypted with AES-GCM under the next nonce and appended to a buffered
file of its stream. It does not reorder, align, hold back or sync. It counts on standard output when it gets SIGTERM.
"""

import asyncio
import json
import os
import signal
import socket
import struct
import sys
from functools import partial
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

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


async def _serve(host: str, folder: Path, ports: list[int]) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    streams = []
    for port in ports:
        made = partial(Stream, folder / str(port), AESGCM(os.urandom(32)))
        transport, stream = await loop.create_datagram_endpoint(made, local_addr=(host, port))
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        streams.append(stream)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await stop.wait()
    for stream in streams:
        stream.close()
    sys.stdout.write(json.dumps({"received": sum(s.received for s in streams)}) + "\n")


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], Path(sys.argv[2]), [int(port) for port in sys.argv[3:]]))
