"""Commands to the gate and what it answers: who paused what, since which media time."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class GateState(StrEnum):
    """State of one purpose in one call (DESIGN §4).

    `WAITING` for consent: media stays in RAM, up to a limit. `DROPPED`: withdrawn; nothing comes of it any more. A
    pause of what is idle is remembered, and holds as soon as there is something to pause.
    """

    IDLE = "idle"
    WAITING = "waiting"
    ARMED = "armed"
    RECORDING = "recording"
    WAITING_PAUSED = "waiting-paused"
    ARMED_PAUSED = "armed-paused"
    PAUSED = "paused"
    DROPPED = "dropped"
    ENDED = "ended"

    @property
    def is_paused(self) -> bool:
        """Whether a pause holds."""
        return self.value.endswith("paused")


class GateVerb(StrEnum):
    """What may be asked of a gate."""

    PAUSE = "pause"
    RESUME = "resume"
    KEEP = "keep"
    DROP = "drop"


SPEECH_CAUSE = "speech"
"""The guard's, which hears a card number being spoken."""
AGENT_CAUSE = "agent"
"""Cause of every press by hand, whichever way it comes: what one key paused another may resume."""
EVERY_CAUSE = "*"
"""A resume with this cause ends a pause whatever it is held by."""


@dataclass(frozen=True, slots=True)
class GateCommand:
    """One press. `purpose` None means every purpose; `actor` is `kind:name` (agent:2001, cli:root).

    A pause holds as long as one of its causes does: `agent` (any press by hand), `context:NAME` (a page that is open),
    `siprec` (the gateway stopped the session), `speech` (a card number is being spoken). `reaches_back`: it also
    removes what was said in the holdback before it.
    """

    call_id: str
    verb: GateVerb
    actor: str
    reason: str = ""
    purpose: str | None = None
    cause: str = AGENT_CAUSE
    reaches_back: bool = True


@dataclass(frozen=True, slots=True)
class GateAnswer:
    """What the gate did. `since_samples`: no sample at or after it is written (pause), or it is again (resume).

    `causes`: what still holds the pause, for each purpose that is paused.
    """

    call_id: str
    states: dict[str, GateState]
    changed: tuple[str, ...]
    since_samples: int
    causes: dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class GateMark:
    """A change of one purpose's gate at a media position, as written to the capture log.

    `verb` is one of: select, arm, wait (for consent), exclude (policy says no from here on), keep, pause, resume,
    limit (auto-resume), drop, end. `cause`: see `GateCommand`.
    """

    call_id: str
    at_ns: int
    purpose: str
    verb: str
    state: GateState
    since_samples: int
    actor: str
    reason: str = ""
    cause: str = ""
    kind: Literal["gate"] = "gate"
