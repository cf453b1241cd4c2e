"""A line to a server that a test cuts, damages or slows: a TCP proxy on loopback."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self


class Line:
    """Passes bytes on, both ways. What is told here holds for what comes from then on, over all connections."""

    def __init__(self, port: int) -> None:
        self._to = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.sent = 0
        """Bytes that clients sent so far."""
        self.cut_at: int | None = None
        """Every connection is reset as soon as so many were sent."""
        self.damage: Callable[[bytes], bytes] = lambda data: data
        """What becomes of bytes on their way to the server."""
        self._lock = threading.Lock()

    def start(self) -> Self:
        """Begin to accept."""
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def close(self) -> None:
        """Accept no more."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                here, _ = self._listener.accept()
            except OSError:
                return
            try:
                there = socket.create_connection(self._to)
            except OSError:
                _reset(here)
                continue
            for side in (here, there):
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._up, args=(here, there), daemon=True).start()
            threading.Thread(target=self._down, args=(here, there), daemon=True).start()

    def _up(self, here: socket.socket, there: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := here.recv(1 << 16):
                with self._lock:
                    left = len(data) if self.cut_at is None else max(0, self.cut_at - self.sent)
                    self.sent += min(left, len(data))
                there.sendall(self.damage(data[:left]))
                if left < len(data):
                    break
            else:
                there.shutdown(socket.SHUT_WR)
                return
        _reset(here)
        _reset(there)

    @staticmethod
    def _down(here: socket.socket, there: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := there.recv(1 << 16):
                here.sendall(data)
            here.shutdown(socket.SHUT_WR)


def _reset(side: socket.socket) -> None:
    """As when a line breaks: no orderly end."""
    with contextlib.suppress(OSError):
        side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        side.shutdown(socket.SHUT_RDWR)
        side.close()


@contextmanager
def line_to(port: int) -> Iterator[Line]:
    """A line to a port of this machine."""
    line = Line(port).start()
    try:
        yield line
    finally:
        line.close()
