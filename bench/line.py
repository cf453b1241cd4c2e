"""A line of so many Mbit/s each way to a server on this machine: a TCP proxy in a process of its own.

`python -m bench.line PORT MBIT` prints the port that it listens at, and ends with its standard input.
"""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

PIECE_BYTES = 16 << 10
SLICE_S = 0.02
"""So far ahead of its time may a direction be: what a modem buffers."""


class Direction:
    """One way of the line, shared by all connections."""

    def __init__(self, mbit: float) -> None:
        self._bytes_per_s = mbit * 125_000
        self._free_s = 0.0

    async def carry(self, count: int) -> None:
        """When so many bytes are over."""
        now_s = time.monotonic()
        self._free_s = max(self._free_s, now_s) + count / self._bytes_per_s
        if self._free_s - now_s > SLICE_S:
            await asyncio.sleep(self._free_s - now_s - SLICE_S)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, way: Direction) -> None:
    with suppress(OSError):
        while piece := await source.read(PIECE_BYTES):
            await way.carry(len(piece))
            sink.write(piece)
            await sink.drain()
        sink.write_eof()


async def _serve(port: int, mbit: float) -> None:
    up, down = Direction(mbit), Direction(mbit)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_pump(reader, far_writer, up), _pump(far_reader, writer, down))
        for one in (writer, far_writer):
            one.close()

    listener = await asyncio.start_server(connected, "127.0.0.1", 0)
    print(listener.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


@contextmanager
def line(port: int, mbit: float) -> Iterator[int]:
    """The port of the near end."""
    command = [sys.executable, "-m", "bench.line", str(port), str(mbit)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), float(sys.argv[2])))
