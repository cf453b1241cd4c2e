"""Where the output of a call's gate goes: what may be written of it."""

from typing import Protocol

from agent.model.gate import GateMark
from agent.model.media import KeyPress, StreamChunk


class GateSink(Protocol):
    """Where a gate's output goes. What it raises passes through the gate."""

    def media(self, chunk: StreamChunk) -> None:
        """A stretch that may be written."""

    def mark(self, mark: GateMark) -> None:
        """A change of one purpose's gate."""

    def key(self, key: KeyPress) -> None:
        """A key that was pressed and may be written."""
