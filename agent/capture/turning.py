"""The gates of a call's purposes, and how one is turned: from where on it writes, what of a pause reaches how far back.

States are those of `agent.policy.gate`. Every turn is a mark, which says where in the call it took effect.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from agent.capture.aloud import Aloud
from agent.capture.held import Held
from agent.capture.pausing import Causes
from agent.capture.sink import GateSink
from agent.model.gate import GateCommand, GateMark, GateState
from agent.model.purpose import Purpose
from agent.model.spans import Span
from agent.policy.gate import hears, hopes, step, writes

POLICY = "policy"
"""Actor of the marks that nobody pressed."""
SHUT = frozenset({GateState.IDLE, GateState.DROPPED, GateState.ENDED})
WAITS = frozenset({GateState.WAITING, GateState.WAITING_PAUSED})
_OPENS = frozenset({"select", "arm", "wait", "resume", "limit"})


@dataclass(slots=True)
class PurposeGate:
    """One purpose's gate. `closed_at`: no sample from there on was written for it; `shut_until`: nothing before that is
    opened any more, it came while it was shut; `kept`: *keep* was pressed before there was anything to keep."""

    name: str
    state: GateState = GateState.IDLE
    closed_at: int = 0
    causes: Causes = field(default_factory=Causes)
    kept: bool = False
    hopes_from: int = 0
    spans: list[Span] = field(default_factory=list)
    shut_until: int = 0


class Turning:
    """Turns gates in what is `held` and what is said `aloud`, at `now`, the media position of the moment.

    `back` says how many samples a pause of each purpose reaches back, `limit_samples` how long one may last (0: for
    ever). `at_ns` is UTC, for the marks.
    """

    def __init__(
        self,
        call_id: str,
        purposes: Mapping[str, Purpose],
        sink: GateSink,
        held: Held,
        aloud: Aloud,
        back: Mapping[str, int],
        limit_samples: int,
    ) -> None:
        self.now = 0
        self._call_id = call_id
        self._purposes = purposes
        self._sink = sink
        self._held = held
        self._aloud = aloud
        self._back = back
        self._limit_samples = limit_samples

    def reach(self, gate: PurposeGate) -> int:
        """How far back it can be closed: its holdback, but not what was released, nor what lies before it opened."""
        since = max(self.now - self._back[gate.name], self._held.frontier)
        return max([since, *(start for start, _ in self._held.writable.of(gate.name)[-1:])])

    def stands_at(self, gate: PurposeGate) -> int:
        """From where on the gate stands as it does; beyond now, where a sender ahead of the clock was waited for."""
        return max(self.now, gate.closed_at, gate.shut_until)

    def pause(self, gate: PurposeGate, cmd: GateCommand, at_ns: int, heard: int) -> None:
        """One more cause holds it; what reaches back takes away what came before, else what comes after `heard`."""
        known = cmd.cause in gate.causes.names
        gate.causes.give(cmd.cause, cmd.actor, self.now)
        since = self.reach(gate) if cmd.reaches_back else heard
        if self.turn(gate, "pause", since, at_ns, cmd.actor, cmd.reason, cmd.cause) or not gate.state.is_paused:
            return
        if since < gate.closed_at:  # what paused it first did not reach so far back
            self._close(gate, since)
        elif cmd.reaches_back:  # who listened on meanwhile heard what this press takes away
            self._aloud.shut(gate.name, since, dropped=False)
        if since == gate.closed_at or not known:
            self._mark(gate, "pause", gate.closed_at, at_ns, cmd.actor, cmd.reason, cmd.cause)

    def pause_at_once(self, gate: PurposeGate, since: int, at_ns: int) -> None:
        """What was pressed before there was anything to pause holds from `since` on, unless its limit is over."""
        lasted = gate.causes.lasted(self.now)
        if lasted is not None and 0 < self._limit_samples <= lasted:
            gate.causes = Causes()
        for cause in gate.causes.held:
            self.turn(gate, "pause", since, at_ns, cause.actor, "paused before", cause.name)

    def resume(self, gate: PurposeGate, cmd: GateCommand, since: int, at_ns: int) -> int:
        """Returns from where on nothing of this cause is left."""
        if not gate.causes.take(cmd.cause):
            return since
        since = max(since, gate.closed_at, gate.shut_until)
        if not gate.causes:
            self.turn(gate, "resume", since, at_ns, cmd.actor, cmd.reason, cmd.cause)
        elif gate.state.is_paused:
            gate.shut_until = since
            self._mark(gate, "resume", since, at_ns, cmd.actor, cmd.reason, cmd.cause)
        return since

    def drop(self, targets: Sequence[PurposeGate], cmd: GateCommand, at_ns: int) -> None:
        """Withdraw what may be. Raises ValueError when the command names a purpose that may not."""
        if cmd.purpose is not None and not self._purposes[cmd.purpose].withdrawable:
            raise ValueError(f"{cmd.purpose} cannot be withdrawn: its basis is {self._purposes[cmd.purpose].basis}")
        for gate in targets:
            purpose = self._purposes[gate.name]
            if purpose.withdrawable:
                self.turn(gate, "drop", self.reach(gate), at_ns, cmd.actor, cmd.reason, cmd.cause)
            elif gate.state not in SHUT:
                why = f"kept, its basis is {purpose.basis}"
                self._mark(gate, "drop", self.stands_at(gate), at_ns, cmd.actor, why, cmd.cause)
        self._held.settle(self.now)

    def turn(
        self, gate: PurposeGate, verb: str, since: int, at_ns: int, actor: str, reason: str, cause: str = ""
    ) -> bool:
        """Step one gate; False when the verb means nothing in its state."""
        state = step(gate.state, verb)
        if state is gate.state:
            return False
        purpose, before, gate.state = self._purposes[gate.name], gate.state, state
        if before in WAITS and verb in ("select", "arm"):
            since = self._agreed(gate, since)
        elif writes(state, purpose) or hears(state, purpose):
            since = max(since, gate.shut_until, self._held.writable.opened_at(gate.name) or 0)
        else:
            self._close(gate, since)
        if state not in WAITS:
            self._held.waiting.give_up(gate.name)
        if writes(state, purpose):
            self._held.writable.set(gate.name, True, since)
        if hears(state, purpose):
            self._aloud.open(gate.name, max(since, gate.shut_until))
        if hopes(state, purpose):
            self._held.waiting.set(gate.name, True, since)
        if verb in _OPENS:
            gate.shut_until = max(gate.shut_until, since)
        self._mark(gate, verb, since, at_ns, actor, reason, cause)
        return True

    def _agreed(self, gate: PurposeGate, now: int) -> int:
        """The customer has agreed: what waited may be written. Returns where it begins."""
        spans = self._held.waiting.agreed(gate.name, self.now)
        if not writes(step(gate.state, "resume"), self._purposes[gate.name]):
            return now
        self._held.writable.add(gate.name, spans)
        return spans[0][0] if spans else now

    def _close(self, gate: PurposeGate, since: int) -> None:
        gate.closed_at = since
        self._aloud.shut(gate.name, since, dropped=gate.state is GateState.DROPPED)
        self._held.writable.cut(gate.name, since)
        self._held.waiting.cut(gate.name, since)

    def _mark(
        self, gate: PurposeGate, verb: str, since: int, at_ns: int, actor: str, reason: str, cause: str = ""
    ) -> None:
        self._sink.mark(GateMark(self._call_id, at_ns, gate.name, verb, gate.state, since, actor, reason, cause))
