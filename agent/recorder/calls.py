"""Calls of one clock: their engine, gates and records. Live calls run by the monotonic clock, those of a file by its.

One thread owns them. `now_ns` is always of that one clock, which arrival times of packets are of as well.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import structlog

from agent.capture.format import RecordKind
from agent.capture.gate import CallGate, GateAlert
from agent.capture.keys import CallKey
from agent.capture.writer import LogWriter
from agent.config import Settings
from agent.media.block import PacketBlock
from agent.media.engine import Engine
from agent.media.srtp import Opened
from agent.model.call import CLOCK_RATE, Call, Consent
from agent.model.context import ContextNote
from agent.model.events import CallChanged, CallEnded, CallKeyed, CallStarted
from agent.model.gate import SPEECH_CAUSE, GateAnswer, GateCommand, GateVerb
from agent.model.media import KeyPress
from agent.model.purpose import Decision, Purpose
from agent.model.wire import dump
from agent.policy.calendar import Calendar
from agent.recorder.basis import Basis, basis_of
from agent.recorder.deciding import Deciding
from agent.recorder.describing import UnknownCall
from agent.recorder.keypads import Keypads, held_keys
from agent.recorder.listening import FROM_FILE, Listening
from agent.recorder.live import CallSink, DecideAgain, LiveCall, as_before
from agent.recorder.livefeed import LiveFeed
from agent.recorder.news import Newsroom
from agent.recorder.pauses import Pauses
from agent.recorder.ports import MediaPorts
from agent.recorder.streams import named_since

CARE_S = 0.0625
GUARD_LATE_S = 5.0
"""A pause of the guard ends so long after it should have been taken back."""
CARES_A_RELEASE = 12
RELEASE_S = CARE_S * CARES_A_RELEASE
"""Each call's media is released every twelfth time of care, calls in turn: every three quarters of a second, a few at a
time so that packets need not wait for it. With the sync of the capture log a quarter of a second later, what a power
cut takes is the holdback and at most one second (I4)."""

log = structlog.get_logger()


class Calls:
    """`max_streams` at once, at most `most_overheard` of them of passive taps. `ports` are those of our own that calls
    may have been lent; `remember` is told of every call of which a restart would have to know more than before;
    `written` says how many records of a call are in the log already (None: all); `opened` what became of secure
    RTP; `decide_again(call, before, at_ns)` decides on a call that has changed; `began_with(call_id)` is what the
    call is decided on (these settings and purposes, where it is not given), until `forget` is told that it has ended;
    `longest_samples` is the longest holdback of calls that are to be restored; `news` is told of what happens.
    """

    def __init__(
        self,
        settings: Settings,
        purposes: tuple[Purpose, ...],
        writer: LogWriter,
        max_streams: int,
        *,
        most_overheard: int | None = None,
        ports: MediaPorts | None = None,
        remember: Callable[[LiveCall], None] = lambda live: None,
        written: Callable[[str], int | None] = lambda call_id: 0,
        opened: Callable[[], Mapping[int, Opened]] = lambda: {},
        decide_again: DecideAgain = as_before,
        began_with: Callable[[str], Basis] | None = None,
        longest_samples: int = 0,
        forget: Callable[[str], None] = lambda call_id: None,
        news: Newsroom | None = None,
    ) -> None:
        basis = basis_of(settings, purposes, Calendar(settings.site.timezone, settings.site.holidays))
        self._longest_samples = max(basis.holdback_samples, basis.longest_samples, longest_samples)
        self._began_with = began_with or (lambda call_id: basis)
        self._forget = forget
        self._writer = writer
        self._remember = remember
        self._written = written
        self._opened = opened
        self._news = news or Newsroom()
        self._pauses = Pauses()
        self._keypads = Keypads(settings.keys)
        self.engine = Engine(
            max_streams=max_streams,
            reorder_ms=settings.capture.reorder_ms,
            flush_interval_s=settings.capture.flush_interval_s,
            look_back_s=self._longest_samples / CLOCK_RATE + RELEASE_S,
            core=settings.media.core,
        )
        self._listening = Listening(self.engine, ports, max_streams if most_overheard is None else most_overheard)
        self.live_sound = LiveFeed(self.engine)
        self._deciding = Deciding(decide_again, self._listening, self.live_sound)
        self._calls: dict[str, LiveCall] = {}
        self._turns: tuple[dict[str, LiveCall], ...] = tuple({} for _ in range(CARES_A_RELEASE))
        """The same calls, by when it is their turn."""
        self._ended: list[str] = []
        self._keyless: dict[str, CallSink] = {}
        self._cares = self._number = 0
        self._guard_lease_samples = (settings.guard.hold_s + GUARD_LATE_S) * CLOCK_RATE
        self.forgotten_pauses = 0
        """Pauses that their limit ended, for each purpose."""

    def all(self) -> list[LiveCall]:
        """Oldest first."""
        return list(self._calls.values())

    def listens_to(self, port: int) -> bool:
        """Whether a call still takes in what comes to this port of ours."""
        return self._listening.listens_to(port)

    # ---- what the taps tell

    def started(self, event: CallStarted, decisions: tuple[Decision, ...], origin_ns: int) -> LiveCall:
        """Open the gates of a new call and listen for its streams. `origin_ns`: media position 0."""
        live = self._new(event.call, origin_ns, None)
        if live.sink.needs_key:
            self._keyless[event.call_id] = live.sink
        live.sink.record(RecordKind.EVENT, dump(event))
        live.sink.record(RecordKind.DECISIONS, dump(decisions))
        live.decisions = tuple(decisions)
        live.gate.decide(decisions, 0, event.call.started_ns)
        if self._pauses.carry(event.call_id, event.call.reference, live.gate, origin_ns, event.call.started_ns):
            log.warning("pause.carried_over", call=event.call_id)
        self._listening.follow(live)
        self.live_sound.began(live)
        live.passing = live.gate.passing
        self._release([live], origin_ns)
        self._remember(live)
        self._news.call(live)
        return live

    def restored(
        self,
        call: Call,
        origin_ns: int,
        gate_snapshot: bytes,
        decisions: tuple[Decision, ...],
        key: CallKey,
        now_ns: int,
    ) -> None:
        """Go on with a call of before a restart, in the gate states it had."""
        live = self._new(call, origin_ns, gate_snapshot)
        live.since_ns, live.decisions = now_ns, decisions
        self._pauses.note(call.reference, live.gate, now_ns)
        live.sink.use_key(key)
        self._listening.follow(live)
        self.live_sound.began(live)
        self._remember(live)

    def use_key(self, key: CallKey) -> None:
        """The key of a new call is durable; the call may be over already."""
        if sink := self._keyless.pop(key.call_id, None):
            sink.use_key(key)

    @property
    def keyless(self) -> int:
        """Calls whose records wait in RAM for their key."""
        return len(self._keyless)

    def changed(self, event: CallChanged, now_ns: int) -> None:
        """New parties or streams. What came before must have been processed: it is of the old codec."""
        live = self._calls.get(event.call_id)
        if live is None:
            return
        before = live.call
        live.call = replace(before, direction=event.direction, parties=event.parties, streams=event.streams)
        live.sink.record(RecordKind.EVENT, dump(event))
        self._listening.follow(live)
        self._deciding.again(live, now_ns, event.at_ns, named_since(before, event.parties))
        self.live_sound.changed(live)
        self._remember(live)
        self._news.call(live)

    def said(self, note: ContextNote, now_ns: int, at_ns: int) -> GateAnswer:
        """Somebody says something of a call; its purposes are decided on again, and when this returns the gate stands
        so. Consent that is withdrawn drops what may be withdrawn. Raises UnknownCall."""
        live = self._live(note.call_id)
        self._deciding.said(live, note, now_ns, at_ns)
        if note.consent is Consent.WITHDRAWN:
            withdrawn = GateCommand(note.call_id, GateVerb.DROP, note.actor[:100], "consent withdrawn", cause="consent")
            return self.command(withdrawn, now_ns, at_ns)
        self.live_sound.changed(live)
        self._remember(live)
        self._news.call(live)
        return live.gate.answer((), live.now_samples(now_ns))

    def ended(self, event: CallEnded, now_ns: int) -> None:
        """Close the gates, write the counts and the end. What came before must have been processed."""
        self._press_keys(now_ns)
        live = self._calls.pop(event.call_id, None)
        if live is None:
            return
        self._keep_keys(live, held_keys(live))
        del self._turn_of(live)[event.call_id]
        counts = self._listening.finish(live, self._opened())
        self.live_sound.ended(live)
        self._pauses.ended(live.call.reference, live.gate, event.cause, now_ns)
        live.gate.end(live.now_samples(now_ns), event.at_ns)
        live.sink.record(RecordKind.COUNTS, dump(counts))
        live.sink.record(RecordKind.END, dump(event))
        self._news.ended(live)
        self._forget(event.call_id)
        if live.call.tap == FROM_FILE:
            self._ended.append(event.call_id)
        log.info("call.ended", call=event.call_id, cause=event.cause)

    def command(self, command: GateCommand, now_ns: int, at_ns: int) -> GateAnswer:
        """Obey a press. When this returns the gate is closed (or open). Raises UnknownCall."""
        live = self._live(command.call_id)
        self._listening.hand_on(live)
        answer = live.gate.command(command, live.now_samples(now_ns), at_ns, self._listening.heard_until(live))
        self.live_sound.turned(live)
        self._pauses.note(live.call.reference, live.gate, now_ns)
        self._remember(live)
        self._news.call(live)
        log.info("gate", call=command.call_id, verb=command.verb, actor=command.actor, changed=list(answer.changed))
        return answer

    def _live(self, call_id: str) -> LiveCall:
        if (live := self._calls.get(call_id)) is None:
            raise UnknownCall(f"no live call {call_id}")
        return live

    def take_ended(self) -> list[str]:
        """The calls of a file that have ended since this was asked last."""
        ended, self._ended = self._ended, []
        return ended

    # ---- media

    def process(self, block: PacketBlock) -> None:
        """Packets, in order of arrival."""
        self.engine.process(block)

    def flush(self, now_ns: int) -> None:
        """Hand to the gates what is in order, and which keys were pressed."""
        self._press_keys(now_ns)
        for chunk in self.engine.flush(now_ns):
            if live := self._calls.get(chunk.call_id):
                live.feed([chunk])

    def _press_keys(self, now_ns: int) -> None:
        """Obey feature codes; what is none of them are keys that may be kept."""
        for pressed in self.engine.take_keys():
            if (live := self._calls.get(pressed.call_id)) is None:
                continue
            keys, wanted = self._keypads.read(live, pressed)
            self._keep_keys(live, keys)
            self._obey_keys(wanted, now_ns, live.call.started_ns + now_ns - live.origin_ns)

    def keyed(self, event: CallKeyed, now_ns: int) -> None:
        """A key that SIP tells of. What came before must have been processed."""
        if (live := self._calls.get(event.call_id)) is None:
            return
        key = KeyPress(event.call_id, -1, event.event, live.now_samples(now_ns))
        self._obey_keys(self._keypads.told(live, event.participant_id, key), now_ns, event.at_ns)

    def _obey_keys(self, wanted: GateCommand | ContextNote | None, now_ns: int, at_ns: int) -> None:
        if isinstance(wanted, GateCommand):
            self.command(wanted, now_ns, at_ns)
        elif wanted is not None:
            self.said(wanted, now_ns, at_ns)

    @staticmethod
    def _keep_keys(live: LiveCall, keys: Iterable[KeyPress]) -> None:
        live.rests = False
        for one in keys:
            live.gate.press(one)

    def care(self, now_ns: int, at_ns: int, *, all_calls: bool = False) -> None:
        """Release media and look after pauses, of the calls whose turn it is. `at_ns` is UTC."""
        self._cares += 1
        self.live_sound.turn(self._cares, now_ns)
        turn = list((self._calls if all_calls else self._turns[self._cares % CARES_A_RELEASE]).values())
        with self._writer.together():
            for live in turn:
                if not live.rests:
                    self._tend(live, now_ns, at_ns)
            self._release(turn, now_ns)

    def _tend(self, live: LiveCall, now_ns: int, at_ns: int) -> None:
        at = live.now_samples(now_ns)
        self._keep_keys(live, self._keypads.expire(live, at))
        live.gate.release(at)
        heard = self._listening.heard_until(live) if live.gate.is_paused else 0
        for alert in live.gate.tick(at, at_ns, heard):
            self._alert(live, alert, now_ns)
        if live.gate.is_paused and self._guard_is_gone(live, at):
            why, call_id = "the guard did not take its pause back", live.call.call_id
            let_go = GateCommand(call_id, GateVerb.RESUME, "guard:speech", why, cause=SPEECH_CAUSE)
            self.command(let_go, now_ns, at_ns)
        live.passing, live.rests = live.gate.passing, live.gate.rests and not live.typed

    def _guard_is_gone(self, live: LiveCall, at: int) -> bool:
        """Whether a pause of the guard lasts longer than it holds one: it was restarted, or cut off."""
        held = (cause for causes in live.gate.causes.values() for cause in causes if cause.name == SPEECH_CAUSE)
        return any(at - cause.at > self._guard_lease_samples for cause in held)

    def _release(self, calls: list[LiveCall], now_ns: int) -> None:
        """Write what no gate has to be asked about any more, straight from where it came in."""
        addresses, since, before, sinks = [], [], [], []
        for live in calls:
            free_from, until = live.passing
            for address in live.streams:
                addresses.append(address)
                since.append(free_from)
                before.append(until)
                sinks.append(live.sink)
        released = self.engine.release(addresses, since, before, now_ns, self._longest_samples)
        for number, stream, codec, position, media, lost in released:
            sinks[number].sound(stream, codec, position, media.data, lost)

    def _alert(self, live: LiveCall, alert: GateAlert, now_ns: int) -> None:
        log.warning("pause." + alert.kind, call=live.call.call_id, purpose=alert.purpose, actor=alert.actor)
        self.forgotten_pauses += alert.kind == "limit"
        self._pauses.note(live.call.reference, live.gate, now_ns)
        self._remember(live)
        self._news.alert(live, alert)

    def _new(self, call: Call, origin_ns: int, gate_snapshot: bytes | None) -> LiveCall:
        sink, basis = CallSink(self._writer, self._written(call.call_id)), self._began_with(call.call_id)
        limits = (basis.holdback_samples, basis.limit_samples, basis.warn_samples, basis.wait_samples)
        if gate_snapshot is None:
            gate = CallGate(call.call_id, basis.purposes, sink, *limits)
        else:
            gate = CallGate.restore(gate_snapshot, basis.purposes, sink, *limits)
        self._number += 1
        live = LiveCall(call, origin_ns, basis, gate, sink, origin_ns, self._number)
        self._calls[call.call_id] = self._turn_of(live)[call.call_id] = live
        return live

    def _turn_of(self, live: LiveCall) -> dict[str, LiveCall]:
        return self._turns[live.number % CARES_A_RELEASE]

    def owner_of(self, address: int) -> tuple[str, int]:
        """Call and stream of an address."""
        found = ((c.call.call_id, c.streams[address].stream) for c in self._calls.values() if address in c.streams)
        return next(found, ("", -1))

    def last_heard_ns(self, call_id: str) -> int:
        """When the last packet of a call came, or it began; 0 when it is unknown."""
        live = self._calls.get(call_id)
        return max([live.since_ns, *(self.engine.heard(at)[1] for at in live.streams)]) if live else 0
