"""The sweep over real sockets: every datagram once, with its port, length and time; nothing is waited for."""

import socket
import time

import numpy as np
import pytest

from agent.media.block import SLOT_BYTES
from agent.media.udp import UdpSweep


@pytest.fixture
def sweep():
    made = UdpSweep(capacity=256)
    yield made
    made.close()


def a_port(host: str = "127.0.0.1") -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind((host, 0))
        return sock.getsockname()[1]


def read_all(sweep: UdpSweep, count: int) -> list[tuple[int, bytes, int]]:
    found: list[tuple[int, bytes, int]] = []
    deadline = time.monotonic() + 10
    while len(found) < count and time.monotonic() < deadline:
        while (block := sweep.read()) is not None:
            for n in range(len(block)):
                data = block.memory[block.start[n] : block.start[n] + block.length[n]].tobytes()
                found.append((int(block.destination[n]) & 0xFFFF, data, int(block.arrival_ns[n])))
    return found


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_every_datagram_comes_once_with_its_port_and_time(sweep: UdpSweep, host: str) -> None:
    ports = [a_port(host) for _ in range(5)]
    for port in ports:
        sweep.open_port(host, port)
    assert sweep.read() is None
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    before = time.monotonic_ns()
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        sent = [(port, b"%d:%d" % (port, n) * (n + 1)) for n in range(100) for port in ports]
        for port, data in sent:
            sender.sendto(data, (host, port))
    found = read_all(sweep, len(sent))
    assert sorted((port, data) for port, data, _ in found) == sorted(sent)
    slack = 1_000_000  # the two clocks are not read at the same instant
    assert all(before - slack <= at <= time.monotonic_ns() + slack for *_, at in found)
    assert sweep.read() is None


def test_order_within_a_port_is_kept_over_blocks(sweep: UdpSweep) -> None:
    port = a_port()
    sweep.open_port("127.0.0.1", port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for n in range(300):
            sender.sendto(n.to_bytes(2, "big"), ("127.0.0.1", port))
    assert [int.from_bytes(data, "big") for _, data, _ in read_all(sweep, 300)] == list(range(300))


def test_an_empty_and_an_overlong_datagram_do_no_harm(sweep: UdpSweep) -> None:
    port = a_port()
    sweep.open_port("127.0.0.1", port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for data in (b"", b"x" * 5000, b"after"):
            sender.sendto(data, ("127.0.0.1", port))
    assert [len(data) for _, data, _ in read_all(sweep, 3)] == [0, SLOT_BYTES, 5]


def test_a_port_can_be_closed_and_opened_again_and_a_taken_one_is_refused(sweep: UdpSweep) -> None:
    port = a_port()
    sweep.open_port("127.0.0.1", port)
    with pytest.raises(OSError, match="open already"):
        sweep.open_port("127.0.0.1", port)
    sweep.close_port(port)
    sweep.close_port(port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", port))
        with pytest.raises(OSError):
            sweep.open_port("127.0.0.1", port)
    sweep.open_port("127.0.0.1", port)
    assert sweep.read() is None


def test_the_memory_of_a_block_is_used_again(sweep: UdpSweep) -> None:
    port = a_port()
    sweep.open_port("127.0.0.1", port)
    seen = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(3):
            sender.sendto(b"x" * 172, ("127.0.0.1", port))
            while (block := sweep.read()) is None:
                continue
            seen.append(block.memory.ctypes.data)
            assert block.memory.dtype == np.uint8 and block.length.tolist() == [172]
    assert len(set(seen)) == 1
