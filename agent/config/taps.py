"""Sections of what calls are heard by: the session recording server, the passive tap, and how packets come in."""

import ipaddress
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from agent.config.presses import SipPresses
from agent.config.section import Patterns, Section

_PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "::1/128", "fc00::/7")


class Endpoint(Section):
    """A listening address written `udp:0.0.0.0:5060`, `tcp:[::1]:5060`, `tls:0.0.0.0:5061`."""

    transport: Literal["udp", "tcp", "tls"]
    host: str
    port: int = Field(ge=0, le=65535)


def endpoint(value: object) -> object:
    """Parse the written form of an Endpoint; other values pass to validation as they are."""
    if not isinstance(value, str):
        return value
    transport, _, rest = value.partition(":")
    host, _, port = rest.rpartition(":")
    if transport not in ("udp", "tcp", "tls") or not host or not port.isdigit():
        raise ValueError('expected "udp:ADDRESS:PORT", "tcp:…" or "tls:…", such as "udp:0.0.0.0:5060"')
    host = host.strip("[]")
    ipaddress.ip_address(host)
    return {"transport": transport, "host": host, "port": int(port)}


Listen = Annotated[Endpoint, BeforeValidator(endpoint)]


class Siprec(SipPresses):
    """The session recording server."""

    listen: tuple[Listen, ...] = Field(
        default=(
            Endpoint(transport="udp", host="0.0.0.0", port=5060),  # noqa: S104 - a recorder serves the site's network
            Endpoint(transport="tcp", host="0.0.0.0", port=5060),  # noqa: S104
        ),
    )
    media_address: str = "auto"
    media_ports: tuple[int, int] = (20000, 29998)
    allow: Patterns = _PRIVATE
    max_calls: int = Field(2000, ge=1, le=20000)
    srtp: Literal["allow", "require"] = "allow"
    """`require`: plain RTP is refused (488)."""
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    """Authorities whose certificates a peer over TLS must show; without it, nobody needs one."""
    tls_peers: Patterns = ()
    """Shell patterns of names in the certificates of welcome peers; none: all that are verified."""
    fork_headers: Patterns = ("x-refci", "Cisco-Guid", "Session-ID")
    """Parameters of From or headers that are the same in the two plain calls of one conversation; the first counts."""
    fork_window_s: float = Field(10.0, ge=0, le=60)
    """A second call of the conversation that comes later is a call of its own, except where `x-refci` is the same."""

    @property
    def media_host(self) -> str:
        """The local address media ports are opened at."""
        return self.listen[0].host if self.media_address == "auto" else self.media_address

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.listen:
            raise ValueError("siprec.listen: at least one address is needed")
        low, high = self.media_ports
        if not 1024 <= low < high <= 65535:
            raise ValueError("media_ports: expected [LOW, HIGH] with 1024 <= LOW < HIGH <= 65535")
        for net in self.allow:
            ipaddress.ip_network(net)
        if self.media_address != "auto":
            ipaddress.ip_address(self.media_address)
        if any(e.transport == "tls" for e in self.listen) and not (self.tls_certificate and self.tls_key):
            raise ValueError("siprec.listen: tls needs tls_certificate and tls_key, files in PEM")
        if self.tls_peers and not self.tls_client_ca:
            raise ValueError("siprec.tls_peers: names are only checked in certificates: tls_client_ca is needed")
        return self


class Span(Section):
    """The passive tap: what is overheard on a mirror port (off without `interface`) or in a capture file."""

    interface: str | None = None
    sip_ports: tuple[int, ...] = Field(default=(5060,), max_length=16)
    media_ports: tuple[int, int] = (1024, 65535)
    networks: Patterns = _PRIVATE
    """Whose SIP is believed."""
    extensions: Patterns = ()
    """Shell patterns; only calls in which one of these takes part are recorded. None: all calls."""
    merge_headers: Patterns = ("Session-ID", "X-Call-ID", "Cisco-Guid", "X-Cisco-Guid", "P-Charging-Vector")
    """Dialogs with the same value in one of these are the two sides of a PBX: one call."""
    max_calls: int = Field(2000, ge=1, le=20000)

    @model_validator(mode="after")
    def _check(self) -> Self:
        low, high = self.media_ports
        if not 1 <= low < high <= 65535:
            raise ValueError("media_ports: expected [LOW, HIGH] with 1 <= LOW < HIGH <= 65535")
        if not self.sip_ports or not all(1 <= port <= 65535 for port in self.sip_ports):
            raise ValueError("sip_ports: expected ports such as [5060, 5080]")
        for net in self.networks:
            ipaddress.ip_network(net)
        return self


class Media(Section):
    """How packets come in: by the ring (needs CAP_NET_RAW), by sockets, or by the ring where it may be had; and whether
    the compiled core takes them in, numpy, or the compiled core where there is one."""

    source: Literal["auto", "ring", "sockets"] = "auto"
    ring_mib: int = Field(64, ge=4, le=1024)
    core: Literal["auto", "c", "numpy"] = "auto"
