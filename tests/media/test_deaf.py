"""Sockets that hold ports: RTCP's are a courtesy, and never cost a call its own."""

import subprocess
import sys
from textwrap import dedent

import pytest

from agent.media.deaf import deaf, deaf_neighbour

HOST = "127.77.0.1"
FEW = 64
WITH_FEW_DESCRIPTORS = f"""
    import resource, sys
    from agent.media.deaf import deaf, deaf_neighbour

    resource.setrlimit(resource.RLIMIT_NOFILE, ({FEW}, {FEW}))
    neighbours, port = [], 20000
    while more := deaf_neighbour(sys.argv[1], port):
        neighbours += more
        port += 2
    own = [deaf(sys.argv[1], port + number * 2) for number in range({FEW} // 4)]
    print(len(neighbours), len(own))
"""
"""Takes neighbours until it is refused, then a quarter of all descriptors for ports of its own."""


def test_the_port_of_rtcp_is_held_too() -> None:
    port = 20001
    (neighbour,) = deaf_neighbour(HOST, port - 1)
    with neighbour, pytest.raises(OSError):
        deaf(HOST, port)


def test_ports_of_rtcp_leave_half_of_the_descriptors_to_others() -> None:
    """In a process of its own: which descriptors this one has open is nobody's business."""
    script = [sys.executable, "-c", dedent(WITH_FEW_DESCRIPTORS), HOST]
    done = subprocess.run(script, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    neighbours, own = map(int, done.stdout.split())
    assert 0 < neighbours < FEW // 2
    assert own == FEW // 4
