"""The ring on a mirror port: telephony of others comes in, however it is wrapped, and nothing else does."""

import os
import socket
import struct
import subprocess
import time
from collections.abc import Iterator

import pytest

from agent.media import bpf
from agent.media.frames import IPV4, IPV6, TCP, UDP, parse
from agent.media.mirror import NoMirrorPort, open_mirror
from agent.media.ring import PacketRing

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="an AF_PACKET socket needs root")

MAC = b"\x02\0\0\0\0\2\x02\0\0\0\0\1"
"""To somebody else."""
SIP_PORTS, LOW, HIGH = (5060, 5070), 20000, 40000


def udp(source: int, destination: int, data: bytes = b"payload") -> bytes:
    return struct.pack(">HHHH", source, destination, 8 + len(data), 0) + data


def tcp(source: int, destination: int) -> bytes:
    return struct.pack(">HHIIBBHHH", source, destination, 1, 2, 0x50, 0x18, 1000, 0, 0) + b"payload"


def ipv4(inner: bytes, protocol: int, options: bytes = b"", fragment: int = 0) -> bytes:
    head = struct.pack(
        ">BBHHHBBH", 0x45 + len(options) // 4, 0, 20 + len(options) + len(inner), 7, fragment, 64, protocol, 0
    )
    return head + socket.inet_aton("10.0.0.1") + socket.inet_aton("10.0.0.2") + options + inner


def ipv6(inner: bytes, protocol: int) -> bytes:
    ends = socket.inet_pton(socket.AF_INET6, "fd00::1") + socket.inet_pton(socket.AF_INET6, "fd00::2")
    return struct.pack(">IHBB", 6 << 28, len(inner), protocol, 64) + ends + inner


def ethernet(kind: int, body: bytes, *tags: int) -> bytes:
    return MAC + b"".join(struct.pack(">HH", tag, 42) for tag in tags) + struct.pack(">H", kind) + body


INNER = ethernet(IPV4, ipv4(udp(1, 30000), UDP))
TELEPHONY = {
    "sip": ipv4(udp(40001, 5060), UDP),
    "sip from": ipv4(udp(5060, 999), UDP),
    "sip, the other port": ipv4(udp(999, 5070), UDP),
    "sip over tcp": ipv4(tcp(40001, 5060), TCP),
    "sip over tcp from": ipv4(tcp(5070, 999), TCP),
    "media": ipv4(udp(1, LOW), UDP),
    "media, last port": ipv4(udp(1, HIGH), UDP, options=b"\x01" * 8),
    "fragment": ipv4(udp(1, 2), UDP, fragment=0x2000),
    "erspan": ipv4(struct.pack(">HH", 0, 0x88BE) + INNER, 47),
    "vxlan": ipv4(udp(5555, 4789, b"\x08\0\0\0\0\0\x63\0" + INNER), UDP),
    "six sip": ipv6(udp(40001, 5060), UDP),
    "six sip over tcp": ipv6(tcp(5060, 40001), TCP),
    "six media": ipv6(udp(1, 30000), UDP),
    "six fragment": ipv6(b"\x11\0\0\1\0\0\0\7" + udp(1, 30000), 44),
    "six gre": ipv6(struct.pack(">HH", 0, 0x88BE) + INNER, 47),
}
FOREIGN = {
    "udp to another port": ipv4(udp(30000, LOW - 1), UDP),
    "udp beyond": ipv4(udp(5061, HIGH + 1), UDP),
    "tcp": ipv4(tcp(30000, 30000), TCP),
    "icmp": ipv4(b"\x08" + bytes(40), 1),
    "six udp": ipv6(udp(30000, 500), UDP),
    "six tcp": ipv6(tcp(443, 30000), TCP),
    "six icmp": ipv6(b"\x80" + bytes(40), 58),
}


