"""Sockets that hold ports: RTCP's are a courtesy, and never cost a call its own."""

import resource
import socket
from collections.abc import Iterator

import pytest

from agent.media.deaf import deaf, deaf_neighbour

HOST = "127.77.0.1"


@pytest.fixture
def few_descriptors() -> Iterator[int]:
    """As many as this process may have from now on: few more than it has."""
    with socket.socket() as next_one:
        few = next_one.fileno() * 2 + 4
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (few, hard))
    yield few
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_port_of_rtcp_is_held_too() -> None:
    port = 20001
    (neighbour,) = deaf_neighbour(HOST, port - 1)
    with neighbour, pytest.raises(OSError):
        deaf(HOST, port)


def test_ports_of_rtcp_leave_half_of_the_descriptors_to_others(few_descriptors: int) -> None:
    held: list[socket.socket] = []
    port = 20000
    while more := deaf_neighbour(HOST, port):
        held += more
        port += 2
    try:
        assert held and len(held) < few_descriptors // 2
        for number in range(few_descriptors // 4):
            held.append(deaf(HOST, port + number * 2))
    finally:
        for sock in held:
            sock.close()
