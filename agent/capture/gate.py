"""The gate of one call: which samples reach the capture log, who stopped them, and what a restart must know.

States are those of `agent.policy.gate`, one per purpose (`agent.capture.turning`). A sample is written when it is older
than the holdback and lies where at least one purpose writes (`agent.capture.held`); the marks say which purpose may see
what (`agent.policy.permit.recorded_spans`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from agent.capture.aloud import Aloud
from agent.capture.held import Held
from agent.capture.pausing import Cause, Causes
from agent.capture.sink import GateSink
from agent.capture.turning import POLICY, SHUT, WAITS, PurposeGate, Turning
from agent.capture.writable import Writable
from agent.model.call import CLOCK_RATE
from agent.model.gate import AGENT_CAUSE, GateAnswer, GateCommand, GateState, GateVerb
from agent.model.media import KeyPress, StreamChunk
from agent.model.purpose import Decision, Purpose
from agent.model.spans import FOREVER
from agent.model.wire import dump, load
from agent.policy.gate import hears, holdback_s, hopes, verb_of
from agent.policy.lists import RULES as LIST_RULES

LEEWAY_SAMPLES = CLOCK_RATE * 60 // 1000
"""Who stops a session sends nothing until it goes on; the first packet then may lie so much before its arrival."""


@dataclass(frozen=True, slots=True)
class GateAlert:
    """A pause that lasts: `warn` before the limit, `limit` when recording was resumed. `actor` is who paused."""

    kind: Literal["warn", "limit"]
    purpose: str
    actor: str
    call_id: str
    paused_samples: int


@dataclass(frozen=True, slots=True)
class _Snapshot:
    call_id: str
    now: int
    frontier: int
    gates: tuple[PurposeGate, ...]


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
        self._gates = {name: PurposeGate(name) for name in self._purposes}
        site_s = holdback_samples / CLOCK_RATE
        back = {name: round(holdback_s(p, site_s) * CLOCK_RATE) for name, p in self._purposes.items()}
        written = [back[name] for name, p in self._purposes.items() if not p.live]
        self.holdback_samples = max(written, default=holdback_samples)
        """How long media waits in RAM: as long as the longest that a purpose demands of which anything is written."""
        self.aloud = Aloud({name: back[name] for name, p in self._purposes.items() if p.live})
        """Where it may be listened to live."""
        self._limit_samples = limit_samples
        self._warn_samples = warn_samples
        self._held = Held(sink, wait_samples, frozenset(name for name, p in self._purposes.items() if p.keys))
        self._turning = Turning(call_id, self._purposes, sink, self._held, self.aloud, back, limit_samples)

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
        held, gate._turning.now = gate._held, was.now
        gate._gates.update({g.name: g for g in was.gates if g.name in gate._gates})
        held.frontier, held.writable = was.frontier, Writable({g.name: g.spans for g in gate._gates.values()})
        for one in gate._gates.values():
            if one.state.is_paused and not one.causes:
                one.causes.give(AGENT_CAUSE, POLICY, was.now)
            held.waiting.set(one.name, hopes(one.state, gate._purposes[one.name]), one.hopes_from)
            if hears(one.state, gate._purposes[one.name]):
                gate.aloud.open(one.name, was.now)
        return gate

    @staticmethod
    def check(snapshot: bytes) -> None:
        """Raises ValueError for bytes of which `restore` could make no gate."""
        load(_Snapshot, snapshot)

    def snapshot(self) -> bytes:
        """What `restore` needs: states, spans and clocks, no media."""
        held = self._held
        gates = tuple(
            replace(gate, hopes_from=held.waiting.hopes_from(gate.name), spans=list(held.writable.of(gate.name)))
            for gate in self._gates.values()
        )
        return dump(_Snapshot(self.call_id, self._now, held.frontier, gates))

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
        now, limit = self._now, self._limit_samples
        left = {n: gate.causes.lasted(now) for n, gate in self._gates.items() if gate.state.is_paused}
        return {n: now - s + limit for n, s in left.items() if s is not None and limit}

    @property
    def held_samples(self) -> int:
        """Samples in RAM, of all streams."""
        return len(self._held)

    @property
    def passing(self) -> tuple[int, int]:
        """Media at or after the first position need not be fed as long as this stays so: it may wait where it is, and
        may be written when it is older than the holdback and lies before the second. FOREVER as the first: all must be
        fed."""
        return self._held.passing

    @property
    def rests(self) -> bool:
        """Nothing is held and nobody has paused: as long as nothing is fed, pressed or asked, time changes nothing."""
        return self._held.is_empty and not self.is_paused

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
            since = self._turning.reach(gate) if verb == "exclude" else max(self._now, heard_samples)
            if verb == "exclude" and decision.rule in LIST_RULES:
                since = min(since, listed_samples)
            self._turning.turn(gate, verb, since, at_ns, POLICY, decision.rule)
            if gate.kept:
                since_keep = self._turning.stands_at(gate)
                gate.kept = not self._turning.turn(gate, "keep", since_keep, at_ns, POLICY, "keep was pressed before")
            if before is GateState.IDLE and gate.state is not before:
                self._turning.pause_at_once(gate, since, at_ns)
            if gate.state is not before:
                changed.append(gate.name)
        self._held.settle(self._now)
        return tuple(changed)

    def feed(self, chunk: StreamChunk) -> None:
        """Take a stretch from the media engine. What may not be written is let go here and now."""
        if self._may_write():
            self._held.add(chunk, self._now)

    def press(self, key: KeyPress) -> None:
        """Take a key pressed on a phone; it waits in RAM like sound, for consent as well, and is written if a purpose
        that keeps keys writes then and there."""
        self._held.press(key)

    def release(self, now_samples: int) -> None:
        """Hand to the sink, or let go, every sample before `now_samples` less the holdback."""
        self._advance(now_samples)
        self._held.release(self._now, self.holdback_samples)

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
                    self._turning.pause(gate, cmd, at_ns, heard)
                self._held.settle(self._now)
                since = self._closed_since(targets, since)
            case GateVerb.RESUME:
                since = heard if cmd.reaches_back else max(heard_samples, self._now - LEEWAY_SAMPLES)
                since = max([since, *(self._turning.resume(gate, cmd, since, at_ns) for gate in targets)])
            case GateVerb.KEEP:
                for gate in targets:
                    gate.kept |= gate.state in WAITS
                    self._turning.turn(gate, "keep", self._turning.stands_at(gate), at_ns, cmd.actor, cmd.reason)
            case GateVerb.DROP:
                self._turning.drop(targets, cmd, at_ns)
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
                self._turning.turn(
                    gate, "limit", max(self._now, heard_samples), at_ns, POLICY, "the pause reached its limit"
                )
            elif lasted >= self._warn_samples and not gate.causes.warned:
                gate.causes.warned = True
                alerts.append(GateAlert("warn", gate.name, gate.causes.actor, self.call_id, whole))
        return alerts

    def end(self, now_samples: int, at_ns: int) -> None:
        """The call is over: release all that may be written, whatever its age, and mark the end."""
        self._advance(max(now_samples, self._held.sound.end_samples))
        self._held.release_all(self._now)
        for gate in self._gates.values():
            self._turning.turn(gate, "end", self._now, at_ns, POLICY, "")
        self._held.clear()

    @property
    def _now(self) -> int:
        return self._turning.now

    def _advance(self, now_samples: int) -> None:
        self._turning.now = max(self._now, now_samples)

    def _may_write(self) -> bool:
        live = [gate for gate in self._gates.values() if gate.state is not GateState.ENDED]
        if live and self._held.writable.permits_some:  # what comes late may be of before
            return True
        return any(gate.state not in SHUT and self._purposes[gate.name].artifacts for gate in live)

    def _closed_since(self, targets: Sequence[PurposeGate], otherwise: int) -> int:
        """From where on nothing is written for these; where none of them that is paused is written, nothing heard."""
        written = [gate for gate in targets if not self._purposes[gate.name].live]
        if any(gate.state.is_paused for gate in written):
            return max(gate.closed_at for gate in written)
        return max((gate.closed_at for gate in targets if gate.state.is_paused), default=otherwise)
