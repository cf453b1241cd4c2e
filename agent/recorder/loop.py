"""The media thread: the one owner of engine, gates and capture log; everything else posts work to it.

A timed read takes all that has come (never a wake-up per packet); a posted command interrupts the wait, so a press of
the pause button is obeyed at once and answered when the gate is closed.
"""

import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import structlog

from agent.capture.format import RecordKind
from agent.capture.gate import CallGate, GateAlert
from agent.capture.keys import CallKey
from agent.capture.writer import CaptureFailed, LogWriter
from agent.config import Settings
from agent.media.endpoint import key
from agent.media.engine import Engine, EngineFull
from agent.media.srtp import SecureSource
from agent.model.call import CLOCK_RATE, Call
from agent.model.events import CallChanged, CallEnded, CallStarted
from agent.model.gate import GateAnswer, GateCommand
from agent.model.purpose import Decision, Purpose
from agent.model.srtp import SrtpKey
from agent.model.wire import dump
from agent.recorder.drops import Drops
from agent.recorder.live import CallSink, LiveCall
from agent.recorder.ports import MediaPorts
from agent.recorder.resume import Resume, ResumeBox
from agent.recorder.wrong_keys import WrongKeys

CARE_S = 0.0625
CARES_A_RELEASE = 12
"""Each call's media is handed on every three quarters of a second, calls in turn, a few at a time so that packets need
not wait for it. With the sync of the capture log a quarter of a second later, what a power cut takes is the holdback
and at most one second (I4)."""

LAGS = 1024
"""Blocks whose delay is remembered: the age of the oldest packet once the block was taken in, and could be paused."""

log = structlog.get_logger()


class UnknownCall(LookupError):
    """No live call has this id or belongs to this agent."""


