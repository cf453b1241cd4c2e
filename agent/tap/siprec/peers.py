"""The other end of a message: where it came from, how to answer it, whether it may talk to us at all."""

import ipaddress
import socket
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Peer:
    """A source of messages: one address over UDP, or one connection. `local` is our end, as the peer sees it."""

    transport: str
    host: str
    port: int
    local: tuple[str, int]
    send: Callable[[bytes], None] = field(repr=False)
    alive: Callable[[], bool] = field(default=lambda: True, repr=False)
    close: Callable[[], None] = field(default=lambda: None, repr=False)

    @property
    def reliable(self) -> bool:
        """Whether the transport resends by itself."""
        return self.transport != "udp"

    @property
    def source(self) -> tuple[str, int]:
        """Address and port the messages come from."""
        return self.host, self.port


class AllowList:
    """The networks of `siprec.allow`."""

    def __init__(self, networks: tuple[str, ...]) -> None:
        self._networks = [ipaddress.ip_network(n) for n in networks]
        self._known: dict[str, bool] = {}

    def __contains__(self, host: str) -> bool:
        if host not in self._known:
            if len(self._known) > 10_000:
                self._known.clear()
            self._known[host] = self._check(host)
        return self._known[host]

    def _check(self, host: str) -> bool:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return any(address in network for network in self._networks if network.version == address.version)


def plain_host(host: str) -> str:
    """An address as text without scope or IPv4-in-IPv6 mapping: `::ffff:10.0.0.1` → `10.0.0.1`."""
    address = ipaddress.ip_address(host.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def is_wildcard(host: str) -> bool:
    """Whether a listening address stands for every address of the machine."""
    return ipaddress.ip_address(host).is_unspecified


def local_address(towards: str) -> str:
    """Our own address from which packets to `towards` leave: routing is asked, nothing is sent. OSError: no route."""
    family = socket.AF_INET6 if ":" in towards else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((towards, 9))
        return plain_host(probe.getsockname()[0])
