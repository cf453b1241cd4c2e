"""The media thread: the one owner of engine, gates and capture log; everything else posts work to it.

A timed read takes all that has come (never a wake-up per packet); a posted command interrupts the wait, so a press of
the pause button is obeyed at once and answered when the gate is closed.
"""

import math
import queue
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import structlog

from agent.capture.format import RecordKind
from agent.capture.keys import CallKey
from agent.capture.writer import CaptureFailed, LogWriter
from agent.config import Settings
from agent.media.srtp import SecureSource
from agent.model.context import ContextNote
from agent.model.events import CallChanged, CallEnded, CallStarted
from agent.model.gate import GateAnswer, GateCommand, GateVerb
from agent.model.purpose import Decision
from agent.model.srtp import SrtpKey
from agent.recorder.calls import CARE_S, RELEASE_S, Calls
from agent.recorder.drops import Drops
from agent.recorder.ingest import Ingest
from agent.recorder.live import LiveCall
from agent.recorder.news import Newsroom
from agent.recorder.policy import Rulebook
from agent.recorder.ports import MediaPorts
from agent.recorder.resume import Resume, ResumeBox
from agent.recorder.span import SpanEar
from agent.recorder.wrong_keys import WrongKeys

LAGS = 1024
"""Blocks whose delay is remembered: the age of the oldest packet once the block was taken in, and could be paused."""

SPAN_INTERVAL_S = 0.02
"""How often a mirror port is read."""

SLICE_S = 0.004
"""So long is SIP of a mirror port worked off before presses are obeyed and media is looked for again."""

log = structlog.get_logger()


