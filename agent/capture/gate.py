"""The gate of one call: which samples reach the capture log, who stopped them, and what a restart must know.

States are those of `agent.policy.gate`, one per purpose. A sample is written when it is older than the holdback and
lies where at least one purpose writes; the marks say which purpose may see what (`agent.policy.permit.recorded_spans`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from agent.capture.holdback import Holdback, keep
from agent.capture.writable import FOREVER, Span, Writable, merge
from agent.model.gate import GateAnswer, GateCommand, GateMark, GateState, GateVerb
from agent.model.media import KeyPress, StreamChunk
from agent.model.purpose import Decision, Purpose
from agent.model.wire import dump, load
from agent.policy.gate import opening_verb, step, writes

POLICY = "policy"
"""Actor of the marks that nobody pressed."""
MOST_KEYS = 1000
"""Keys of one call that wait in RAM."""
_PAUSED = frozenset({GateState.PAUSED, GateState.ARMED_PAUSED})
_SHUT = frozenset({GateState.IDLE, GateState.ENDED})


class GateSink(Protocol):
    """Where a gate's output goes. What it raises passes through the gate."""

    def media(self, chunk: StreamChunk) -> None:
        """A stretch that may be written."""

    def mark(self, mark: GateMark) -> None:
        """A change of one purpose's gate."""

    def key(self, key: KeyPress) -> None:
        """A key that was pressed and may be written."""


@dataclass(frozen=True, slots=True)
class GateAlert:
    """A pause that lasts: `warn` before the limit, `limit` when recording was resumed. `actor` is who paused."""

    kind: Literal["warn", "limit"]
    purpose: str
    actor: str
    call_id: str
    paused_samples: int


@dataclass(slots=True)
class _Gate:
    """One purpose's gate. `closed_at`: no sample from there on was written for it; `paused_at`: when it was pressed."""

    name: str
    state: GateState = GateState.IDLE
    closed_at: int = 0
    paused_at: int = 0
    paused_by: str = ""
    warned: bool = False
    spans: list[Span] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Snapshot:
    call_id: str
    now: int
    frontier: int
    gates: tuple[_Gate, ...]