class MediaLoop:
    """Runs in its own thread. `start`, `post`, `ask` and `stop` may be called from any thread; the rest only from it.

    `dialog_of(call_id)` gives the tap's state to remember for a restart. When the capture log fails the loop stops and
    `failure` is set: the process must die loudly and be restarted by its supervisor.
    """

    def __init__(
        self,
        settings: Settings,
        purposes: tuple[Purpose, ...],
        source: SecureSource,
        ports: MediaPorts,
        writer: LogWriter,
        box: ResumeBox,
        dialog_of: Callable[[str], bytes],
    ) -> None:
        self._settings = settings
        self._purposes = purposes
        self._source = source
        self._ports = ports
        self._writer = writer
        self._box = box
        self._dialog_of = dialog_of
        self._engine = Engine(
            max_streams=settings.siprec.max_calls * 2 + 64,
            reorder_ms=settings.capture.reorder_ms,
            flush_interval_s=settings.capture.flush_interval_s,
        )
        self._calls: dict[str, LiveCall] = {}
        self._turns: tuple[dict[str, LiveCall], ...] = tuple({} for _ in range(CARES_A_RELEASE))
        """The same calls, by when it is their turn."""
        self._work: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._stopping = False
        self._cares = self._number = 0
        self._listened: set[int] = set()
        self._lags_ms: deque[float] = deque(maxlen=LAGS)
        self._drops = Drops()
        self._wrong_keys = WrongKeys(self._owner_of)
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="media", daemon=True)

    # ---- from any thread

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def post(self, function: Callable[[], None]) -> None:
        """Run `function` in the media thread, after what was posted before. An exception of it ends the loop loudly."""
        self._work.put(function)

    def ask(self, function: Callable[[], Any]) -> Future[Any]:
        """Run `function` in the media thread; the future carries its result, or the refusal it raised."""
        future: Future[Any] = Future()

        def work() -> None:
            try:
                future.set_result(function())
            except CaptureFailed:
                raise
            except (LookupError, ValueError, OSError) as error:
                future.set_exception(error)

        self._work.put(work)
        return future

    def stop(self) -> None:
        """End: what may be written is written and made durable; live calls stay open in the log for the restart."""
        self._work.put(self._stop)
        self._thread.join()

    # ---- in the media thread

    def call_started(self, event: CallStarted, decisions: tuple[Decision, ...], now_ns: int) -> None:
        """Open the gates of a new call and listen for its streams. `now_ns` is its media origin (monotonic)."""
        live = self._new_live(event.call, now_ns, None)
        live.sink.record(RecordKind.EVENT, dump(event))
        live.sink.record(RecordKind.DECISIONS, dump(decisions))
        live.gate.open(decisions, 0, event.call.started_ns)
        self._listen(live, now_ns)
        self._remember(live)

    def call_restored(self, resume: Resume, key: CallKey, now_ns: int) -> None:
        """Go on with a call of before the restart, in the gate states it had."""
        live = self._new_live(resume.call, resume.origin_ns, resume.gate)
        live.sink.use_key(key)
        self._listen(live, resume.origin_ns)
        live.last_media_ns = now_ns
        self._remember(live)

    def use_key(self, key: CallKey) -> None:
        """The key of a new call is durable."""
        if live := self._calls.get(key.call_id):
            live.sink.use_key(key)

    def call_changed(self, event: CallChanged) -> None:
        """New parties or streams."""
        live = self._calls.get(event.call_id)
        if live is None:
            return
        self._media()  # what came before the change is of the old codec
        before = live.call
        live.call = Call(
            before.call_id,
            before.reference,
            before.tap,
            before.gateway,
            before.started_ns,
            event.direction,
            event.parties,
            event.streams,
            before.queue,
            before.did,
        )
        live.sink.record(RecordKind.EVENT, dump(event))
        self._listen(live, live.origin_ns)
        self._remember(live)

    def call_ended(self, event: CallEnded, now_ns: int) -> None:
        """Drain, close the gates, write the counts and the end."""
        self._media()
        live = self._calls.pop(event.call_id, None)
        if live is None:
            return
        del self._turn_of(live)[event.call_id]
        counts = []
        opened = self._source.counts()
        for address, stream in live.streams.items():
            failed = opened[address].failed if address in opened else 0
            if failed:
                log.warning("srtp.undecryptable", call=event.call_id, stream=stream.stream, packets=failed)
            for chunk in self._engine.finish(address):
                live.gate.feed(chunk)
            counts.append((stream.stream, replace(self._engine.remove(address), undecryptable=failed)))
            self._listened.discard(stream.port)
            self._ports.give_back(stream.port)
        live.gate.end(live.now_samples(now_ns), event.at_ns)
        live.sink.record(RecordKind.COUNTS, dump(tuple(counts)))
        live.sink.record(RecordKind.END, dump(event))
        log.info("call.ended", call=event.call_id, cause=event.cause)

    def command(self, command: GateCommand, now_ns: int) -> GateAnswer:
        """Obey a press. When this returns the gate is closed (or open). Raises UnknownCall."""
        live = self._calls.get(command.call_id)
        if live is None:
            raise UnknownCall(f"no live call {command.call_id}")
        answer = live.gate.command(command, live.now_samples(now_ns), time.time_ns())
        if answer.changed:
            self._remember(live)
        log.info("gate", call=command.call_id, verb=command.verb, actor=command.actor, changed=list(answer.changed))
        return answer

    def secure(self, port: int, key: SrtpKey | None) -> None:
        """A port has another key: what came before is of the old one."""
        self._media()
        self._ports.secure(port, key)

    def give_back(self, port: int) -> None:
        """A port the tap no longer needs; one that a live call still drains is closed when that call ends."""
        if port not in self._listened:
            self._ports.give_back(port)

    def calls(self) -> list[LiveCall]:
        """The live calls, oldest first."""
        return list(self._calls.values())

    def media_state(self) -> dict[str, Any]:
        """How media comes in, and what could not be taken in. May be called from any thread."""
        lags = sorted(self._lags_ms.copy())
        return {
            "media": self._source.name,
            "dropped_packets": self._drops.total,
            "stray_packets": self._engine.stray,
            "undecryptable_packets": self._source.failed,
            "lag_p99_ms": round(lags[len(lags) * 99 // 100], 1) if lags else 0.0,
        }

    def _owner_of(self, address: int) -> tuple[str, int]:
        """Call and stream of an address."""
        found = ((c.call.call_id, c.streams[address].stream) for c in self._calls.values() if address in c.streams)
        return next(found, ("", -1))

    def _new_live(self, call: Call, origin_ns: int, gate_snapshot: bytes | None) -> LiveCall:
        capture, pause = self._settings.capture, self._settings.pause
        sink = CallSink(self._writer)
        limits = {
            "holdback_samples": int(capture.holdback_s * CLOCK_RATE),
            "limit_samples": pause.limit_s * CLOCK_RATE,
            "warn_samples": pause.warn_s * CLOCK_RATE,
        }
        if gate_snapshot is None:
            gate = CallGate(call.call_id, self._purposes, sink, **limits)
        else:
            gate = CallGate.restore(gate_snapshot, self._purposes, sink, **limits)
        self._number += 1
        live = LiveCall(call, origin_ns, gate, sink, origin_ns, self._number)
        self._calls[call.call_id] = self._turn_of(live)[call.call_id] = live
        return live

    def _listen(self, live: LiveCall, origin_ns: int) -> None:
        for stream in live.call.streams:
            address = key(stream.host, stream.port)
            announced = key(stream.peer_host, stream.peer_port) if stream.peer_host else 0
            if address in live.streams:
                for chunk in self._engine.change(address, stream.every_format, announced):
                    live.gate.feed(chunk)
                continue
            try:
                self._engine.add(
                    address,
                    live.call.call_id,
                    stream.stream,
                    stream.every_format,
                    origin_ns,
                    announced=announced,
                    since_ns=self._ports.since_ns(stream.port),
                )
            except (EngineFull, ValueError) as error:
                log.error("stream.refused", call=live.call.call_id, stream=stream.stream, error=str(error))
                continue
            live.streams[address] = stream
            self._listened.add(stream.port)

    def _remember(self, live: LiveCall) -> None:
        resume = Resume(live.call, live.origin_ns, self._dialog_of(live.call.call_id), live.gate.snapshot())
        live.sink.opaque(RecordKind.RESUME, self._box.seal(resume))

    def _run(self) -> None:
        try:
            next_read = next_care = time.monotonic()
            while not self._stopping:
                now = time.monotonic()
                if now >= next_read:
                    self._media(presses=True)
                    next_read = max(next_read + self._source.interval_s, now)
                if now >= next_care:
                    self._care(now_ns=time.monotonic_ns())
                    self._drops.look(self._source.count_drops(), now)
                    self._wrong_keys.look(self._source.counts(), now)
                    next_care = now + CARE_S
                self._obey(min(next_read, next_care) - time.monotonic())
        except BaseException as error:  # the process must not live on with a recorder that does not record
            self.failure = error
            log.critical("recorder.failed", error=str(error), kind=type(error).__name__)

    def _obey(self, patience_s: float) -> None:
        try:
            if patience_s > 0:
                self._work.get(timeout=patience_s)()
            while True:
                self._work.get_nowait()()
        except queue.Empty:
            return

    def _media(self, *, presses: bool = False) -> None:
        """Read all that has come and hand on what is ready; with `presses`, posted work need not wait for the end."""
        now_ns = time.monotonic_ns()
        while (block := self._source.read()) is not None:
            self._engine.process(block)
            self._lags_ms.append((time.monotonic_ns() - int(block.arrival_ns.min())) / 1e6)
            if presses:
                self._obey(0.0)
        for pressed in self._engine.take_keys():
            if live := self._calls.get(pressed.call_id):
                live.gate.press(pressed)
        for chunk in self._engine.flush(now_ns):
            if live := self._calls.get(chunk.call_id):
                live.last_media_ns = now_ns
                live.gate.feed(chunk)

    def _care(self, now_ns: int, *, all_calls: bool = False) -> None:
        """Hand on media and look after pauses, of the calls whose turn it is."""
        self._cares += 1
        with self._writer.together():
            for live in (self._calls if all_calls else self._turns[self._cares % CARES_A_RELEASE]).values():
                at = live.now_samples(now_ns)
                live.gate.release(at)
                for alert in live.gate.tick(at, time.time_ns()):
                    self._alert(live, alert)

    def _turn_of(self, live: LiveCall) -> dict[str, LiveCall]:
        return self._turns[live.number % CARES_A_RELEASE]

    def _alert(self, live: LiveCall, alert: GateAlert) -> None:
        log.warning("pause." + alert.kind, call=live.call.call_id, purpose=alert.purpose, actor=alert.actor)
        self._remember(live)

    def _stop(self) -> None:
        self._media()
        self._care(time.monotonic_ns(), all_calls=True)
        self._writer.close()
        self._stopping = True
