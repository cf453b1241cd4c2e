"""The ring over the loopback interface: the packets that the sockets would have seen, and no others."""

import os
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packets import INNER, PLAIN, ethernet, gre, ipv4, ipv6, tcp, udp
from twins import read_by_either, why_no_core

from agent.media import bpf
from agent.media.block import PacketBlock
from agent.media.core import Choice, CoreMissing
from agent.media.endpoint import key
from agent.media.frames import IPV4, IPV6, TCP, UDP
from agent.media.local import LocalSource, RingSource, open_source
from agent.media.ring import PacketRing, still_tagged, walk
from agent.media.udp import UdpSweep

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="an AF_PACKET socket needs root")


def free_even_ports(count: int) -> list[int]:
    """One after the other, so that nobody else's lie between them; free on both families."""
    while True:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::", 0))
            first = sock.getsockname()[1] // 2 * 2
        found = [first + 2 * n for n in range(count)]
        if found[-1] < 2**16 and all(is_free(host, port) for host in ("0.0.0.0", "::") for port in found):
            return found


def is_free(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.bind((host, port))
        except OSError:
            return False
    return True


@pytest.fixture
def ports() -> list[int]:
    return sorted(free_even_ports(3))


@pytest.fixture(params=["127.0.0.1", "::1", "0.0.0.0"])
def host(request) -> str:
    return str(request.param)


@pytest.fixture
def ring(ports: list[int], host: str) -> Iterator[RingSource]:
    made = RingSource(host, (ports[0], ports[-1]), 4)
    yield made
    made.close()


def gathered(source: LocalSource, count: int) -> list[tuple[int, int, bytes]]:
    """Destination, source and payload of `count` packets, or of what came within ten seconds."""
    found: list[tuple[int, int, bytes]] = []
    deadline = time.monotonic() + 10
    while len(found) < count and time.monotonic() < deadline:
        block = source.read()
        if block is None:
            time.sleep(0.005)
            continue
        assert (abs(block.arrival_ns - time.monotonic_ns()) < 5_000_000_000).all()
        for n in range(len(block)):
            data = block.memory[block.start[n] : block.start[n] + block.length[n]].tobytes()
            found.append((int(block.destination[n]), int(block.source[n]), data))
    return found


def test_ring_and_sockets_see_the_same(ring: RingSource, ports: list[int], host: str) -> None:
    to = "127.0.0.1" if host == "0.0.0.0" else host
    sweep = UdpSweep()
    for port in ports:
        ring.open_port(host, port)
        with pytest.raises(OSError, match="open already"):
            ring.open_port(host, port)
    with pytest.raises(OSError):
        sweep.open_port(host, ports[0])
    family = socket.AF_INET6 if ":" in to else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        sender.bind((to, 0))
        own = key(to, sender.getsockname()[1])
        sent = [(key(host, port), own, b"%d" % n * (n + 1)) for n in range(100) for port in ports]
        for destination, _, data in sent:
            sender.sendto(data, (to, destination & 0xFFFF))
        assert gathered(ring, len(sent)) == sent
        assert ring.read() is None and ring.count_drops() == 0
        for port in ports:
            ring.close_port(port)
            sweep.open_port(host, port)
        for destination, _, data in sent:
            sender.sendto(data, (to, destination & 0xFFFF))
        assert sorted(gathered(sweep, len(sent))) == sorted(sent)
    sweep.close()


def test_nobody_is_told_that_the_port_is_closed(ring: RingSource, ports: list[int], host: str) -> None:
    to = "127.0.0.1" if host == "0.0.0.0" else host
    ring.open_port(host, ports[0])
    with socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect((to, ports[0]))
        for _ in range(3):
            sender.send(b"x")  # the second would raise, had ICMP come back for the first
            time.sleep(0.01)
        ring.close_port(ports[0])
        ring.close_port(ports[0])
        sender.send(b"x")
        time.sleep(0.01)
        with pytest.raises(ConnectionRefusedError):
            sender.send(b"x")


def test_other_ports_and_other_protocols_stay_out(ring: RingSource, ports: list[int], host: str) -> None:
    to = "127.0.0.1" if host == "0.0.0.0" else host
    family = socket.AF_INET6 if ":" in to else socket.AF_INET
    ring.open_port(host, ports[1])
    with (
        socket.socket(family, socket.SOCK_DGRAM) as sender,
        socket.socket(family, socket.SOCK_DGRAM) as other,
        socket.socket(family, socket.SOCK_STREAM) as stream,
    ):
        outside = next(port for port in range(1025, 2**16) if not ports[0] <= port <= ports[-1] and is_free(to, port))
        other.bind((to, outside))
        sender.sendto(b"foreign", other.getsockname())
        assert stream.connect_ex((to, ports[1])) != 0
        sender.sendto(b"ours", (to, ports[1]))
        assert [data for *_, data in gathered(ring, 1)] == [b"ours"]
        time.sleep(0.05)
        assert ring.read() is None


def test_a_full_ring_drops_counts_and_goes_on() -> None:
    (port,) = free_even_ports(1)
    ring = RingSource("127.0.0.1", (port, port), 4)
    ring.open_port("127.0.0.1", port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(6000):
            sender.sendto(b"x" * 1000, ("127.0.0.1", port))
        dropped = ring.count_drops()
        assert 0 < dropped < 6000
        assert len(gathered(ring, 6000 - dropped)) == 6000 - dropped
        assert ring.count_drops() == dropped
        sender.sendto(b"after", ("127.0.0.1", port))
        assert gathered(ring, 1)[-1][2] == b"after"
    ring.close()


def test_without_the_capability_sockets_are_read_and_that_is_said() -> None:
    program = shutil.which("setpriv")
    assert program, "setpriv is part of util-linux"
    code = (
        "from agent.media.local import open_source\n"
        "print(open_source('auto', '127.0.0.1', (20000, 20010), 4).name)\n"
        "try:\n    open_source('ring', '127.0.0.1', (20000, 20010), 4)\n"
        "except PermissionError:\n    print('refused')\n"
    )
    without = [program, "--bounding-set", "-net_raw", "--inh-caps", "-net_raw"]
    said = subprocess.run([*without, sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "media.no_ring" in said and said.splitlines()[-2:] == ["sockets", "refused"]
    assert open_source("sockets", "127.0.0.1", (20000, 20010), 4).name == "sockets"


STREAM = [ethernet(IPV4, ipv4(udp(4000 + n % 7, 20000 + n, bytes([n % 251]) * 172), UDP)) for n in range(3000)]
ODD = {
    "options": ethernet(IPV4, ipv4(udp(1, 2, b"xyz"), UDP, options=b"\1" * 8)),
    "fragment": ethernet(IPV4, ipv4(udp(1, 2, b"xyz"), UDP, fragment=0x2000)),
    "last fragment": ethernet(IPV4, ipv4(b"xyz", UDP, fragment=100)),
    "six": ethernet(IPV6, ipv6(udp(4000, 20000, b"six"), UDP)),
    "six fragment": ethernet(IPV6, ipv6(b"\x11\0\0\1\0\0\0\7" + udp(1, 30000, b"six"), 44)),
    "tag": ethernet(IPV4, PLAIN, [0x8100]),
    "two tags": ethernet(IPV4, PLAIN, [0x88A8, 0x8100]),
    "vxlan": ethernet(IPV4, ipv4(udp(5555, 4789, b"\x08\0\0\0\0\0\x63\0" + INNER), UDP)),
    "gre": ethernet(IPV4, ipv4(gre(0x88BE, INNER), 47)),
    "tcp": ethernet(IPV4, ipv4(tcp(1, 2, b"INVITE"), TCP)),
    "longer than it is": ethernet(IPV4, PLAIN[:-30]),
    "shorter than its header": ethernet(IPV4, ipv4(b"\0\1\0\2\0\7\0\0", UDP)),
    "of another kind": ethernet(0x88B5, PLAIN),
    "padded": ethernet(IPV4, ipv4(udp(1, 2, b"x"), UDP)) + bytes(17),
}


@pytest.mark.parametrize("odd", [None, *ODD])
def test_either_core_reads_the_same_of_what_the_kernel_hands_over(
    cable: tuple[str, socket.socket], odd: str | None
) -> None:
    """Two rings that get the same frames; and their memory as it is, which tells the times too."""
    if missing := why_no_core():
        pytest.skip(missing)
    near, sender = cable
    everything = [(bpf.RETURN, bpf.WHOLE, "", "")]
    rings = [PacketRing(near, everything, 4, promiscuous=True, core=core) for core in ("numpy", "c")]
    sent = STREAM if odd is None else [*STREAM[:2000], ODD[odd], *STREAM[2000:]]
    for frame in sent:
        sender.send(frame)
    payloads: list[list[tuple[int, int, bytes]]] = []
    for ring in rings:
        wait_for(ring, len(sent))
        clocks = time.time_ns() - time.monotonic_ns(), time.monotonic_ns()
        block, whole = read_by_either(ring._memory.copy(), clocks)
        assert block is not None and whole == (odd in (None, "padded"))
        assert (block.arrival_ns <= clocks[1]).all() and (block.arrival_ns > clocks[1] - 60_000_000_000).all()
        payloads.append(told(ring.read()))
        assert payloads[-1] == told(block) and ring.read() is None and ring.count_drops() == 0
        ring.close()
    assert payloads[0] == payloads[1] and len(payloads[0]) >= 3000
    counts = [(ring.fragments, ring.malformed) for ring in rings]
    assert counts[0] == counts[1] and (sum(counts[0]) == 1) == (odd in TROUBLE)


TROUBLE = ("fragment", "last fragment", "six fragment", "longer than it is", "shorter than its header")
"""Of ODD: in these no payload is found, and that is counted."""


def wait_for(ring: PacketRing, count: int) -> None:
    """Until the kernel has handed over as many packets, none of which is read yet."""
    deadline = time.monotonic() + 10
    while int(ring._blocks[ring._blocks[:, 2] & 1 == 1, 3].sum()) < count:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def told(block: PacketBlock | None) -> list[tuple[int, int, bytes]]:
    assert block is not None
    stretches = zip(block.start.tolist(), block.length.tolist(), strict=True)
    data = [block.memory[start : start + length].tobytes() for start, length in stretches]
    return list(zip(block.destination.tolist(), block.source.tolist(), data, strict=True))


def test_the_core_wanted_reads_the_ring(ports: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    def is_compiled(core: Choice) -> bool:
        source = open_source("ring", "127.0.0.1", (ports[0], ports[-1]), 4, core)
        source.close()
        assert isinstance(source, RingSource)
        return source._ring._walker is not None

    if not why_no_core():
        assert [is_compiled(core) for core in ("auto", "c", "numpy")] == [True, True, False]
    monkeypatch.setattr("agent.media.core.load", Mock(side_effect=CoreMissing("not compiled")))
    assert [is_compiled(core) for core in ("auto", "numpy")] == [False, False]
    with pytest.raises(CoreMissing):
        is_compiled("c")


@settings(max_examples=200, deadline=None)
@given(
    sizes=st.lists(st.sampled_from([128, 272, 272, 272, 304, 1600]), min_size=1, max_size=60),
    stale=st.integers(0, 2**32 - 1),
    turn=st.integers(0, 60),
)
def test_every_chain_is_walked_whatever_an_older_one_left_behind(sizes: list[int], stale: int, turn: int) -> None:
    words = np.full(1 << 17, stale, np.uint32)
    first, at, expected = 48, 48, []
    for number, size in enumerate(sizes):
        expected.append(at)
        words[at >> 2], words[(at >> 2) + 1] = size, 1000 + (number >= turn)
        at += size
    words[3], words[4], words[5], words[8], words[10] = len(sizes), first, at, 1000, 1000 + (len(sizes) > turn)
    words[expected[-1] >> 2] = 0 if stale % 2 else words[expected[-1] >> 2]
    assert walk(words, first, len(sizes)).tolist() == expected


def test_a_filter_is_assembled_as_the_kernel_wants_it() -> None:
    code = bpf.assemble([(bpf.LOAD_BYTE, 9, "", ""), (bpf.EQUAL, 17, "", "no"), (6, 1, "", ""), "no", (6, 0, "", "")])
    assert [struct.unpack("=HBBI", code[n : n + 8]) for n in range(0, len(code), 8)] == [
        (0x30, 0, 0, 9),
        (0x15, 0, 1, 17),
        (6, 0, 0, 1),
        (6, 0, 0, 0),
    ]
    with pytest.raises(ValueError, match="too far"):
        bpf.assemble(["back", (6, 0, "", ""), (bpf.EQUAL, 1, "back", "")])


@pytest.mark.parametrize(
    ("kind", "begins", "size", "tagged"),
    [
        (0x0800, b"\x45\0\x00\x2a", 42, False),
        (0x0800, b"\x45\0\x08\x00", 2048, False),
        (0x0800, b"\x45\0\x08\x00\x45\0", 60, True),
        (0x0800, b"\0\x2a\x08\x00\x45\0", 60, True),
        (0x0800, b"\x40\x2a\x81\x00\0\x07", 60, True),
        (0x86DD, b"\x60\0\x86\xdd\x00\x14", 60, False),
        (0x86DD, b"\x60\0\x86\xdd\x60\0", 60, True),
        (0x8100, b"\0\x2a\x08\x00\x45\0", 60, False),
        (0x0800, b"\x65\0\x01\x00\x45\0", 60, False),
    ],
)
def test_a_second_tag_is_told_from_an_ip_header(kind: int, begins: bytes, size: int, tagged: bool) -> None:
    memory = np.zeros(4000, np.uint8)
    memory[100 : 100 + len(begins)] = np.frombuffer(begins, np.uint8)
    at = np.array([100])
    assert still_tagged(memory, at, at + size, np.array([kind])).tolist() == [tagged]