class CallGate:
    """One call's purposes and the RAM holdback of its streams. One thread; never blocks but in its sink.

    All `now_samples` are media positions; a clock that goes back counts as standing still. `holdback_samples`: how long
    media waits in RAM; `warn_samples` and `limit_samples`: length of a pause at which it is warned about and ended (a
    limit of 0 is none).
    """

    def __init__(
        self,
        call_id: str,
        purposes: Sequence[Purpose],
        sink: GateSink,
        holdback_samples: int,
        limit_samples: int,
        warn_samples: int,
    ) -> None:
        self.call_id = call_id
        self._purposes = {purpose.name: purpose for purpose in purposes}
        self._gates = {name: _Gate(name) for name in self._purposes}
        self._sink = sink
        self._holdback_samples = holdback_samples
        self._limit_samples = limit_samples
        self._warn_samples = warn_samples
        self._now = 0
        self._frontier = 0
        self._writable = Writable()
        self._held = Holdback()
        self._keys: list[KeyPress] = []

    @classmethod
    def restore(
        cls,
        snapshot: bytes,
        purposes: Sequence[Purpose],
        sink: GateSink,
        holdback_samples: int,
        limit_samples: int,
        warn_samples: int,
    ) -> "CallGate":
        """The gate of before a restart, in the states it had: paused stays paused and the pause's clock goes on.

        What was held in RAM is gone. A purpose that was not configured then is idle. Raises ValueError for bytes that
        `snapshot` did not make.
        """
        was = load(_Snapshot, snapshot)
        gate = cls(was.call_id, purposes, sink, holdback_samples, limit_samples, warn_samples)
        gate._now, gate._frontier = was.now, was.frontier
        gate._gates.update({g.name: g for g in was.gates if g.name in gate._gates})
        gate._writable = Writable({g.name: g.spans for g in gate._gates.values()})
        return gate

    def snapshot(self) -> bytes:
        """What `restore` needs: states, spans and clocks, no media."""
        gates = tuple(
            _Gate(g.name, g.state, g.closed_at, g.paused_at, g.paused_by, g.warned, list(self._writable.of(g.name)))
            for g in self._gates.values()
        )
        return dump(_Snapshot(self.call_id, self._now, self._frontier, gates))

    @property
    def states(self) -> dict[str, GateState]:
        """The state of every purpose."""
        return {name: gate.state for name, gate in self._gates.items()}

    @property
    def held_samples(self) -> int:
        """Samples in RAM, of all streams."""
        return len(self._held)

    @property
    def passing(self) -> tuple[int, int]:
        """Media at or after the first position need not be fed as long as this stays so: it may wait where it is, and
        may be written when it is older than the holdback and lies before the second. FOREVER as the first: all must be
        fed."""
        return self._writable.everything_since(), 0 if self._held.holds_some else FOREVER

    @property
    def rests(self) -> bool:
        """Nothing is held and nobody has paused: as long as nothing is fed, pressed or asked, time changes nothing."""
        return not (self._held.holds_some or self._keys or self.is_paused)

    def open(self, decisions: Sequence[Decision], now_samples: int, at_ns: int) -> None:
        """Select or arm the purposes that apply. `at_ns`, here and below, is UTC and only goes into marks."""
        self._advance(now_samples)
        for decision in decisions:
            verb = opening_verb(decision)
            if verb is not None and (gate := self._gates.get(decision.purpose)) is not None:
                self._turn(gate, verb, self._now, at_ns, POLICY, decision.rule)

    def feed(self, chunk: StreamChunk) -> None:
        """Take a stretch from the media engine. What may not be written is let go here and now."""
        if not self._may_write():
            return
        if self._writable.everything_from(chunk.position_samples):
            self._held.add(chunk)
            return
        for part in keep(chunk, self._may_stay):
            self._held.add(part)

    def press(self, key: KeyPress) -> None:
        """Take a key pressed on a phone; it waits in RAM like sound, and is written if a purpose that keeps keys writes
        then and there."""
        if any(purpose.keys for purpose in self._purposes.values()) and len(self._keys) < MOST_KEYS:
            self._keys.append(key)

    def release(self, now_samples: int) -> None:
        """Hand to the sink, or let go, every sample before `now_samples` less the holdback."""
        self._advance(now_samples)
        self._frontier = max(self._frontier, self._now - self._holdback_samples)
        self._hand_over(self._frontier)
        self._forget_paused()

    def command(self, cmd: GateCommand, now_samples: int, at_ns: int, heard_samples: int = 0) -> GateAnswer:
        """Obey a press; when this returns the gate stands as answered.

        `heard_samples` is the position after all that has come: a sender may hurry ahead of the clock, and what was
        said before the end of a pause stays away wherever it lies.

        A pause holds from `now_samples` less the holdback, but never from before what was released or opened. Raises
        ValueError when the command names a purpose that is not configured.
        """
        if cmd.purpose is not None and cmd.purpose not in self._gates:
            raise ValueError("the command names a purpose that is not configured")
        self._advance(now_samples)
        targets = [gate for gate in self._gates.values() if cmd.purpose in (None, gate.name)]
        pause = cmd.verb is GateVerb.PAUSE
        since = max(self._now - self._holdback_samples, self._frontier) if pause else self._now
        if cmd.verb is GateVerb.RESUME:
            since = max(since, heard_samples)
        changed = [gate for gate in targets if self._turn(gate, cmd.verb.value, since, at_ns, cmd.actor, cmd.reason)]
        if pause:
            self._forget_paused()
            since = max((gate.closed_at for gate in targets if gate.state in _PAUSED), default=since)
        return GateAnswer(self.call_id, self.states, tuple(gate.name for gate in changed), since, {})

    @property
    def is_paused(self) -> bool:
        """Whether any purpose is."""
        return any(gate.state in _PAUSED for gate in self._gates.values())

    def tick(self, now_samples: int, at_ns: int, heard_samples: int = 0) -> list[GateAlert]:
        """Warn of pauses that last, each once, and resume those at the limit. `heard_samples`: see `command`."""
        self._advance(now_samples)
        alerts: list[GateAlert] = []
        if self._limit_samples <= 0:
            return alerts
        for gate in self._gates.values():
            if gate.state not in _PAUSED:
                continue
            lasted = self._now - gate.paused_at
            if lasted >= self._limit_samples:
                self._turn(gate, "limit", max(self._now, heard_samples), at_ns, POLICY, "the pause reached its limit")
                alerts.append(GateAlert("limit", gate.name, gate.paused_by, self.call_id, lasted))
            elif lasted >= self._warn_samples and not gate.warned:
                gate.warned = True
                alerts.append(GateAlert("warn", gate.name, gate.paused_by, self.call_id, lasted))
        return alerts

    def end(self, now_samples: int, at_ns: int) -> None:
        """The call is over: release all that may be written, whatever its age, and mark the end."""
        self._advance(max(now_samples, self._held.end_samples))
        self._frontier = max(self._frontier, self._now)
        self._hand_over(self._frontier)
        for gate in self._gates.values():
            self._turn(gate, "end", self._now, at_ns, POLICY, "")
        self._held.clear()
        self._keys.clear()

    def _advance(self, now_samples: int) -> None:
        self._now = max(self._now, now_samples)

    def _may_write(self) -> bool:
        return any(gate.state not in _SHUT and self._purposes[gate.name].artifacts for gate in self._gates.values())

    def _turn(self, gate: _Gate, verb: str, since: int, at_ns: int, actor: str, reason: str) -> bool:
        """Step one gate; False when the verb means nothing in its state."""
        state = step(gate.state, verb)
        if state is gate.state:
            return False
        purpose, before = self._purposes[gate.name], gate.state
        if not writes(state, purpose) and (opened := self._writable.opened_at(gate.name)) is not None:
            since = max(since, opened)
        gate.state = state
        self._writable.set(gate.name, writes(state, purpose), since)
        if state in _PAUSED and before not in _PAUSED:
            gate.closed_at, gate.paused_at, gate.paused_by, gate.warned = since, self._now, actor, False
        self._sink.mark(GateMark(self.call_id, at_ns, gate.name, verb, state, since, actor, reason))
        return True

    def _hand_over(self, before: int) -> None:
        for chunk in self._held.take(before):
            if chunk.frames is None and self._writable.everything_from(chunk.position_samples):
                self._sink.media(chunk)
                continue
            for part in keep(chunk, self._writable.parts):
                self._sink.media(part)
        ready = [key for key in self._keys if key.position_samples < before]
        if ready:
            self._keys = [key for key in self._keys if key.position_samples >= before]
            for key in filter(self._keeps, ready):
                self._sink.key(key)

    def _keeps(self, key: KeyPress) -> bool:
        keeping = [span for p in self._purposes.values() if p.keys for span in self._writable.of(p.name)]
        return any(start <= key.position_samples < end for start, end in keeping)

    def _forget_paused(self) -> None:
        if not self._writable.everything_from(self._frontier):
            self._held.keep_only(self._may_stay)
        self._keys = [key for key in self._keys if key.position_samples >= self._now or self._keeps(key)]

    def _may_stay(self, start: int, end: int) -> list[Span]:
        """What of [start, end) may be held: where some purpose writes, and what a later press may still open."""
        now = min(max(start, self._now), end)
        return merge([*self._writable.parts(start, now), (now, end)]) if now > start else [(start, end)]
