"""Commands to the gate and what it answers: who paused what, since which media time."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class GateState(StrEnum):
    """State of one purpose in one call (DESIGN §4). `ARMED_PAUSED` is a pause pressed before *keep*."""

    IDLE = "idle"
    ARMED = "armed"
    RECORDING = "recording"
    PAUSED = "paused"
    ARMED_PAUSED = "armed-paused"
    ENDED = "ended"


class GateVerb(StrEnum):
    """What may be asked of a gate."""

    PAUSE = "pause"
    RESUME = "resume"
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class GateCommand:
    """One press. `purpose` None means every purpose; `actor` is `kind:name` (agent:2001, cli:root)."""

    call_id: str
    verb: GateVerb
    actor: str
    reason: str = ""
    purpose: str | None = None


@dataclass(frozen=True, slots=True)
class GateAnswer:
    """What the gate did. `since_samples`: no sample at or after it is written (pause), or it is again (resume)."""

    call_id: str
    states: dict[str, GateState]
    changed: tuple[str, ...]
    since_samples: int


@dataclass(frozen=True, slots=True)
class GateMark:
    """A change of one purpose's gate at a media position, as written to the capture log.

    `verb` is one of: select, arm, keep, pause, resume, limit (auto-resume), end.
    """

    call_id: str
    at_ns: int
    purpose: str
    verb: str
    state: GateState
    since_samples: int
    actor: str
    reason: str = ""
    kind: Literal["gate"] = "gate"
