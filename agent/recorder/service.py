"""The recorder's wiring: SIPREC tap and control socket in one asyncio loop, the media thread beside it.

Call events are handled one after the other by a worker thread, because a new call's key must be durable before
anything of the call is; the tap and the media never wait for it.
"""

import asyncio
import os
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog
from pydantic import ValidationError

from agent.capture.format import RecordKind
from agent.capture.keys import CallKey
from agent.capture.keys import create as create_key
from agent.capture.reader import OpenCall, calls_in
from agent.capture.writer import LogWriter
from agent.config import Settings
from agent.config.watching import Watch
from agent.control.server import Answer, ControlSocket
from agent.media.local import open_source
from agent.media.srtp import SecureSource
from agent.model.call import Call
from agent.model.context import ContextNote
from agent.model.events import CallChanged, CallEnded, CallEvent, CallStarted
from agent.model.gate import GateAnswer, GateCommand
from agent.model.purpose import Decision
from agent.model.srtp import SrtpKey
from agent.model.wire import dump
from agent.recorder.calls import Calls
from agent.recorder.ingest import Ingest, InLog, digest_of, is_of
from agent.recorder.ledger import Finished, Ledger, runs
from agent.recorder.livedoor import LiveDoor
from agent.recorder.loop import MediaLoop
from agent.recorder.news import Newsroom
from agent.recorder.policy import Rulebook, policy_of
from agent.recorder.ports import MediaPorts
from agent.recorder.questions import Questions
from agent.recorder.resume import Resume, ResumeBox
from agent.recorder.span import SpanEar
from agent.tap.siprec import Srs

IDENTITY_POLL_S = 0.1
LEND_S = 2.0
"""With no answer of the media thread for so long, a call is refused, or goes on, rather than the tap held up."""

log = structlog.get_logger()


