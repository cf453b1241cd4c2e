"""What was overheard: one UDP datagram or TCP segment to or from a SIP port."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Overheard:
    """`at_ns` is UTC; `source` and `destination` are IP address and port; `sequence`, `flags` are TCP's (RFC 9293)."""

    at_ns: int
    transport: Literal["udp", "tcp"]
    source: tuple[str, int]
    destination: tuple[str, int]
    data: bytes
    sequence: int = 0
    flags: int = 0
