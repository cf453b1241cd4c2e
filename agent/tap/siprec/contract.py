"""What the SIPREC tap asks of the recorder that runs it: media ports, an ear for call events, a clock."""

from typing import Protocol

from agent.model.events import CallEvent


class PortLender(Protocol):
    """Lends media ports. A lent port is bound: from then on no packet to it is lost."""

    def lend(self, host: str) -> int:
        """A port bound on `host`. Raises OSError when none is free."""

    def give_back(self, port: int) -> None:
        """The port is no longer needed."""


class CallListener(Protocol):
    """Hears of calls, in the order in which things happened."""

    def on_event(self, event: CallEvent) -> None:
        """A call has started, changed or ended."""


class Clock(Protocol):
    """The two clocks of module `time`."""

    def time_ns(self) -> int:
        """UTC ns."""

    def monotonic(self) -> float:
        """Seconds that never jump."""
