"""What one connection to a telephone system is: bytes in, what was said and bytes to send out; no sockets, no clock."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from agent.model.cti import Said


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """Who we are to the telephone system. Has no `repr`, so that no log shows it."""

    username: str
    secret: str


class Dialogue(Protocol):
    """One protocol, from the first byte of a connection to its last."""

    @property
    def ready(self) -> bool:
        """Whether we are logged in and subscribed."""

    def hello(self) -> bytes:
        """What we send first."""

    def feed(self, data: bytes, now_s: float) -> Iterator[Said | bytes]:
        """In order: what `data` says, and bytes to be sent for it. Raises PeerError when it comes to what cannot be
        followed; the connection is then to be closed."""

    def ping(self) -> bytes:
        """What makes a peer that lives answer; empty when it speaks by itself."""
