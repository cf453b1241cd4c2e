"""Pauses that outlive their recording session: a gateway that sets the same call up anew finds it paused as it was.

A session that broke (no BYE came) is taken up by the gateway under the same name of the call (RFC 7865 session id, or
`reference`); whoever paused it need not know. The causes are carried over and their limits begin anew, but for the
gateway's own: whether the new session is stopped, its streams say; and for the guard's, which hears the new one.
"""

from agent.capture.gate import CallGate
from agent.capture.pausing import UNLIMITED
from agent.model.gate import SPEECH_CAUSE, GateCommand, GateVerb

LASTS_NS = 3600 * 1_000_000_000
MOST = 10_000
ENDED_BY_A_PARTY = frozenset({"bye", "cancelled", "refused", "capture-ended"})

Causes = dict[str, tuple[tuple[str, str], ...]]


class Pauses:
    """By the gateway's name for the call. One thread; `now_ns` is monotonic."""

    def __init__(self) -> None:
        self._paused: dict[str, tuple[Causes, int]] = {}

    def note(self, reference: str, gate: CallGate, now_ns: int) -> None:
        """The pauses of a live call as they now stand."""
        self._paused.pop(reference, None)
        causes: Causes = {}
        for name, held in gate.causes.items():
            if lasting := tuple((c.name, c.actor) for c in held if c.name not in (*UNLIMITED, SPEECH_CAUSE)):
                causes[name] = lasting
        if causes and reference:
            self._paused[reference] = (causes, now_ns)
            if len(self._paused) > MOST:
                del self._paused[next(iter(self._paused))]

    def ended(self, reference: str, gate: CallGate, cause: str, now_ns: int) -> None:
        """A call is over. Where a party hung up, its pauses are over as well."""
        if cause in ENDED_BY_A_PARTY:
            self._paused.pop(reference, None)
        else:
            self.note(reference, gate, now_ns)

    def carry(self, call_id: str, reference: str, gate: CallGate, now_ns: int, at_ns: int) -> bool:
        """Pause a call that begins as the one of this name was paused. Returns whether it was."""
        causes, noted_ns = self._paused.get(reference, ({}, 0))
        if not causes or now_ns - noted_ns > LASTS_NS:
            return False
        for purpose, held in causes.items():
            for cause, actor in held if purpose in gate.states else ():
                reason = "it was paused before its session was set up anew"
                gate.command(GateCommand(call_id, GateVerb.PAUSE, actor, reason, purpose, cause), 0, at_ns)
        return True
