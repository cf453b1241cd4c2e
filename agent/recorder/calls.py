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
from agent.media.endpoint import key
from agent.media.engine import Engine, EngineFull
from agent.media.srtp import Opened
from agent.model.call import CLOCK_RATE, Call, Consent, MediaStream
from agent.model.context import ContextNote
from agent.model.events import CallChanged, CallContext, CallEnded, CallKeyed, CallStarted
from agent.model.gate import GateAnswer, GateCommand, GateVerb
from agent.model.media import KeyPress
from agent.model.purpose import Decision, Purpose
from agent.model.spans import FOREVER
from agent.model.wire import dump
from agent.policy.calendar import Calendar
from agent.recorder.basis import Basis, basis_of
from agent.recorder.describing import UnknownCall
from agent.recorder.keypads import Keypads, held_keys
from agent.recorder.live import CallSink, DecideAgain, LiveCall, as_before
from agent.recorder.livefeed import LiveFeed
from agent.recorder.news import Newsroom
from agent.recorder.pauses import Pauses
from agent.recorder.ports import MediaPorts
from agent.recorder.streams import added_up, heard_streams, named_since

CARE_S = 0.0625
CARES_A_RELEASE = 12
RELEASE_S = CARE_S * CARES_A_RELEASE
"""Each call's media is released every twelfth time of care, calls in turn: every three quarters of a second, a few at a
time so that packets need not wait for it. With the sync of the capture log a quarter of a second later, what a power
cut takes is the holdback and at most one second (I4)."""
FROM_FILE = "pcap"
PASSIVE = ("span", FROM_FILE)
"""Taps whose streams are others': the ports are not ours."""

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
        self._ports = ports
        self._remember = remember
        self._written = written
        self._opened = opened
        self._decide_again = decide_again
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
        self.listening = LiveFeed(self.engine)
        self._calls: dict[str, LiveCall] = {}
        self._turns: tuple[dict[str, LiveCall], ...] = tuple({} for _ in range(CARES_A_RELEASE))
        """The same calls, by when it is their turn."""
        self._ended: list[str] = []
        self._keyless: dict[str, CallSink] = {}
        self._listened: set[int] = set()
        self._most_overheard = max_streams if most_overheard is None else most_overheard
        self._overheard = 0
        self._cares = self._number = 0
        self.forgotten_pauses = 0
        """Pauses that their limit ended, for each purpose."""

    def all(self) -> list[LiveCall]:
        """Oldest first."""
        return list(self._calls.values())

    def listens_to(self, port: int) -> bool:
        """Whether a call still takes in what comes to this port of ours."""
        return port in self._listened

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
        self._listen(live)
        self.listening.began(live)
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
        self._listen(live)
        self.listening.began(live)
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
        self._listen(live)
        self._decide(live, now_ns, event.at_ns, named_since(before, event.parties))
        self.listening.changed(live)
        self._remember(live)
        self._news.call(live)

    def said(self, note: ContextNote, now_ns: int, at_ns: int) -> GateAnswer:
        """Somebody says something of a call; its purposes are decided on again, and when this returns the gate stands
        so. Consent that is withdrawn drops what may be withdrawn. Raises UnknownCall."""
        live = self._live(note.call_id)
        before = live.call
        tags = tuple(sorted((set(before.tags) - set(note.remove_tags)) | set(note.add_tags)))
        queue = before.queue if note.queue is None else note.queue or None
        live.call = replace(before, queue=queue, tags=tags, consent=note.consent or before.consent)
        if live.call != before or note.consent is not None:
            what = live.call
            event = CallContext(
                note.call_id, at_ns, what.queue, what.tags, what.consent, note.actor[:100], note.source[:20]
            )
            live.sink.record(RecordKind.EVENT, dump(event))
            self._decide(live, now_ns, at_ns)
        if note.consent is Consent.WITHDRAWN:
            withdrawn = GateCommand(note.call_id, GateVerb.DROP, note.actor[:100], "consent withdrawn", cause="consent")
            return self.command(withdrawn, now_ns, at_ns)
        self.listening.changed(live)
        self._remember(live)
        self._news.call(live)
        return live.gate.answer((), live.now_samples(now_ns))

    def _decide(self, live: LiveCall, now_ns: int, at_ns: int, named: int = FOREVER) -> None:
        """Decide on a call again; only what is different now is written down and turns a gate. `named`: where in the
        call the first of those joined who are known by a number only now."""
        decisions = tuple(self._decide_again(live.call, live.decisions, at_ns))
        stood = {d.purpose: (d.applies, d.waits) for d in live.decisions}
        anew = tuple(d for d in decisions if stood.get(d.purpose) != (d.applies, d.waits))
        live.decisions = decisions
        if not anew:
            return
        live.rests = False
        for address in live.streams:
            live.feed(self.engine.hand_on(address))
        live.sink.record(RecordKind.DECISIONS, dump(anew))
        live.gate.decide(anew, live.now_samples(now_ns), at_ns, self._heard_until(live), named)
        self.listening.turned(live)

    def ended(self, event: CallEnded, now_ns: int) -> None:
        """Close the gates, write the counts and the end. What came before must have been processed."""
        self._press_keys(now_ns)
        live = self._calls.pop(event.call_id, None)
        if live is None:
            return
        self._keep_keys(live, held_keys(live))
        del self._turn_of(live)[event.call_id]
        self._overheard -= len(live.streams) if live.call.tap in PASSIVE else 0
        counts, opened = [], self._opened()
        for address, stream in live.streams.items():
            failed = opened[address].failed if address in opened else 0
            if failed:
                log.warning("srtp.undecryptable", call=event.call_id, stream=stream.stream, packets=failed)
            live.feed(self.engine.finish(address))
            counts.append((stream.stream, replace(self.engine.remove(address), undecryptable=failed)))
            if (ports := self._ports_of(live)) is not None:
                self._listened.discard(stream.port)
                ports.give_back(stream.port)
        self.listening.ended(live)
        self._pauses.ended(live.call.reference, live.gate, event.cause, now_ns)
        live.gate.end(live.now_samples(now_ns), event.at_ns)
        live.sink.record(RecordKind.COUNTS, dump(added_up([*live.counted, *counts])))
        live.sink.record(RecordKind.END, dump(event))
        self._news.ended(live)
        self._forget(event.call_id)
        if live.call.tap == FROM_FILE:
            self._ended.append(event.call_id)
        log.info("call.ended", call=event.call_id, cause=event.cause)

    def command(self, command: GateCommand, now_ns: int, at_ns: int) -> GateAnswer:
        """Obey a press. When this returns the gate is closed (or open). Raises UnknownCall."""
        live = self._live(command.call_id)
        live.rests = False
        for address in live.streams:
            live.feed(self.engine.hand_on(address))
        answer = live.gate.command(command, live.now_samples(now_ns), at_ns, self._heard_until(live))
        self.listening.turned(live)
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
        self.listening.turn(self._cares, now_ns)
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
        heard = self._heard_until(live) if live.gate.is_paused else 0
        for alert in live.gate.tick(at, at_ns, heard):
            self._alert(live, alert, now_ns)
        live.passing, live.rests = live.gate.passing, live.gate.rests and not live.typed

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

    def _heard_until(self, live: LiveCall) -> int:
        return max((self.engine.heard_until(address) for address in live.streams), default=0)

    def _turn_of(self, live: LiveCall) -> dict[str, LiveCall]:
        return self._turns[live.number % CARES_A_RELEASE]

    def _listen(self, live: LiveCall) -> None:
        ports = self._ports_of(live)
        wanted = heard_streams(live.call)
        if ports is None:  # addresses of others: what is not in use now may be another call's next
            wanted = {address: stream for address, stream in wanted.items() if stream.active}
            for address in [address for address in live.streams if address not in wanted]:
                self._leave(live, address)
        for address, stream in wanted.items():
            announced = key(stream.peer_host, stream.peer_port) if stream.peer_host else 0
            before = live.streams.get(address)
            if before is None:
                self._add(live, stream, address, announced, ports.since_ns(stream.port) if ports else 0)
                continue
            live.streams[address] = stream
            if before.stream != stream.stream:
                live.feed(self.engine.rename(address, stream.stream))
            live.feed(self.engine.change(address, stream.every_format, announced))

    def _leave(self, live: LiveCall, address: int) -> None:
        live.feed(self.engine.finish(address))
        stream = live.streams.pop(address)
        self._overheard -= live.call.tap in PASSIVE
        live.counted.append((stream.stream, self.engine.remove(address, for_good=False)))

    def _add(self, live: LiveCall, stream: MediaStream, address: int, announced: int, since_ns: int) -> None:
        passive = live.call.tap in PASSIVE
        try:
            if passive and self._overheard >= self._most_overheard:
                raise EngineFull(f"no room for more than {self._most_overheard} streams overheard")
            self.engine.add(
                address,
                live.call.call_id,
                stream.stream,
                stream.every_format,
                live.origin_ns,
                announced=announced,
                since_ns=since_ns,
            )
        except (EngineFull, ValueError) as error:
            log.error("stream.refused", call=live.call.call_id, stream=stream.stream, error=str(error))
            return
        live.streams[address] = stream
        self._overheard += passive
        if self._ports_of(live) is not None:
            self._listened.add(stream.port)

    def owner_of(self, address: int) -> tuple[str, int]:
        """Call and stream of an address."""
        found = ((c.call.call_id, c.streams[address].stream) for c in self._calls.values() if address in c.streams)
        return next(found, ("", -1))

    def last_heard_ns(self, call_id: str) -> int:
        """When the last packet of a call came, or it began; 0 when it is unknown."""
        live = self._calls.get(call_id)
        return max([live.since_ns, *(self.engine.heard(at)[1] for at in live.streams)]) if live else 0

    def _ports_of(self, live: LiveCall) -> MediaPorts | None:
        return None if live.call.tap in PASSIVE else self._ports
