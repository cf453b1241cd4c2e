"""What holds a pause, and how long it may last: the causes of one purpose's pause in one call."""

from dataclasses import dataclass, field

from agent.model.gate import AGENT_CAUSE, EVERY_CAUSE

UNLIMITED = frozenset({"siprec"})
"""Causes that last until whoever gave them takes them back: the gateway sends nothing meanwhile."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One of them: who gave it, and at which media position (the last time, if it was given again)."""

    name: str
    actor: str
    at: int


@dataclass(slots=True)
class Causes:
    """All that hold one purpose's pause, oldest first. Each has its own limit; the pause ends with the last."""

    held: list[Cause] = field(default_factory=list)
    warned: bool = False

    def __bool__(self) -> bool:
        return bool(self.held)

    @property
    def names(self) -> tuple[str, ...]:
        """What they are called."""
        return tuple(cause.name for cause in self.held)

    @property
    def actor(self) -> str:
        """Who gave the one that came last."""
        return self.held[-1].actor if self.held else ""

    def give(self, name: str, actor: str, at: int) -> None:
        """One more, or the same again: its time begins anew, and so does the warning."""
        self.take(name)
        self.held.append(Cause(name, actor, at))
        self.warned = False

    def take(self, name: str = AGENT_CAUSE) -> bool:
        """One less (EVERY_CAUSE: none is left). Returns whether it was there."""
        before = len(self.held)
        self.held = [c for c in self.held if name not in (EVERY_CAUSE, c.name)]
        return len(self.held) < before

    def lasted(self, now: int) -> int | None:
        """How long the one that lasts longest from now has been there already; None when one has no limit, or none is
        there."""
        if not self.held or any(cause.name in UNLIMITED for cause in self.held):
            return None
        return now - max(cause.at for cause in self.held)

    @property
    def began(self) -> int:
        """When the oldest came."""
        return min((cause.at for cause in self.held), default=0)
