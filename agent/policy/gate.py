"""The gate of one purpose in one call, as a table: (state, verb) → state. Pure and total.

A pair that is not in the table is ignored on purpose: pressing pause twice, or keep on a purpose that records
already, changes nothing and is answered with the state as it stands.
"""

from agent.model.gate import GateState
from agent.model.purpose import Decision, KeepFrom, Purpose, Trigger

IDLE, ARMED, RECORDING = GateState.IDLE, GateState.ARMED, GateState.RECORDING
PAUSED, ARMED_PAUSED, ENDED = GateState.PAUSED, GateState.ARMED_PAUSED, GateState.ENDED

TABLE: dict[tuple[GateState, str], GateState] = {
    (IDLE, "select"): RECORDING,
    (IDLE, "arm"): ARMED,
    (IDLE, "end"): ENDED,
    (ARMED, "keep"): RECORDING,
    (ARMED, "pause"): ARMED_PAUSED,
    (ARMED, "end"): ENDED,
    (ARMED_PAUSED, "keep"): PAUSED,
    (ARMED_PAUSED, "resume"): ARMED,
    (ARMED_PAUSED, "limit"): ARMED,
    (ARMED_PAUSED, "end"): ENDED,
    (RECORDING, "pause"): PAUSED,
    (RECORDING, "end"): ENDED,
    (PAUSED, "resume"): RECORDING,
    (PAUSED, "limit"): RECORDING,
    (PAUSED, "end"): ENDED,
}


def step(state: GateState, verb: str) -> GateState:
    """The next state; the same state when the verb means nothing in it."""
    return TABLE.get((state, verb), state)


def opening_verb(decision: Decision) -> str | None:
    """The verb that opens a purpose's gate at the start of the call: select, arm, or None (stays idle)."""
    if not decision.applies:
        return None
    return "arm" if decision.trigger is Trigger.ON_DEMAND else "select"


def writes(state: GateState, purpose: Purpose) -> bool:
    """Whether samples may be written on behalf of this purpose in this state (encrypted look-back included)."""
    if not purpose.artifacts:
        return False
    return state is RECORDING or (state is ARMED and purpose.keep_from is KeepFrom.START)
