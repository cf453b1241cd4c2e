"""The gate of one call: which samples reach the capture log, who stopped them, and what a restart must know.

States are those of `agent.policy.gate`, one per purpose. A sample is written when it is older than the holdback and
lies where at least one purpose writes; the marks say which purpose may see what (`agent.policy.permit.recorded_spans`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from agent.capture.aloud import Aloud
from agent.capture.holdback import Holdback, keep
from agent.capture.pausing import Cause, Causes
from agent.capture.waiting import Waiting
from agent.capture.writable import Writable
from agent.model.call import CLOCK_RATE
from agent.model.gate import AGENT_CAUSE, GateAnswer, GateCommand, GateMark, GateState, GateVerb
from agent.model.media import KeyPress, StreamChunk
from agent.model.purpose import Decision, Purpose
from agent.model.spans import FOREVER, Span, merge
from agent.model.wire import dump, load
from agent.policy.gate import hears, holdback_s, hopes, step, verb_of, writes
from agent.policy.lists import RULES as LIST_RULES

POLICY = "policy"
"""Actor of the marks that nobody pressed."""
LEEWAY_SAMPLES = CLOCK_RATE * 60 // 1000
"""Who stops a session sends nothing until it goes on; the first packet then may lie so much before its arrival."""
MOST_KEYS = 1000
"""Keys of one call that wait in RAM."""
_SHUT = frozenset({GateState.IDLE, GateState.DROPPED, GateState.ENDED})
_WAITS = frozenset({GateState.WAITING, GateState.WAITING_PAUSED})
_OPENS = frozenset({"select", "arm", "wait", "resume", "limit"})


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


@dataclass(frozen=True, slots=True)
class _Snapshot:
    call_id: str
    now: int
    frontier: int
    gates: tuple[_Gate, ...]


class CallGate:
    """One call's purposes and the RAM holdback of its streams. One thread; never blocks but in its sink.

    All `now_samples` are media positions; a clock that goes back counts as standing still. `holdback_samples`: how far
    a pause reaches back where a purpose says nothing else; `warn_samples` and `limit_samples`: length of a pause at
    which it is warned about and ended (a limit of 0 is none); `wait_samples`: so much waits in RAM for consent.
    """

    def __init__(
        self,
        call_id: str,
        purposes: Sequence[Purpose],
        sink: GateSink,
        holdback_samples: int,
        limit_samples: int,
        warn_samples: int,
        wait_samples: int = 60 * CLOCK_RATE,
    ) -> None:
        self.call_id = call_id
        self._purposes = {purpose.name: purpose for purpose in purposes}
        self._gates = {name: _Gate(name) for name in self._purposes}
        self._sink = sink
        site_s = holdback_samples / CLOCK_RATE
        self._back = {name: round(holdback_s(p, site_s) * CLOCK_RATE) for name, p in self._purposes.items()}
        written = [self._back[name] for name, p in self._purposes.items() if not p.live]
        self.holdback_samples = max(written, default=holdback_samples)
        """How long media waits in RAM: as long as the longest that a purpose demands of which anything is written."""
        self.aloud = Aloud({name: self._back[name] for name, p in self._purposes.items() if p.live})
        """Where it may be listened to live."""
        self._limit_samples = limit_samples
        self._warn_samples = warn_samples
        self._now = 0
        self._frontier = 0
        self._writable = Writable()
        self._waiting = Waiting(wait_samples)
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
        wait_samples: int = 60 * CLOCK_RATE,
    ) -> "CallGate":
        """The gate of before a restart, in the states it had: paused stays paused and the pause's clock goes on.

        What was held in RAM is gone. A purpose that was not configured then is idle. Raises ValueError for bytes that
        `snapshot` did not make.
        """
        was = load(_Snapshot, snapshot)
        gate = cls(was.call_id, purposes, sink, holdback_samples, limit_samples, warn_samples, wait_samples)
        gate._now, gate._frontier = was.now, was.frontier
        gate._gates.update({g.name: g for g in was.gates if g.name in gate._gates})
        gate._writable = Writable({g.name: g.spans for g in gate._gates.values()})
        for one in gate._gates.values():
            if one.state.is_paused and not one.causes:
                one.causes.give(AGENT_CAUSE, POLICY, was.now)
            gate._waiting.set(one.name, hopes(one.state, gate._purposes[one.name]), one.hopes_from)
            if hears(one.state, gate._purposes[one.name]):
                gate.aloud.open(one.name, was.now)
        return gate

    @staticmethod
    def check(snapshot: bytes) -> None:
        """Raises ValueError for bytes of which `restore` could make no gate."""
        load(_Snapshot, snapshot)

    def snapshot(self) -> bytes:
        """What `restore` needs: states, spans and clocks, no media."""
        gates = tuple(
            _Gate(
                g.name,
                g.state,
                g.closed_at,
                g.causes,
                g.kept,
                self._waiting.hopes_from(g.name),
                list(self._writable.of(g.name)),
                g.shut_until,
            )
            for g in self._gates.values()
        )
        return dump(_Snapshot(self.call_id, self._now, self._frontier, gates))

    @property
    def states(self) -> dict[str, GateState]:
        """The state of every purpose."""
        return {name: gate.state for name, gate in self._gates.items()}

    @property
    def causes(self) -> dict[str, tuple[Cause, ...]]:
        """What holds the pause of each purpose that has one, or would have one if it were not idle."""
        return {name: tuple(gate.causes.held) for name, gate in self._gates.items() if gate.causes}

    @property
    def warned(self) -> tuple[str, ...]:
        """The purposes whose pause has been warned about."""
        return tuple(name for name, gate in self._gates.items() if gate.state.is_paused and gate.causes.warned)

    @property
    def paused_since(self) -> dict[str, int]:
        """From which position on nothing is written, of each purpose that is paused."""
        return {name: gate.closed_at for name, gate in self._gates.items() if gate.state.is_paused}

    @property
    def resumes_at(self) -> dict[str, int]:
        """At which position the limit ends the pause of each purpose that is paused; none where nothing limits it."""
        left = {n: gate.causes.lasted(self._now) for n, gate in self._gates.items() if gate.state.is_paused}
        return {
            n: self._now - s + self._limit_samples for n, s in left.items() if s is not None and self._limit_samples
        }

    @property
    def held_samples(self) -> int:
        """Samples in RAM, of all streams."""
        return len(self._held) + self._waiting.held_samples

    @property
    def passing(self) -> tuple[int, int]:
        """Media at or after the first position need not be fed as long as this stays so: it may wait where it is, and
        may be written when it is older than the holdback and lies before the second. FOREVER as the first: all must be
        fed."""
        return self._writable.everything_since(), 0 if self._held.holds_some else FOREVER

    @property
    def rests(self) -> bool:
        """Nothing is held and nobody has paused: as long as nothing is fed, pressed or asked, time changes nothing."""
        return not (self._held.holds_some or self._waiting.holds_some or self._keys or self.is_paused)

    def decide(
        self,
        decisions: Sequence[Decision],
        now_samples: int,
        at_ns: int,
        heard_samples: int = 0,
        listed_samples: int = FOREVER,
    ) -> tuple[str, ...]:
        """Select, arm, let wait for consent, or exclude the purposes decided on; returns those whose state changed.

        What was excluded is not written from the holdback before on, or may not be seen from `listed_samples` on where
        that is before: a party that is on a list was there already. What was idle begins after all that has come
        (`heard_samples`: see `command`). A pause that was pressed before there was anything to pause holds at once.
        `at_ns`, here and below, is UTC and only goes into marks.
        """
        self._advance(now_samples)
        changed = []
        for decision in decisions:
            if (gate := self._gates.get(decision.purpose)) is None:
                continue
            verb, before = verb_of(decision), gate.state
            since = self._reach(gate) if verb == "exclude" else max(self._now, heard_samples)
            if verb == "exclude" and decision.rule in LIST_RULES:
                since = min(since, listed_samples)
            self._turn(gate, verb, since, at_ns, POLICY, decision.rule)
            if gate.kept:
                since_keep = self._stands_at(gate)
                gate.kept = not self._turn(gate, "keep", since_keep, at_ns, POLICY, "keep was pressed before")
            if before is GateState.IDLE and gate.state is not before:
                self._pause_at_once(gate, since, at_ns)
            if gate.state is not before:
                changed.append(gate.name)
        self._settle()
        return tuple(changed)

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
        """Take a key pressed on a phone; it waits in RAM like sound, for consent as well, and is written if a purpose
        that keeps keys writes then and there."""
        if any(purpose.keys for purpose in self._purposes.values()) and len(self._keys) < MOST_KEYS:
            self._keys.append(key)

    def release(self, now_samples: int) -> None:
        """Hand to the sink, or let go, every sample before `now_samples` less the holdback."""
        self._advance(now_samples)
        self._frontier = max(self._frontier, self._now - self.holdback_samples)
        self._hand_over(self._frontier)
        self._waiting.age(self._now)
        self._trim()

    def command(self, cmd: GateCommand, now_samples: int, at_ns: int, heard_samples: int = 0) -> GateAnswer:
        """Obey a press; when this returns the gate stands as answered.

        `heard_samples` is the position after all that has come: a sender may hurry ahead of the clock, and what was
        said before the end of a pause stays away wherever it lies.

        The answer says since when nothing is written; what is listened to live ends at once, and is to be forgotten as
        far back (`aloud`).

        A pause holds from `now_samples` less the holdback, but never from before what was released or opened; one that
        does not reach back takes nothing away of what has come, nor of what comes after it within LEEWAY_SAMPLES.

        Raises ValueError when the command names a purpose that is not configured, or drops one that it may not.
        """
        if cmd.purpose is not None and cmd.purpose not in self._gates:
            raise ValueError("the command names a purpose that is not configured")
        self._advance(now_samples)
        targets = [gate for gate in self._gates.values() if cmd.purpose in (None, gate.name)]
        before, since = self.states, self._now
        heard = max(self._now, heard_samples)
        match cmd.verb:
            case GateVerb.PAUSE:
                for gate in targets:
                    self._pause(gate, cmd, at_ns, heard)
                self._settle()
                since = self._closed_since(targets, since)
            case GateVerb.RESUME:
                since = heard if cmd.reaches_back else max(heard_samples, self._now - LEEWAY_SAMPLES)
                since = max([since, *(self._resume(gate, cmd, since, at_ns) for gate in targets)])
            case GateVerb.KEEP:
                for gate in targets:
                    gate.kept |= gate.state in _WAITS
                    self._turn(gate, "keep", self._stands_at(gate), at_ns, cmd.actor, cmd.reason)
            case GateVerb.DROP:
                self._drop(targets, cmd, at_ns)
        changed = tuple(gate.name for gate in targets if gate.state is not before[gate.name])
        return self.answer(changed, since)

    def answer(self, changed: tuple[str, ...], since_samples: int) -> GateAnswer:
        """How it stands."""
        causes = {name: tuple(cause.name for cause in held) for name, held in self.causes.items()}
        return GateAnswer(self.call_id, self.states, changed, since_samples, causes)

    @property
    def is_paused(self) -> bool:
        """Whether any purpose is."""
        return any(gate.state.is_paused for gate in self._gates.values())

    def tick(self, now_samples: int, at_ns: int, heard_samples: int = 0) -> list[GateAlert]:
        """Warn of pauses that last, each once, and resume those at the limit. `heard_samples`: see `command`."""
        self._advance(now_samples)
        alerts: list[GateAlert] = []
        if self._limit_samples <= 0:
            return alerts
        for gate in self._gates.values():
            if not gate.state.is_paused or (lasted := gate.causes.lasted(self._now)) is None:
                continue
            whole = self._now - gate.causes.began
            if lasted >= self._limit_samples:
                alerts.append(GateAlert("limit", gate.name, gate.causes.actor, self.call_id, whole))
                gate.causes = Causes()
                self._turn(gate, "limit", max(self._now, heard_samples), at_ns, POLICY, "the pause reached its limit")
            elif lasted >= self._warn_samples and not gate.causes.warned:
                gate.causes.warned = True
                alerts.append(GateAlert("warn", gate.name, gate.causes.actor, self.call_id, whole))
        return alerts

    def end(self, now_samples: int, at_ns: int) -> None:
        """The call is over: release all that may be written, whatever its age, and mark the end."""
        self._advance(max(now_samples, self._held.end_samples))
        self._frontier = max(self._frontier, self._now)
        self._hand_over(self._frontier)
        for gate in self._gates.values():
            self._turn(gate, "end", self._now, at_ns, POLICY, "")
        self._held.clear()
        self._waiting.clear()
        self._keys.clear()

    def _advance(self, now_samples: int) -> None:
        self._now = max(self._now, now_samples)

    def _may_write(self) -> bool:
        live = [gate for gate in self._gates.values() if gate.state is not GateState.ENDED]
        if live and self._writable.permits_some:  # what comes late may be of before
            return True
        return any(gate.state not in _SHUT and self._purposes[gate.name].artifacts for gate in live)

    def _closed_since(self, targets: Sequence[_Gate], otherwise: int) -> int:
        """From where on nothing is written for these; where none of them that is paused is written, nothing heard."""
        written = [gate for gate in targets if not self._purposes[gate.name].live]
        if any(gate.state.is_paused for gate in written):
            return max(gate.closed_at for gate in written)
        return max((gate.closed_at for gate in targets if gate.state.is_paused), default=otherwise)

    # ---- turning one purpose's gate

    def _reach(self, gate: _Gate) -> int:
        """How far back it can be closed: its holdback, but not what was released, nor what lies before it opened."""
        since = max(self._now - self._back[gate.name], self._frontier)
        return max([since, *(start for start, _ in self._writable.of(gate.name)[-1:])])

    def _stands_at(self, gate: _Gate) -> int:
        """From where on the gate stands as it does; beyond now, where a sender ahead of the clock was waited for."""
        return max(self._now, gate.closed_at, gate.shut_until)

    def _pause(self, gate: _Gate, cmd: GateCommand, at_ns: int, heard: int) -> None:
        known = cmd.cause in gate.causes.names
        gate.causes.give(cmd.cause, cmd.actor, self._now)
        since = self._reach(gate) if cmd.reaches_back else heard
        if self._turn(gate, "pause", since, at_ns, cmd.actor, cmd.reason, cmd.cause) or not gate.state.is_paused:
            return
        if since < gate.closed_at:  # what paused it first did not reach so far back
            self._close(gate, since)
        if since == gate.closed_at or not known:
            self._mark(gate, "pause", gate.closed_at, at_ns, cmd.actor, cmd.reason, cmd.cause)

    def _pause_at_once(self, gate: _Gate, since: int, at_ns: int) -> None:
        lasted = gate.causes.lasted(self._now)
        if lasted is not None and 0 < self._limit_samples <= lasted:
            gate.causes = Causes()
        for cause in gate.causes.held:
            self._turn(gate, "pause", since, at_ns, cause.actor, "paused before", cause.name)

    def _resume(self, gate: _Gate, cmd: GateCommand, since: int, at_ns: int) -> int:
        """Returns from where on nothing of this cause is left."""
        if not gate.causes.take(cmd.cause):
            return since
        since = max(since, gate.closed_at, gate.shut_until)
        if not gate.causes:
            self._turn(gate, "resume", since, at_ns, cmd.actor, cmd.reason, cmd.cause)
        elif gate.state.is_paused:
            gate.shut_until = since
            self._mark(gate, "resume", since, at_ns, cmd.actor, cmd.reason, cmd.cause)
        return since

    def _drop(self, targets: Sequence[_Gate], cmd: GateCommand, at_ns: int) -> None:
        if cmd.purpose is not None and not self._purposes[cmd.purpose].withdrawable:
            raise ValueError(f"{cmd.purpose} cannot be withdrawn: its basis is {self._purposes[cmd.purpose].basis}")
        for gate in targets:
            purpose = self._purposes[gate.name]
            if purpose.withdrawable:
                self._turn(gate, "drop", self._reach(gate), at_ns, cmd.actor, cmd.reason, cmd.cause)
            elif gate.state not in _SHUT:
                why = f"kept, its basis is {purpose.basis}"
                self._mark(gate, "drop", self._stands_at(gate), at_ns, cmd.actor, why, cmd.cause)
        self._settle()

    def _turn(self, gate: _Gate, verb: str, since: int, at_ns: int, actor: str, reason: str, cause: str = "") -> bool:
        """Step one gate; False when the verb means nothing in its state."""
        state = step(gate.state, verb)
        if state is gate.state:
            return False
        purpose, before, gate.state = self._purposes[gate.name], gate.state, state
        if before in _WAITS and verb in ("select", "arm"):
            since = self._agreed(gate, since)
        elif writes(state, purpose) or hears(state, purpose):
            since = max(since, gate.shut_until, self._writable.opened_at(gate.name) or 0)
        else:
            self._close(gate, since)
        if state not in _WAITS:
            self._waiting.give_up(gate.name)
        if writes(state, purpose):
            self._writable.set(gate.name, True, since)
        if hears(state, purpose):
            self.aloud.open(gate.name, max(since, gate.shut_until))
        if hopes(state, purpose):
            self._waiting.set(gate.name, True, since)
        if verb in _OPENS:
            gate.shut_until = max(gate.shut_until, since)
        self._mark(gate, verb, since, at_ns, actor, reason, cause)
        return True

    def _agreed(self, gate: _Gate, now: int) -> int:
        """The customer has agreed: what waited may be written. Returns where it begins."""
        spans = self._waiting.agreed(gate.name, self._now)
        if not writes(step(gate.state, "resume"), self._purposes[gate.name]):
            return now
        self._writable.add(gate.name, spans)
        return spans[0][0] if spans else now

    def _close(self, gate: _Gate, since: int) -> None:
        gate.closed_at = since
        self.aloud.shut(gate.name, since, dropped=gate.state is GateState.DROPPED)
        self._writable.cut(gate.name, since)
        self._waiting.cut(gate.name, since)

    def _mark(self, gate: _Gate, verb: str, since: int, at_ns: int, actor: str, reason: str, cause: str = "") -> None:
        self._sink.mark(GateMark(self.call_id, at_ns, gate.name, verb, gate.state, since, actor, reason, cause))

    # ---- what is held

    def _hand_over(self, before: int) -> None:
        for chunk in self._held.take(before):
            if chunk.frames is None and self._writable.everything_from(chunk.position_samples):
                self._sink.media(chunk)
                continue
            for part in keep(chunk, self._writable.parts):
                self._sink.media(part)
            self._waiting.add(chunk, self._writable)
        keys, self._keys = self._keys, []
        for key in keys:
            if key.position_samples >= before:
                self._keys.append(key)
            elif self._keeps(key):
                self._sink.key(key)
            elif self._hopes_for(key):
                self._keys.append(key)

    def _keeps(self, key: KeyPress) -> bool:
        keeping = [span for p in self._purposes.values() if p.keys for span in self._writable.of(p.name)]
        return any(start <= key.position_samples < end for start, end in keeping)

    def _hopes_for(self, key: KeyPress) -> bool:
        hoping = [span for p in self._purposes.values() if p.keys for span in self._waiting.of(p.name)]
        return any(start <= key.position_samples < end for start, end in hoping)

    def _settle(self) -> None:
        """Write what was agreed to, and let go of what nobody may have."""
        for chunk in self._waiting.take(self._writable):
            self._sink.media(chunk)
        self._waiting.forget(self._now)
        self._trim()

    def _trim(self) -> None:
        """Let go of what nobody may have of what was said lately."""
        if not self._writable.everything_from(self._frontier):
            self._held.keep_only(self._may_stay)
        self._keys = [
            key for key in self._keys if key.position_samples >= self._now or self._keeps(key) or self._hopes_for(key)
        ]

    def _may_stay(self, start: int, end: int) -> list[Span]:
        """What of [start, end) may be held: where some purpose writes or hopes to, and what a press may still open."""
        now = min(max(start, self._now), end)
        past = [*self._writable.parts(start, now), *self._waiting.parts(start, now)]
        return merge([*past, (now, end)]) if now > start else [(start, end)]
