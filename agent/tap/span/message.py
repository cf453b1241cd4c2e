"""What was overheard: one UDP datagram or TCP segment to or from a SIP port, and the messages that these make."""

from dataclasses import dataclass
from typing import Literal

from agent.sip.message import Message
from agent.sip.sdp import Description


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


@dataclass(frozen=True, slots=True)
class Said:
    """A whole message, read: `method` also of the request that a response answers; `description` if it has one that may
    matter. `source` and `destination` are IP addresses."""

    at_ns: int
    source: str
    destination: str
    message: Message
    method: str
    call_id: str
    description: Description | None