@pytest.fixture
def port(cable: tuple[str, socket.socket]) -> Iterator[tuple[socket.socket, PacketRing]]:
    """The far end of a cable, and the ring on its near end."""
    near, sender = cable
    ring = open_mirror(near, SIP_PORTS, (LOW, HIGH), 4)
    yield sender, ring
    ring.close()


def seen(ring: PacketRing, count: int) -> list[bytes]:
    """The frames that came, from the IP header on; in all of them but fragments a payload is found."""
    found: list[bytes] = []
    deadline = time.monotonic() + 10
    while len(found) < count and time.monotonic() < deadline:
        frames = ring.read_frames()
        if frames is None:
            time.sleep(0.005)
            continue
        payloads = parse(frames.memory, frames.start, frames.stop, frames.kind)
        assert len(payloads.frame) == len(frames) - payloads.fragments and payloads.malformed == 0
        for start, stop in zip(frames.start.tolist(), frames.stop.tolist(), strict=True):
            found.append(frames.memory[start:stop].tobytes())
    return found


@pytest.mark.parametrize("tags", [(), (0x8100,), (0x88A8, 0x8100), (0x88A8, 0x8100, 0x8100)])
def test_telephony_comes_in_and_nothing_else(port: tuple[socket.socket, PacketRing], tags: tuple[int, ...]) -> None:
    sender, ring = port
    for packets in (FOREIGN, TELEPHONY, FOREIGN):
        for packet in packets.values():
            sender.send(ethernet(IPV6 if packet[0] >> 4 == 6 else IPV4, packet, *tags))
    sender.send(ethernet(0x0806, bytes(46)))
    sender.send(ethernet(0x88CC, bytes(46)))
    came = seen(ring, len(TELEPHONY))
    assert [name for name, packet in TELEPHONY.items() if not any(one.endswith(packet) for one in came)] == []
    time.sleep(0.05)
    assert ring.read_frames() is None and len(came) == len(TELEPHONY)
    assert ring.count_drops() == 0


def test_tunnels_are_opened_by_whoever_reads(port: tuple[socket.socket, PacketRing]) -> None:
    sender, ring = port
    sender.send(ethernet(IPV4, TELEPHONY["erspan"], 0x8100))
    sender.send(ethernet(IPV4, TELEPHONY["fragment"]))
    sender.send(ethernet(IPV4, TELEPHONY["media"]))
    deadline, lengths = time.monotonic() + 10, []
    while len(lengths) < 2 and time.monotonic() < deadline:
        if (block := ring.read()) is not None:
            lengths += block.length.tolist()
    assert lengths == [7, 7] and (ring.fragments, ring.malformed) == (1, 0)


def test_what_goes_out_is_not_heard_and_promiscuous_mode_ends_with_the_ring(
    port: tuple[socket.socket, PacketRing],
) -> None:
    sender, ring = port
    near = f"gn{os.getpid()}"
    assert promiscuity(near) == 1
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as own:
        own.bind((near, 0))
        own.send(ethernet(IPV4, TELEPHONY["sip"]))
    sender.send(ethernet(IPV4, TELEPHONY["media"]))
    assert seen(ring, 1) == [TELEPHONY["media"]]
    ring.close()
    assert promiscuity(near) == 0


def promiscuity(name: str) -> int:
    """How many want the interface to take in everything."""
    said = subprocess.run(["ip", "-d", "link", "show", name], capture_output=True, text=True, check=True).stdout.split()
    return int(said[said.index("promiscuity") + 1])


def test_as_many_sip_ports_as_anybody_has_fit_into_the_filter() -> None:
    assert bpf.assemble(bpf.mirrored(range(5060, 5070), 1024, 65535))


def test_an_interface_that_is_not_there_is_an_error_in_words() -> None:
    with pytest.raises(NoMirrorPort, match=r"span.interface absent0: .*`ip link` lists"):
        open_mirror("absent0", SIP_PORTS, (LOW, HIGH), 4)
