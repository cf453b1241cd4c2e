"""What the SIPREC tap asks of the recorder that runs it: media ports, an ear for calls and presses, a clock."""

from concurrent.futures import Future
from typing import Protocol

from agent.model.context import ContextNote
from agent.model.events import CallEvent
from agent.model.gate import GateAnswer, GateCommand
from agent.model.srtp import SrtpKey


class PortLender(Protocol):
    """Lends media ports. A lent port is bound: from then on no packet to it is lost."""

    def lend(self, host: str) -> int:
        """A port bound on `host`. Raises OSError when none is free."""

    def secure(self, port: int, key: SrtpKey | None) -> None:
        """What comes to a lent port from now on is secure RTP under `key`; None: plain RTP again.

        Told before the event of the call that brings it about. A port that is given back loses its key.
        """

    def give_back(self, port: int) -> None:
        """The port is no longer needed."""


class CallListener(Protocol):
    """Hears of calls, in the order in which things happened."""

    def on_event(self, event: CallEvent) -> None:
        """A call has started, changed or ended."""

    def on_press(self, command: GateCommand) -> Future[GateAnswer]:
        """Somebody presses by telephony. Returns at once; the future is done when the gate stands so.

        It carries LookupError for a call that is over, ValueError for a command that cannot be obeyed.
        """

    def on_context(self, note: ContextNote) -> Future[GateAnswer]:
        """Somebody says something of a call. Returns at once; the future is done when its purposes have been decided on
        again and the gate stands so. It carries LookupError for a call that is over."""


class Clock(Protocol):
    """The two clocks of module `time`."""

    def time_ns(self) -> int:
        """UTC ns."""

    def monotonic(self) -> float:
        """Seconds that never jump."""