class MediaLoop:
    """Runs in its own thread. `start`, `post`, `ask` and `stop` may be called from any thread; the rest only from it.

    `dialog_of(call_id)` gives the tap's state to remember for a restart. When the capture log fails the loop stops and
    `failure` is set: the process must die loudly and be restarted by its supervisor.
    """

    def __init__(
        self,
        settings: Settings,
        rules: Rulebook,
        source: SecureSource,
        ports: MediaPorts,
        writer: LogWriter,
        box: ResumeBox,
        dialog_of: Callable[[str], bytes],
        span_ear: Callable[[Calls], SpanEar] | None = None,
        news: Newsroom | None = None,
    ) -> None:
        self._source = source
        self._ports = ports
        self._writer = writer
        self._box = box
        self._dialog_of = dialog_of
        streams = settings.siprec.max_calls * 2 + 64
        overheard = settings.span.max_calls * 2 + 64 if settings.span.interface else 0
        self.calls = Calls(
            settings,
            rules.policy.purposes,
            writer,
            streams + overheard,
            most_overheard=overheard,
            ports=ports,
            remember=self._remember,
            opened=source.counts,
            decide_again=rules.again,
            began_with=rules.began_with,
            longest_samples=rules.longest_samples,
            forget=rules.ended,
            news=news,
        )
        self.span = span_ear(self.calls) if span_ear else None
        self._interval_s = min(source.interval_s, SPAN_INTERVAL_S) if self.span else source.interval_s
        self._overhears = False
        self._ending: deque[tuple[float, CallEnded, int]] = deque()
        self._next_care = 0.0
        self._ingest: Ingest | None = None
        self._work: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._stopping = False
        self._lags_ms: deque[float] = deque(maxlen=LAGS)
        self._drops = Drops("media")
        self._wrong_keys = WrongKeys(self.calls.owner_of)
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
        self.calls.started(event, decisions, now_ns)

    def call_restored(self, resume: Resume, key: CallKey) -> None:
        """Go on with a call of before the restart, in the gate states it had."""
        self.calls.restored(resume.call, resume.origin_ns, resume.gate, resume.decisions, key, time.monotonic_ns())

    def call_changed(self, event: CallChanged) -> None:
        """New parties or streams."""
        self._media()  # what came before the change is of the old codec
        self.calls.changed(event, time.monotonic_ns())

    def call_ended(self, event: CallEnded, now_ns: int) -> None:
        """Close the gates, write the counts and the end, as of `now_ns`, once all that came before can be read: a
        sender may hang up right behind its last packet."""
        self._ending.append((time.monotonic() + self._source.behind_s, event, now_ns))
        if not self._source.behind_s:
            self._media()
            self._end(math.inf)

    def command(self, command: GateCommand, now_ns: int) -> GateAnswer:
        """Obey a press. When this returns the gate is closed (or open). Raises UnknownCall."""
        if command.verb is GateVerb.RESUME:
            self._media()  # a sender may hurry ahead of the clock: all it said in the pause must have been heard
        return self.calls.command(command, now_ns, time.time_ns())

    def said(self, note: ContextNote, now_ns: int) -> GateAnswer:
        """Somebody says something of a call. When this returns its purposes have been decided on again. Raises
        UnknownCall."""
        self._media()  # what is selected begins after all that was said before
        return self.calls.said(note, now_ns, time.time_ns())

    def secure(self, port: int, key: SrtpKey | None) -> None:
        """A port has another key: what came before is of the old one."""
        self._media()
        self._ports.secure(port, key)

    def give_back(self, port: int) -> None:
        """A port the tap no longer needs; one that a live call still drains is closed when that call ends."""
        if not self.calls.listens_to(port):
            self._ports.give_back(port)

    def overhear(self) -> None:
        """Listen to the mirror port from now on; what has come since it was opened is in its ring."""
        self._overhears = True

    def take_up(self, job: Ingest) -> None:
        """Work on a capture file from now on, whenever live calls leave time. One at a time."""
        self._ingest = job

    def listen_to(self, connection: socket.socket) -> None:
        """Somebody listens to the live calls. May be called from any thread."""
        self._work.put(lambda: self.calls.live_sound.connect(connection))

    def media_state(self) -> dict[str, Any]:
        """How media comes in, and what could not be taken in. May be called from any thread."""
        lags = sorted(self._lags_ms.copy())
        state = {
            "media": self._source.name,
            "core": self.calls.engine.core,
            "dropped_packets": self._drops.total,
            "stray_packets": self.calls.engine.stray,
            "undecryptable_packets": self._source.failed,
            "forgotten_pauses": self.calls.forgotten_pauses,
            "lag_p99_ms": round(lags[len(lags) * 99 // 100], 1) if lags else 0.0,
            "live": self.calls.live_sound.state(),
        }
        return state | ({"span": self.span.state()} if self.span else {})

    def _remember(self, live: LiveCall) -> None:
        dialog_of = self.span.snapshot if self.span and live.call.tap == "span" else self._dialog_of
        dialog = dialog_of(live.call.call_id)
        resume = Resume(live.call, live.origin_ns, dialog, live.gate.snapshot(), live.decisions, live.basis)
        live.sink.opaque(RecordKind.RESUME, self._box.seal(resume))

    def _run(self) -> None:
        try:
            next_read = self._next_care = time.monotonic()
            while not self._stopping:
                self._take_turns()
                if (now := time.monotonic()) >= next_read:
                    self._media(presses=True)
                    self._end(now)
                    self._work_off(time.monotonic() + SLICE_S)  # it always goes on, if slowly
                    next_read = max(next_read + self._interval_s, now)
                self._rest(min(next_read, self._next_care))
        except BaseException as error:  # the process must not live on with a recorder that does not record
            self.failure = error
            log.critical("recorder.failed", error=str(error), kind=type(error).__name__)

    def _take_turns(self) -> None:
        """Care for the calls whose turn it is; where something took long, for all whose turn it was meanwhile, so that
        buffers are empty enough for what has come meanwhile as well."""
        if (now := time.monotonic()) < self._next_care:
            return
        self._next_care = max(self._next_care, now - RELEASE_S)
        while now >= self._next_care:
            self._care(time.monotonic_ns())
            self._next_care += CARE_S
        self._drops.look(self._source.count_drops(), now)
        self._wrong_keys.look(self._source.counts(), now)

    def _rest(self, until: float) -> None:
        """Until it is time again: obey, and in between work off what was overheard, and then a file, by stretches of a
        few milliseconds."""
        while (now := time.monotonic()) < until and not self._stopping:
            if not self._work_off(min(now + SLICE_S, until)) and not (self._ingest is not None and self._ingest.step()):
                break
            self._obey(0.0)
        if self._ingest is not None and self._ingest.over:
            self._ingest = None
        self._obey(until - time.monotonic())

    def _work_off(self, until_s: float) -> bool:
        """Work off what was overheard and waits; False when nothing does."""
        if self.span is None or self._stopping or not self.span.is_behind:
            return False
        if oldest_ns := self.span.work(until_s):
            self._taken_in(oldest_ns, presses=False)
        return True

    def _obey(self, patience_s: float) -> None:
        try:
            if patience_s > 0 and not self._stopping:
                self._work.get(timeout=patience_s)()
            while not self._stopping:
                self._work.get_nowait()()
        except queue.Empty:
            return

    def _end(self, until_s: float) -> None:
        """End the calls whose turn it was at `until_s`; all that had come by then has been read."""
        while self._ending and self._ending[0][0] <= until_s:
            _, event, at_ns = self._ending.popleft()
            self.calls.ended(event, at_ns)

    def _media(self, *, presses: bool = False) -> None:
        """Read all that had come and hand on what is ready; with `presses`, posted work need not wait for the end. What
        comes meanwhile is for the next time: however much that is, this has an end."""
        now_ns, oldest_ns = time.monotonic_ns(), 0
        while not self._stopping and oldest_ns <= now_ns and (block := self._source.read()) is not None:
            oldest_ns = int(block.arrival_ns.min())
            self.calls.process(block)
            self._taken_in(oldest_ns, presses)
        heard_ns: int | None = 0
        while self.span is not None and self._overhears and not self._stopping and (heard_ns or 0) <= now_ns:
            if (heard_ns := self.span.read()) is None:
                break
            if heard_ns:
                self._taken_in(heard_ns, presses)
        if not self._stopping:
            self.calls.flush(now_ns)

    def _taken_in(self, oldest_ns: int, presses: bool) -> None:
        self._lags_ms.append((time.monotonic_ns() - oldest_ns) / 1e6)
        if time.monotonic() >= self._next_care:
            self.calls.flush(oldest_ns)
            self._take_turns()
        if presses:
            self._obey(0.0)

    def _care(self, now_ns: int, *, all_calls: bool = False) -> None:
        if self.span is not None and self._overhears:
            self.span.care()
        self.calls.care(now_ns, time.time_ns(), all_calls=all_calls)

    def _stop(self) -> None:
        self._media()
        self._end(math.inf)
        self._work_off(math.inf)
        self._care(time.monotonic_ns(), all_calls=True)
        if self._ingest is not None:
            self._ingest.stop()
        self.calls.live_sound.hang_up()
        self._writer.close()
        self._stopping = True
