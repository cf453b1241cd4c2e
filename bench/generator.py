"""Sends RTP for many streams at their real pace with sendmmsg(2): a process of its own, cheap enough not to matter.

`python -m bench.generator` reads a `Plan` as JSON from standard input, and prints a `Sent` as JSON when done.
Payloads are stretches of one block of noise, so that any receiver can be held against `payload_of` byte by byte.
"""

import ctypes
import json
import resource
import socket
import sys
import time
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

FRAME = 160
FRAME_S = 0.02
HEADER = 12
NOISE_BYTES = 1 << 20
BATCHES = 8
"""Streams take turns within a frame's time, so that packets do not all leave at once."""
STEP = 7919 * FRAME % NOISE_BYTES

_MESSAGE = np.dtype(
    [(n, "u8") for n in ("name", "name_length", "iov", "iov_count", "control", "control_length", "flags", "length")]
)
_ADDRESS = np.dtype([("family", "u2"), ("port", ">u2"), ("host", "u1", 4), ("zero", "u1", 8)])


@dataclass(frozen=True)
class Plan:
    """Streams go to `ports` of `host`, `packets` packets each."""

    host: str
    ports: list[int]
    packets: int


@dataclass(frozen=True)
class Sent:
    """What was done: packets in all, seconds it took, CPU seconds, and the largest delay behind schedule."""

    packets: int
    seconds: float
    cpu_s: float
    late_s: float


def noise() -> npt.NDArray[np.uint8]:
    """The block that payloads are cut from, with one frame more so that no cut has to wrap."""
    block = np.random.default_rng(7).integers(0, 256, NOISE_BYTES, np.uint8)
    return np.concatenate([block, block[:FRAME]])


def payload_of(stream: int, packets: int) -> npt.NDArray[np.uint8]:
    """All bytes a stream sends."""
    start = stream * STEP % NOISE_BYTES
    return np.take(noise()[:NOISE_BYTES], np.arange(start, start + packets * FRAME), mode="wrap")


class Sender:
    """The memory of all messages, laid out once; a frame only moves numbers in it."""

    def __init__(self, plan: Plan) -> None:
        count = len(plan.ports)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 << 20)
        self._noise = noise()
        self._offset = np.arange(count, dtype=np.int64) * STEP % NOISE_BYTES
        self._header = np.zeros((count, HEADER), np.uint8)
        self._header[:, 0], self._header[:, 1] = 0x80, 8
        self._sequence = self._header[:, 2:4].view(">u2")[:, 0]
        self._timestamp = self._header[:, 4:8].view(">u4")[:, 0]
        self._header[:, 8:12].view(">u4")[:, 0] = np.arange(1, count + 1)
        self._address = np.zeros(count, _ADDRESS)
        self._address["family"], self._address["port"] = socket.AF_INET, plan.ports
        self._address["host"] = np.frombuffer(socket.inet_aton(plan.host), np.uint8)
        self._vectors = np.zeros((count, 2, 2), np.uint64)
        self._vectors[:, 0, 0] = self._header.ctypes.data + np.arange(count) * HEADER
        self._vectors[:, 0, 1], self._vectors[:, 1, 1] = HEADER, FRAME
        self._messages = np.zeros(count, _MESSAGE)
        self._messages["name"] = self._address.ctypes.data + np.arange(count) * _ADDRESS.itemsize
        self._messages["name_length"] = _ADDRESS.itemsize
        self._messages["iov"] = self._vectors.ctypes.data + np.arange(count) * 32
        self._messages["iov_count"] = 2
        self._send = ctypes.CDLL(None, use_errno=True).sendmmsg
        self._send.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)

    def frame(self, number: int) -> None:
        """Set up packet `number` of every stream."""
        self._sequence[:] = number & 0xFFFF
        self._timestamp[:] = number * FRAME & 0xFFFFFFFF
        self._vectors[:, 1, 0] = self._noise.ctypes.data + (self._offset + number * FRAME) % NOISE_BYTES

    def send(self, first: int, last: int) -> int:
        """Send that packet of streams `first` to `last` - 1; returns how many left."""
        done = first
        while done < last:
            at = self._messages.ctypes.data + done * _MESSAGE.itemsize
            sent = self._send(self._socket.fileno(), at, min(1024, last - done), 0)
            if sent <= 0:
                return done - first
            done += sent
        return done - first


def generate(plan: Plan) -> Sent:
    """Send it all, in real time."""
    sender, count = Sender(plan), len(plan.ports)
    edges = np.linspace(0, count, BATCHES + 1).astype(int).tolist()
    packets, late_s = 0, 0.0
    began = time.monotonic()
    for number in range(plan.packets):
        sender.frame(number)
        for batch in range(BATCHES):
            due = began + number * FRAME_S + batch * FRAME_S / BATCHES
            wait = due - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            late_s = max(late_s, -wait)
            packets += sender.send(edges[batch], edges[batch + 1])
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return Sent(packets, time.monotonic() - began, usage.ru_utime + usage.ru_stime, late_s)


if __name__ == "__main__":
    json.dump(asdict(generate(Plan(**json.load(sys.stdin)))), sys.stdout)