class Recorder:
    """One recorder process. `run` returns when `stop` was asked for, and raises when capture failed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        policy = policy_of(settings)
        for folder in (settings.capture_dir, settings.callkeys_dir, settings.site.run_dir):
            folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        self._in_log = InLog(*calls_in(settings.capture_dir))
        self._box = ResumeBox(settings.site.run_dir)
        self._rules = Rulebook(settings, policy)
        self._resumes = self._remembered()
        media, ports = settings.media, settings.siprec.media_ports
        local = open_source(media.source, settings.siprec.media_host, ports, media.ring_mib, media.core)
        self._source = SecureSource(local)
        self._ports = MediaPorts(self._source, *ports, settings.capture_dir)
        self._writer = LogWriter(settings.capture_dir, settings.capture.segment_mib << 20, time.time_ns)
        self._srs = Srs(settings.siprec, settings.site, self, self, time, settings.keys)
        self._news = Newsroom()
        self._loop = MediaLoop(
            settings,
            self._rules,
            self._source,
            self._ports,
            self._writer,
            self._box,
            self._srs.snapshot,
            self._listen if settings.span.interface else None,
            self._news,
        )
        self._questions = Questions(self._loop, self._news, self._rules.names)
        self._ingest: Ingest | None = None
        self._ingest_lock = asyncio.Lock()
        self._control = ControlSocket(settings.recorder_socket, self._handle)
        self._live_door = LiveDoor(settings.live_socket, self._loop.listen_to)
        self._keymaker = ThreadPoolExecutor(1, "keys")
        self._stop = asyncio.Event()

    def _remembered(self) -> dict[str, Resume]:
        """What is known of calls without an end that may be continued."""
        found = {}
        for call_id, left in self._in_log.left_open.items():
            try:
                resume = self._box.open(left.last_resume.sealed) if left.last_resume else None
                if resume is not None and resume.basis is not None:
                    self._rules.restore(call_id, resume.basis)
            except ValueError as error:
                log.error("call.not_resumed", call=call_id, error=str(error))
                continue
            if resume is not None:
                found[call_id] = resume
        return found

    # ---- PortLender and CallListener of the tap

    def lend(self, host: str) -> int:
        """See MediaPorts.lend. With no answer within LEND_S it raises TimeoutError, which is an OSError."""
        future = self._loop.ask(lambda: self._ports.lend(host))
        try:
            port: int = future.result(LEND_S)
        except TimeoutError:
            future.add_done_callback(self._too_late)
            raise
        return port

    def _too_late(self, future: Future[int]) -> None:
        if future.exception() is None:
            self.give_back(future.result())

    def give_back(self, port: int) -> None:
        """The tap's stream is over; the media thread drains and closes."""
        self._loop.post(lambda: self._loop.give_back(port))

    def secure(self, port: int, key: SrtpKey | None) -> None:
        """The tap's stream has a key (None: no more), which is in use when this returns: before the peer hears that it
        may use it."""
        future = self._loop.ask(lambda: self._loop.secure(port, key))
        with suppress(TimeoutError):
            future.result(LEND_S)

    def on_event(self, event: CallEvent) -> None:
        """From the tap, in order."""
        now_ns = time.monotonic_ns()
        if isinstance(event, CallStarted):
            decisions = self._decide(event.call)
            self._loop.post(lambda: self._loop.call_started(event, decisions, now_ns))
            self._make_key(event.call_id, 0, self._loop.calls.use_key)
        elif isinstance(event, CallChanged):
            self._loop.post(lambda: self._loop.call_changed(event))
        else:
            self._loop.post(lambda: self._loop.call_ended(event, now_ns))

    def on_press(self, command: GateCommand) -> Future[GateAnswer]:
        """From the tap: a press by telephony."""
        return self._loop.ask(lambda: self._loop.command(command, time.monotonic_ns()))

    def on_context(self, note: ContextNote) -> Future[GateAnswer]:
        """From the tap: what a header or a key said of a call."""
        return self._loop.ask(lambda: self._loop.said(note, time.monotonic_ns()))

    # ---- calls that nobody sends us

    def _listen(self, calls: Calls) -> SpanEar:
        """The mirror port. Its calls are decided on in the media thread."""
        return SpanEar(self._settings, self._settings.span.interface or "", calls, self._admit)

    def _admit(self, call: Call) -> tuple[Decision, ...]:
        self._make_key(call.call_id, 0, self._loop.calls.use_key)
        return self._decide(call)

    def _decide(self, call: Call) -> tuple[Decision, ...]:
        return self._rules.decide(call, time.time_ns())

    def _begin_ingest(self, path: Path, *, again: bool = False) -> Ingest:
        """Raises ValueError in words, when the file cannot be read or another one is being read."""
        if self._ingest is not None and not self._ingest.over:
            raise ValueError("another capture file is being ingested; wait for it")
        try:
            if path.exists() and not path.is_file():
                raise ValueError("it is no file")
            job = Ingest(
                path,
                self._settings,
                self._writer,
                self._rules.policy,
                self._make_key,
                self._in_log,
                lambda: self._loop.post(lambda: None),
                again=again,
            )
        except OSError as error:
            raise ValueError(
                f"the recorder cannot read it ({error.strerror}); it runs as user {os.geteuid()}: "
                "put the file where that user may read, such as below its state_dir"
            ) from None
        self._ingest = job
        self._loop.post(lambda: self._loop.take_up(job))
        return job

    async def _take_up_ingests(self, being_read: list[Ledger]) -> None:
        """Go on with the capture file that was being read when the recorder died, beside live calls."""
        async with self._ingest_lock:
            for ledger in being_read:
                await asyncio.to_thread(self._take_up_ingest, ledger)

    def _take_up_ingest(self, ledger: Ledger) -> None:
        """Where the file is gone, its open calls are closed as interrupted, and that is said."""
        path, whole, _ = ledger.read()
        try:
            if path is None or digest_of(path) != ledger.digest:
                raise ValueError("the file is no longer what it was")
            self._begin_ingest(path)
            log.warning("ingest.resumed", digest=ledger.digest[:16], whole_calls=len(whole))
            return
        except (OSError, ValueError) as error:
            log.error("ingest.not_resumed", digest=ledger.digest[:16], error=type(error).__name__)
        for call_id in [c for c in self._in_log.left_open if is_of(c, ledger)]:
            self._take_up(call_id, self._in_log.left_open[call_id])
        ledger.finish(Finished(time.time_ns(), len(whole), whole=False))

    # ---- life

    async def run(self) -> None:
        """Serve until `stop`. No call is accepted before there is a working identity to wrap its key to."""
        self._loop.start()
        if not await self._identity():
            await asyncio.to_thread(self._loop.stop)
            return
        being_read = [ledger for ledger in runs(self._settings.capture_dir) if ledger.read()[2] is None]
        for call_id, left in self._in_log.left_open.items():
            if not any(is_of(call_id, ledger) for ledger in being_read):
                self._take_up(call_id, left)
        self._loop.post(self._loop.overhear)
        await self._srs.start()
        await self._control.start()
        await self._live_door.start()
        log.info("recorder.ready", listening=[f"{t}:{h}:{p}" for t, h, p in self._srs.bound], media=self._source.name)
        watch = self._watch()
        taking_up = asyncio.create_task(self._take_up_ingests(being_read))
        while not self._stop.is_set() and self._loop.failure is None:
            try:
                await asyncio.wait_for(self._stop.wait(), 0.5)
            except TimeoutError:
                continue
        await taking_up
        if watch is not None:
            await asyncio.to_thread(watch.stop)
        await self._live_door.stop()
        await self._control.stop()
        await self._srs.stop()
        self._keymaker.shutdown()
        if self._loop.failure:
            raise self._loop.failure
        await asyncio.to_thread(self._loop.stop)

    def _watch(self) -> Watch | None:
        """Follow the configuration, if it came of a file."""
        if (source := self._settings.source) is None:
            return None
        watch = Watch(source, self._settings, self._rules.take, self._rules.refuse)
        watch.start()
        return watch

    def stop(self) -> None:
        """Ask `run` to return. Live calls stay open in the log, to be taken up by the next start."""
        self._stop.set()

    async def _identity(self) -> bool:
        """Wait for the scribe to have made its first working identity; False when told to stop meanwhile."""
        said = False
        while not self._settings.recipient_file.exists():
            if not said:
                log.warning("recorder.waiting", what="the first working identity, which the scribe makes")
                said = True
            try:
                await asyncio.wait_for(self._stop.wait(), IDENTITY_POLL_S)
            except TimeoutError:
                continue
            return False
        return True

    def _make_key(self, call_id: str, epoch: int, use: Callable[[CallKey], None]) -> None:
        """Have a key made and, once it is durable, used in the media thread."""

        def work() -> None:
            try:
                key = self._new_key(call_id, epoch)
            except Exception as error:  # without a key nothing of the call can be kept: the process must not go on
                self._loop.failure = error
                log.critical("recorder.failed", error=str(error), kind=type(error).__name__)
                return
            self._loop.post(lambda: use(key))

        self._keymaker.submit(work)

    def _new_key(self, call_id: str, epoch: int) -> CallKey:
        recipient = self._settings.recipient_file.read_text(encoding="ascii").strip()
        return create_key(self._settings.callkeys_dir, call_id, epoch, recipient)

    def _take_up(self, call_id: str, left: OpenCall) -> None:
        """Continue a call of before the restart, or close its record as interrupted."""
        key = self._new_key(call_id, left.last_epoch + 1)
        resume = self._resumes.pop(call_id, None)
        if resume is not None and self._reclaim(resume):
            self._loop.ask(lambda: self._loop.call_restored(resume, key)).result()
            log.warning("call.resumed", call=call_id)
            return
        self._rules.ended(call_id)
        end = CallEnded(call_id, time.time_ns(), "interrupted")
        self._loop.ask(lambda: self._writer.append(RecordKind.END, key, dump(end))).result()
        log.warning("call.interrupted", call=call_id)

    def _reclaim(self, resume: Resume) -> bool:
        host, claimed = self._srs.media_host, []
        try:
            if resume.call.tap == "span":
                if (span := self._loop.span) is None:
                    raise ValueError("there is no mirror port any more")
                self._loop.ask(lambda: span.restore(resume.dialog)).result()
                return True
            for stream in resume.call.streams:
                self._ports.claim(host, stream.port)
                claimed.append(stream.port)
            self._srs.restore(resume.dialog)
        except (OSError, ValueError) as error:
            why = "its dialog cannot be read" if isinstance(error, ValidationError) else str(error)  # that one quotes
            log.error("call.not_resumed", call=resume.call.call_id, error=why)
            for port in claimed:
                self.give_back(port)
            return False
        return True

    # ---- control

    async def _handle(self, request: dict[str, Any]) -> Answer:
        operation = request["op"]
        if (ask := self._questions.by_name.get(operation)) is not None:
            return await ask(request)
        if operation == "stats":
            return {
                "calls": len(await self._questions.live()),
                "segment": self._writer.segment,
                "tls_refused": self._srs.tls_refused,
            } | self._loop.media_state()
        if operation == "ingest":
            return await self._ingested(request)
        known = ", ".join([*self._questions.by_name, "stats", "ingest"])
        raise ValueError(f"unknown op {operation!r}; known: {known}")

    async def _ingested(self, request: dict[str, Any]) -> dict[str, Any]:
        """Begin with a file (`path`, `again`), or say how far the one begun last is."""
        if "path" in request:
            path, again = Path(str(request["path"])), request.get("again") is True
            async with self._ingest_lock:
                job = await asyncio.to_thread(lambda: self._begin_ingest(path, again=again))
            return {"ingest": job.progress()}
        return {"ingest": self._ingest.progress() if self._ingest else None}
