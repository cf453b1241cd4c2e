"""Packets to our own media ports: through the ring where we may, by a sweep of the sockets where we may not."""

import ipaddress
import socket
from pathlib import Path
from typing import Protocol

import structlog

from agent.media import bpf
from agent.media.block import PacketBlock
from agent.media.core import Choice
from agent.media.deaf import deaf, deaf_neighbour
from agent.media.endpoint import PORT_BITS
from agent.media.ring import BEHIND_S, PacketRing
from agent.media.udp import UdpSweep

_INTERFACES = Path("/sys/class/net")

log = structlog.get_logger()


class LocalSource(Protocol):
    """Opens ports of this host, and reads what comes to all of them. One thread at a time."""

    @property
    def name(self) -> str:
        """`ring` or `sockets`."""

    @property
    def interval_s(self) -> float:
        """How often it is to be read."""

    @property
    def behind_s(self) -> float:
        """So long after it has arrived a packet may still not be there to be read."""

    def open_port(self, host: str, port: int) -> None:
        """Bind `host` (an IP address) at `port` and read it from now on. Raises OSError."""

    def close_port(self, port: int) -> None:
        """Stop reading `port`. Unknown ports are ignored."""

    def read(self) -> PacketBlock | None:
        """What has arrived since; None when nothing has. Never waits."""

    def count_drops(self) -> int:
        """Packets lost for want of room, since the start."""

    def close(self) -> None:
        """Close everything."""


class RingSource:
    """Sockets that let nothing through hold the ports, so that no ICMP goes out; their packets come by the ring."""

    name = "ring"
    interval_s = 0.02
    behind_s = BEHIND_S

    def __init__(self, host: str, ports: tuple[int, int], size_mib: int, core: Choice = "auto") -> None:
        """`host`: the one address of ours, or a wildcard. `core`: see PacketRing.

        Raises PermissionError without CAP_NET_RAW, OSError, CoreMissing.
        """
        self._any_host = ipaddress.ip_address(host).is_unspecified
        self._ring = PacketRing("", bpf.own_udp(*ports, without=_subordinate()), size_mib, core=core)
        self._sockets: dict[int, tuple[socket.socket, ...]] = {}

    def open_port(self, host: str, port: int) -> None:
        """See LocalSource."""
        if port in self._sockets:
            raise OSError(f"port {port} is open already")
        self._sockets[port] = (deaf(host, port), *deaf_neighbour(host, port))

    def close_port(self, port: int) -> None:
        """See LocalSource."""
        for sock in self._sockets.pop(port, ()):
            sock.close()

    def read(self) -> PacketBlock | None:
        """See LocalSource."""
        block = self._ring.read()
        if block is None or not self._any_host:
            return block
        port_only = block.destination & (1 << PORT_BITS) - 1
        return PacketBlock(block.memory, block.start, block.length, port_only, block.source, block.arrival_ns)

    def count_drops(self) -> int:
        """See LocalSource."""
        return self._ring.count_drops()

    def close(self) -> None:
        """See LocalSource."""
        for port in list(self._sockets):
            self.close_port(port)
        self._ring.close()


def open_source(wanted: str, host: str, ports: tuple[int, int], size_mib: int, core: Choice = "auto") -> LocalSource:
    """`wanted`: `ring`, `sockets`, or `auto`: the ring where it may be had. `core`: which one reads the ring's headers.

    Raises OSError when a ring may not be had, CoreMissing.
    """
    if wanted != "sockets":
        try:
            return RingSource(host, ports, size_mib, core)
        except OSError as error:
            if wanted == "ring":
                raise
            log.warning("media.no_ring", why=error.strerror or str(error), instead="sockets, at about twice the cost")
    return UdpSweep()


def _subordinate() -> list[int]:
    """Interfaces that belong to a bond, bridge or team: what comes in by them is given to their master again."""
    numbers = []
    for number, name in socket.if_nameindex():
        if (_INTERFACES / name / "master").exists():
            numbers.append(number)
    return numbers
