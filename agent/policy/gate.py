"""The gate of one purpose in one call, as a table: (state, verb) → state. Pure and total.

A pair that is not in the table is ignored on purpose: pressing pause twice, or keep on a purpose that records
already, changes nothing and is answered with the state as it stands.
"""

from agent.model.gate import GateState
from agent.model.purpose import Decision, KeepFrom, Purpose, Trigger

IDLE, WAITING, ARMED, RECORDING = GateState.IDLE, GateState.WAITING, GateState.ARMED, GateState.RECORDING
WAITING_PAUSED, ARMED_PAUSED, PAUSED = GateState.WAITING_PAUSED, GateState.ARMED_PAUSED, GateState.PAUSED
DROPPED, ENDED = GateState.DROPPED, GateState.ENDED

_PAUSES = {WAITING: WAITING_PAUSED, ARMED: ARMED_PAUSED, RECORDING: PAUSED}
_LIVE = (IDLE, *_PAUSES, *_PAUSES.values())

TABLE: dict[tuple[GateState, str], GateState] = {
    (IDLE, "select"): RECORDING,
    (IDLE, "arm"): ARMED,
    (IDLE, "wait"): WAITING,
    (WAITING, "select"): RECORDING,
    (WAITING, "arm"): ARMED,
    (WAITING_PAUSED, "select"): PAUSED,
    (WAITING_PAUSED, "arm"): ARMED_PAUSED,
    (ARMED, "keep"): RECORDING,
    (ARMED_PAUSED, "keep"): PAUSED,
    **{(open_, "pause"): paused for open_, paused in _PAUSES.items()},
    **{(paused, verb): open_ for open_, paused in _PAUSES.items() for verb in ("resume", "limit")},
    **{(state, "exclude"): IDLE for state in _LIVE if state is not IDLE},
    **{(state, "drop"): DROPPED for state in _LIVE},
    **{(state, "end"): ENDED for state in (*_LIVE, DROPPED)},
}


def step(state: GateState, verb: str) -> GateState:
    """The next state; the same state when the verb means nothing in it."""
    return TABLE.get((state, verb), state)


def verb_of(decision: Decision) -> str:
    """What a decision asks of its purpose's gate: select, arm, wait (for consent) or exclude."""
    if decision.waits:
        return "wait"
    if not decision.applies:
        return "exclude"
    return "arm" if decision.trigger is Trigger.ON_DEMAND else "select"


def writes(state: GateState, purpose: Purpose) -> bool:
    """Whether samples may be written on behalf of this purpose in this state (encrypted look-back included)."""
    if not purpose.artifacts:
        return False
    return state is RECORDING or (state is ARMED and purpose.keep_from is KeepFrom.START)


def hopes(state: GateState, purpose: Purpose) -> bool:
    """Whether samples must wait in RAM on behalf of this purpose, for they may be written once it is agreed to."""
    if state is not WAITING or not purpose.artifacts:
        return False
    return purpose.trigger is not Trigger.ON_DEMAND or purpose.keep_from is KeepFrom.START


def hears(state: GateState, purpose: Purpose) -> bool:
    """Whether the call may be listened to live on behalf of this purpose in this state."""
    return purpose.live and state is RECORDING


def holdback_s(purpose: Purpose, site_s: float) -> float:
    """How far a pause of this purpose reaches back; where it has no own, `site_s`, and 0 for what is heard at once."""
    if purpose.holdback_s is not None:
        return purpose.holdback_s
    return 0.0 if purpose.live else site_s
