"""`python -m bench.sinks HOST`: holds the UDP ports named on standard input until that is closed, and lets nothing in.

No ICMP goes out then, and nothing is copied for anyone: as the recorder holds its own ports.
"""

import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from agent.media import bpf


@contextmanager
def sinks(host: str, ports: Iterable[int], prefix: tuple[str, ...] = ()) -> Iterator[None]:
    """These ports are held until the end of the block; `prefix` starts the program that does it."""
    command = [*prefix, sys.executable, "-m", "bench.sinks", host]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(" ".join(map(str, ports)) + "\n")
        process.stdin.flush()
        if process.stdout.readline() != "ready\n":
            raise RuntimeError("the sinks could not be bound")
        yield
    finally:
        process.stdin.close()
        process.wait()


def _hold(host: str, ports: list[int]) -> list[socket.socket]:
    held = []
    for port in ports:
        sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        bpf.attach(sink, bpf.NOTHING)
        sink.bind((host, port))
        held.append(sink)
    return held


if __name__ == "__main__":
    kept = _hold(sys.argv[1], [int(port) for port in sys.stdin.readline().split()])
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.read()
