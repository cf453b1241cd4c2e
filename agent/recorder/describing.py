"""Live calls, gates and alerts in words for the control socket: numbers in clear, since this never leaves RAM."""

import time
from collections.abc import Sequence
from typing import Any

from agent.capture.gate import GateAlert
from agent.model.call import CLOCK_RATE
from agent.model.gate import GateAnswer
from agent.recorder.live import LiveCall


class UnknownCall(LookupError):
    """No live call has this id or belongs to this agent."""


def wanted(live: Sequence[LiveCall], request: dict[str, Any]) -> str:
    """The id of the call that a request means: the newest of an agent, the one whose id begins so, or the newest with
    this name at its gateway.

    Raises UnknownCall, and KeyError when the request names none of these.
    """
    for name in ("agent", "reference"):
        if name in request:
            newest = next((c for c in reversed(live) if request[name] in _named(c, name)), None)
            if newest is None:
                raise UnknownCall(f"no live call of this {name}")
            return newest.call.call_id
    found = [c.call.call_id for c in live if c.call.call_id.startswith(str(request["call"]))]
    if len(found) != 1:
        raise UnknownCall("no live call has this id" if not found else "several live calls begin with this id")
    return found[0]


def is_meant(live: LiveCall, request: dict[str, Any]) -> bool:
    """Whether a call is what a request says of it: agent, reference, how its id begins; any, where it says none."""
    named = all(request[name] in _named(live, name) for name in ("agent", "reference") if name in request)
    return named and live.call.call_id.startswith(str(request.get("call", "")))


def _named(live: LiveCall, name: str) -> tuple[str, ...]:
    if name == "reference":
        return (live.call.reference,)
    return (live.call.agent.number,) if live.call.agent else ()


def describe(live: LiveCall) -> dict[str, Any]:
    """A live call for people."""
    call, now = live.call, live.now_samples(time.monotonic_ns())
    paused = {name: live.gate.causes[name] for name, state in live.gate.states.items() if state.is_paused}
    return {
        "call_id": call.call_id,
        "reference": call.reference,
        "gateway": call.gateway,
        "started_ns": call.started_ns,
        "direction": call.direction,
        "queue": call.queue,
        "tags": list(call.tags),
        "consent": call.consent,
        "agent": call.agent.number if call.agent else None,
        "parties": [{"number": p.number, "name": p.name, "role": p.role} for p in call.parties],
        "states": {name: state.value for name, state in live.gate.states.items()},
        "causes": {name: [cause.name for cause in held] for name, held in live.gate.causes.items()},
        "paused_s": {name: (now - min(cause.at for cause in held)) / CLOCK_RATE for name, held in paused.items()},
        "since_s": {name: since / CLOCK_RATE for name, since in live.gate.paused_since.items()},
        "resumes_in_s": {name: (at - now) / CLOCK_RATE for name, at in live.gate.resumes_at.items()},
        "warned": list(live.gate.warned),
        "media_s": now / CLOCK_RATE,
    }


def describe_answer(answer: GateAnswer) -> dict[str, Any]:
    """What the gate did, with the media time since which it holds."""
    return {
        "call_id": answer.call_id,
        "states": {name: state.value for name, state in answer.states.items()},
        "changed": list(answer.changed),
        "since_s": answer.since_samples / CLOCK_RATE,
        "causes": {name: list(causes) for name, causes in answer.causes.items()},
    }


def describe_alert(live: LiveCall, alert: GateAlert) -> dict[str, Any]:
    """A pause that lasts."""
    return {
        "kind": alert.kind,
        "call_id": alert.call_id,
        "agent": live.call.agent.number if live.call.agent else None,
        "purpose": alert.purpose,
        "actor": alert.actor,
        "paused_s": alert.paused_samples / CLOCK_RATE,
    }
