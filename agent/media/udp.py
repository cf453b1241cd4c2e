"""Batched reading of many UDP sockets: a timed sweep with recvmmsg(2) into memory laid out once, no wake-up a packet.

Each packet carries the kernel's time of arrival (SO_TIMESTAMPNS, socket(7)), so that a sweep may come late.
"""

import ctypes
import ipaddress
import select
import socket
import time

import numpy as np
import numpy.typing as npt

from agent.media.block import SLOT_BYTES, PacketBlock
from agent.media.deaf import deaf_neighbour
from agent.media.endpoint import key, keys_four, keys_six

CAPACITY = 2048
AT_ONCE = 64
RECEIVE_BYTES = 1 << 20
"""Kernel memory asked for a socket: seconds of one stream, should a sweep come late."""
CONTROL_BYTES = 32
"""One control message: its header (16 bytes) and a timespec (16 bytes)."""
NAME_BYTES = 28
"""struct sockaddr_in6 (ipv6(7)), the longer of the two kinds of sender."""
SO_TIMESTAMPNS = 35
NS = 1_000_000_000

_MESSAGE = np.dtype(
    [
        ("name", "u8"),
        ("name_length", "u8"),
        ("iov", "u8"),
        ("iov_count", "u8"),
        ("control", "u8"),
        ("control_length", "u8"),
        ("flags", "u8"),
        ("length", "u4"),
        ("pad", "u4"),
    ]
)
"""struct mmsghdr of 64-bit Linux (recvmmsg(2)), paddings taken into the fields before them."""

_libc = ctypes.PyDLL(None, use_errno=True)  # keeps the GIL: the calls do not block and last microseconds
_recvmmsg = _libc.recvmmsg
_recvmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)


class UdpSweep:
    """Sockets by local port, and the memory their packets are read into. One thread at a time."""

    name = "sockets"
    interval_s = 0.25
    behind_s = 0.0

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._sockets: dict[int, socket.socket] = {}
        self._neighbours: dict[int, tuple[socket.socket, ...]] = {}
        self._key_of: dict[int, int] = {}
        self._poll = select.epoll()
        self._payload = np.zeros((capacity, SLOT_BYTES), np.uint8)
        self._control = np.zeros((capacity, CONTROL_BYTES // 8), np.int64)
        self._names = np.zeros((capacity, NAME_BYTES), np.uint8)
        self._destination = np.zeros(capacity, np.int64)
        self._start = np.arange(capacity, dtype=np.int64) * SLOT_BYTES
        slots = np.arange(capacity, dtype=np.uint64)
        self._vectors = np.empty((capacity, 2), np.uint64)
        self._vectors[:, 0] = self._payload.ctypes.data + slots * SLOT_BYTES
        self._vectors[:, 1] = SLOT_BYTES
        self._messages = np.zeros(capacity, _MESSAGE)
        self._messages["name"] = self._names.ctypes.data + slots * NAME_BYTES
        self._messages["name_length"] = NAME_BYTES
        self._messages["iov"] = self._vectors.ctypes.data + slots * 16
        self._messages["iov_count"] = 1
        self._messages["control"] = self._control.ctypes.data + slots * CONTROL_BYTES
        self._messages["control_length"] = CONTROL_BYTES
        self._used = 0
        self._capacity = capacity
        self._at = self._messages.ctypes.data

    def open_port(self, host: str, port: int) -> None:
        """Bind `host` (an IP address) at `port` and read it from now on. Raises OSError."""
        if port in self._sockets:
            raise OSError(f"port {port} is open already")
        family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
            sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            sock.bind((host, port))
        except OSError:
            sock.close()
            raise
        self._sockets[port] = sock
        self._neighbours[port] = deaf_neighbour(host, port)
        self._key_of[sock.fileno()] = key(host, port)
        self._poll.register(sock.fileno(), select.EPOLLIN)

    def close_port(self, port: int) -> None:
        """Stop reading `port`; what the kernel still holds for it is dropped. Unknown ports are ignored."""
        sock = self._sockets.pop(port, None)
        if sock is not None:
            self._poll.unregister(sock.fileno())
            del self._key_of[sock.fileno()]
            sock.close()
            for neighbour in self._neighbours.pop(port):
                neighbour.close()

    def read(self) -> PacketBlock | None:
        """What has arrived since, up to the capacity of a block; None when nothing has. Never waits."""
        self._messages["name_length"][: self._used] = NAME_BYTES
        self._messages["control_length"][: self._used] = CONTROL_BYTES
        self._control[: self._used] = 0
        used = 0
        for descriptor, _ in self._poll.poll(0, max(1, len(self._sockets))):
            used = self._drain(descriptor, used)
            if used == self._capacity:
                break
        self._used = used
        if not used:
            return None
        clock_ns = time.time_ns() - time.monotonic_ns()
        stamped = self._control[:used, 2] * NS + self._control[:used, 3]
        arrival = np.where(stamped > 0, stamped - clock_ns, time.monotonic_ns())
        length = self._messages["length"][:used].astype(np.int64)
        memory = self._payload.reshape(-1)
        return PacketBlock(memory, self._start[:used], length, self._destination[:used], self._sources(used), arrival)

    def _sources(self, used: int) -> npt.NDArray[np.int64]:
        """Keys of the senders (struct sockaddr_in, ip(7); struct sockaddr_in6, ipv6(7))."""
        names = self._names[:used]
        port = names[:, 2:4].copy().view(">u2")[:, 0]
        sources = keys_four(names[:, 4:8].copy().view(">u4")[:, 0], port)
        six = names[:, :2].copy().view(np.uint16)[:, 0] == socket.AF_INET6
        if six.any():
            words = names[six, 8:24].copy().view(">u8").astype(np.uint64)
            sources[six] = keys_six(words, port[six])
        return sources

    def _drain(self, descriptor: int, used: int) -> int:
        """Read one socket until it is empty or the block is full; returns how many slots are used then."""
        destination = self._key_of[descriptor]
        while used < self._capacity:
            wanted = min(AT_ONCE, self._capacity - used)
            got = _recvmmsg(descriptor, self._at + used * _MESSAGE.itemsize, wanted, socket.MSG_DONTWAIT, None)
            if got <= 0:
                break
            self._destination[used : used + got] = destination
            used += got
            if got < wanted:
                break
        return used

    def count_drops(self) -> int:
        """Not known: the kernel drops by socket, and the sequence numbers of the stream tell."""
        return 0

    def close(self) -> None:
        """Close every port."""
        for port in list(self._sockets):
            self.close_port(port)
        self._poll.close()
