"""What an agent's light shows: pure functions from a live call, as the recorder tells it, to one of five lights."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from agent.model.gate import GateState

WRITING = (GateState.RECORDING, GateState.ARMED)
"""Something is kept, or may be yet: armed means that the look-back is there."""
PAUSED = frozenset(state.value for state in GateState if state.is_paused)


class Light(StrEnum):
    """What the agent sees."""

    NO_CALL = "no-call"
    NOT_RECORDING = "not-recording"
    RECORDING = "recording"
    PAUSED = "paused"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class AgentState:
    """How it stands with an agent's newest call. `paused_s`: the longest pause of a purpose, now; `since_s`: from which
    second of the call on nothing is kept, of each purpose that is paused; `resumes_in_s`: when a limit ends the first.
    """

    agent: str
    limit_s: float
    light: Light = Light.NO_CALL
    call_id: str | None = None
    states: dict[str, str] = field(default_factory=dict)
    causes: dict[str, list[str]] = field(default_factory=dict)
    paused_s: float | None = None
    since_s: dict[str, float] = field(default_factory=dict)
    resumes_in_s: float | None = None

    def same(self, other: "AgentState | None") -> bool:
        """Whether nothing but time has gone on."""
        return other is not None and (self.light, self.call_id, self.states, self.causes) == (
            other.light,
            other.call_id,
            other.states,
            other.causes,
        )


def state_of(agent: str, call: dict[str, Any] | None, limit_s: float, aged_s: float = 0.0) -> AgentState:
    """The state of an agent whose newest call is `call`, which the recorder described `aged_s` ago."""
    if call is None:
        return AgentState(agent, limit_s)
    states: dict[str, str] = call["states"]
    paused = [name for name, state in states.items() if is_paused(state)]
    so_far = [s for name, s in call.get("paused_s", {}).items() if name in paused]
    left = [s for name, s in call.get("resumes_in_s", {}).items() if name in paused]
    return AgentState(
        agent,
        limit_s,
        _light(states, paused, call.get("warned", [])),
        call["call_id"],
        states,
        call.get("causes", {}),
        round(max(so_far) + aged_s, 1) if so_far else None,
        {name: round(s, 2) for name, s in call.get("since_s", {}).items() if name in paused},
        round(max(0.0, min(left) - aged_s), 1) if left else None,
    )


def is_paused(state: str) -> bool:
    """Whether a pause holds in a gate's state; one that is not known does not count as paused."""
    return state in PAUSED


def _light(states: dict[str, str], paused: list[str], warned: list[str]) -> Light:
    if any(state in WRITING for state in states.values()):
        return Light.RECORDING
    if paused:
        return Light.WARNING if set(paused) & set(warned) else Light.PAUSED
    return Light.NOT_RECORDING


def newest(calls: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The call that a press by agent means: the one that began last."""
    return max(calls, key=lambda call: (call["started_ns"], call["call_id"]), default=None)
