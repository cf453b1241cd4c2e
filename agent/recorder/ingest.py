"""A capture file on its way into the capture log, at its own time: as if its packets came in now, only faster.

A thread of its own reads the file; the media thread takes what was read in stretches of a few milliseconds, when live
calls leave it time. Everything follows from the content of the file: calls have the ids, the gates the clock and the
log the records that they would have every time. So a run that was cut off is run again from the start, with what is in
the log already left out record by record (`agent.recorder.ledger`).
"""

import hashlib
import queue
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import structlog

from agent.capture.keys import CallKey
from agent.capture.reader import OpenCall
from agent.capture.writer import CaptureFailed, LogWriter
from agent.config import Settings
from agent.media.block import Frames
from agent.media.pcapfile import CaptureFile
from agent.model.call import Call
from agent.model.events import CallEnded
from agent.model.purpose import Decision
from agent.policy.decide import Policy
from agent.policy.share import Strata
from agent.recorder.calls import CARE_S, CARES_A_RELEASE, Calls
from agent.recorder.ledger import Finished, Ledger, runs
from agent.recorder.overhearing import Overhearing
from agent.recorder.ports import LEAST_FREE_BYTES
from agent.tap.span.traffic import Traffic
from agent.tap.span.watcher import Watcher

CARE_NS = int(CARE_S * 1e9)
READ_AHEAD = 4
"""Blocks that were read and wait."""
POLL_S = 0.5
MOST_BACK_NS, MOST_AHEAD_NS = 2_000_000_000, 86_400_000_000_000

log = structlog.get_logger()

MakeKey = Callable[[str, int, Callable[[CallKey], None]], None]


class AlreadyIngested(ValueError):
    """The file was ingested before; says when, and how to do it again."""


@dataclass(slots=True)
class Progress:
    """For people. `state`: checking, recording, waiting (and why), done or failed; `error` says why, `problem` what was
    wrong on the way.

    Bytes are of the file; `first_ns` and `last_ns` UTC of its packets.
    """

    path: str
    state: str = "checking"
    error: str = ""
    problem: str = ""
    digest: str = ""
    bytes: int = 0
    bytes_done: int = 0
    calls: int = 0
    packets: int = 0
    sip_messages: int = 0
    unread_packets: int = 0
    cut_packets: int = 0
    stray_packets: int = 0
    first_ns: int = 0
    last_ns: int = 0


@dataclass(frozen=True, slots=True)
class InLog:
    """What the capture log held when the recorder started: calls without an end, and ids of those that have one."""

    left_open: dict[str, OpenCall]
    ended: set[str]


class Ingest:
    """One run. Made in any thread; `step` and `stop` belong to the media thread; `progress` may be read by all.

    `policy` decides about its calls, `make_key(call_id, epoch, use)` has a key made durable and `use` called with it
    in the media thread, which `wake` sets to work when it waits. Raises OSError when the file cannot be opened,
    NotACapture when it is none.
    """

    def __init__(
        self,
        path: Path,
        settings: Settings,
        writer: LogWriter,
        policy: Policy,
        make_key: MakeKey,
        in_log: InLog,
        wake: Callable[[], None],
        *,
        again: bool = False,
    ) -> None:
        self._settings, self._writer = settings, writer
        self._policy, self._make_key = policy, make_key
        self._strata = Strata("")
        self._in_log = in_log
        self._wake, self._again = wake, again
        self._file: BinaryIO = path.open("rb")
        CaptureFile(self._file)
        self._file.seek(0)
        self._progress = Progress(str(path), bytes=path.stat().st_size)
        self._frames: queue.Queue[Frames | None] = queue.Queue(READ_AHEAD)
        self._stopped = threading.Event()
        self._ledger: Ledger | None = None
        self._whole: set[str] = set()
        self._calls = Calls(
            settings,
            policy.purposes,
            writer,
            settings.span.max_calls * 2 + 64,
            written=self._written,
            decide_again=lambda call, before, at_ns: self._policy.decide(call, at_ns, self._strata, before),
        )
        self._ear: Overhearing | None = None
        self._clock = FileClock()
        self._cared_ns = 0
        self._ended: list[str] = []
        self._settling: list[tuple[int, list[str]]] = []
        self._finished = self._closing = self._idle = False
        self._clerk = ThreadPoolExecutor(1, "ingest-ledger")
        self.over = False
        threading.Thread(target=self._read, name="ingest", daemon=True).start()

    def progress(self) -> dict[str, Any]:
        """How far it is."""
        return asdict(self._progress)

    # ---- in the reading thread

    def _read(self) -> None:
        try:
            with self._file:
                self._progress.digest = digest_of(Path(self._progress.path))
                self._enter_in_ledger(self._progress.digest)
                self._progress.state = "recording"
                file = CaptureFile(self._file)
                for frames in file.frames():
                    self._progress.bytes_done = self._file.tell()
                    self._progress.packets = file.packets
                    self._put(frames)
                    if self._stopped.is_set():
                        return
                self._progress.packets, self._progress.problem = file.packets, file.problem
                self._progress.unread_packets, self._progress.cut_packets = file.unread, file.cut
            self._put(None)
        except OSError as error:
            self._fail(error.strerror or type(error).__name__)
        except ValueError as error:
            self._fail(str(error))

    def _enter_in_ledger(self, digest: str) -> None:
        """Take up the run that was cut off, or begin one. Raises AlreadyIngested."""
        number = 1
        for ledger in runs(self._settings.capture_dir, digest):
            _, self._whole, finished = ledger.read()
            if finished is None:
                self._use(ledger)
                return
            if not self._again:
                when = datetime.fromtimestamp(finished.at_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M UTC")
                part = "" if finished.whole else "in part, "
                raise AlreadyIngested(
                    f"was ingested {part}at {when} ({finished.calls} calls); "
                    "--again records its calls once more, under other ids"
                )
            number = ledger.number + 1
        ledger = Ledger(self._settings.capture_dir, digest, number)
        ledger.begin(Path(self._progress.path), time.time_ns())
        self._whole = set()
        self._use(ledger)

    def _use(self, ledger: Ledger) -> None:
        tag = id_tag(ledger)
        self._strata = Strata(tag)  # counted from the start of the file: decided the same when it is run again
        times: Counter[str] = Counter()

        def new_id(at_ns: int, seed: str) -> str:
            times[seed] += 1  # joined captures may have a call twice
            seed += f"|{times[seed]}"
            rest = hashlib.sha256(seed.encode("utf-8", "surrogateescape")).hexdigest()[:12]
            return f"{at_ns // 1_000_000 & 0xFFFF_FFFF_FFFF:012x}{tag}{rest}"

        span = self._settings.span
        watcher = Watcher(span, self._settings.site, new_id)
        self._ear = Overhearing("pcap", Traffic(span.sip_ports), watcher, self._calls, self._admit)
        self._ledger = ledger

    def _put(self, frames: Frames | None) -> None:
        while not self._stopped.is_set():
            if shutil.disk_usage(self._settings.capture_dir).free < LEAST_FREE_BYTES:
                self._progress.state = "waiting: the disk is too full"  # live calls need the rest
                self._stopped.wait(POLL_S)
                continue
            self._progress.state = "recording"
            try:
                self._frames.put(frames, timeout=POLL_S)
            except queue.Full:
                continue
            if self._idle:
                self._wake()
            return

    def _fail(self, why: str) -> None:
        self._progress.error, self._progress.state = why, "failed"
        log.error("ingest.failed", why=why)
        self.over = True

    # ---- in the media thread

    def step(self) -> bool:
        """Take in one block; False when there is nothing to do at the moment. A file that cannot be worked on fails
        alone: live calls have nothing to do with it."""
        self._idle = False
        try:
            worked = self._work()
        except CaptureFailed:
            raise
        except Exception as error:
            log.error("ingest.failed", kind=type(error).__name__, exc_info=True)
            self._give_up(f"{type(error).__name__} while it was worked on; what came before is recorded")
            return False
        self._idle = not worked
        return worked

    def _give_up(self, why: str) -> None:
        """The run is over and is not taken up again."""
        self._stopped.set()
        for live in self._calls.all():
            with suppress(Exception):
                self._calls.ended(
                    CallEnded(live.call.call_id, self._progress.last_ns, "interrupted"), self._progress.last_ns
                )
        if self._ledger is not None:
            done = Finished(time.time_ns(), self._progress.calls, whole=False)
            self._clerk.submit(self._ledger.finish, done)
        self._fail(why)

    def _work(self) -> bool:
        if self.over or self._calls.keyless or self._ear is None:
            return False
        self._settle()
        if self._finished:
            return self._finish()
        try:
            frames = self._frames.get_nowait()
        except queue.Empty:
            return False
        if frames is None:
            self._end_of_file()
            return True
        frames = replace(frames, arrival_ns=self._clock.told(frames.arrival_ns))
        self._ear.take_in(frames, 0)
        progress, now_ns = self._progress, int(frames.arrival_ns.max())
        progress.first_ns = progress.first_ns or int(frames.arrival_ns[0])
        progress.last_ns = now_ns = max(progress.last_ns, now_ns)
        self._calls.flush(now_ns)
        turns = min((now_ns - self._cared_ns) // CARE_NS, CARES_A_RELEASE)  # by the time of the file: each run the same
        for _ in range(turns):
            self._calls.care(now_ns, now_ns)
        if turns > 0:
            self._cared_ns = now_ns - (now_ns - self._cared_ns) % CARE_NS
        progress.calls, progress.sip_messages = self._ear.calls_seen, self._ear.traffic.messages
        progress.stray_packets = self._calls.engine.stray
        return True

    def stop(self) -> None:
        """The recorder stops: the next one takes the run up again."""
        self._stopped.set()
        self._clerk.shutdown(wait=False)

    def _written(self, call_id: str) -> int | None:
        if call_id in self._in_log.left_open:
            return self._in_log.left_open[call_id].records
        return None if call_id in self._whole or call_id in self._in_log.ended else 0

    def _admit(self, call: Call) -> tuple[Decision, ...]:
        if self._written(call.call_id) is not None:
            left = self._in_log.left_open.get(call.call_id)
            self._make_key(call.call_id, left.last_epoch + 1 if left else 0, self._calls.use_key)
        return self._policy.decide(call, call.started_ns, self._strata)

    def _settle(self) -> None:
        """Tell the ledger of the calls whose end is durable by now."""
        if ended := self._calls.take_ended():
            self._settling.append((self._writer.appended, ended))
        while self._settling and self._settling[0][0] <= self._writer.durable:
            _, call_ids = self._settling.pop(0)
            if self._ledger is not None:
                self._clerk.submit(self._ledger.ended, call_ids)

    def _end_of_file(self) -> None:
        """Calls that go on beyond the end of the file end with it."""
        now_ns = self._progress.last_ns
        for live in self._calls.all():
            self._calls.ended(CallEnded(live.call.call_id, now_ns, "capture-ended"), now_ns)
        self._finished = True

    def _finish(self) -> bool:
        if not self._settling and not self._closing and self._ledger is not None:
            self._closing = True
            self._clerk.submit(self._close, self._ledger)
            self._clerk.shutdown(wait=False)
        return False

    def _close(self, ledger: Ledger) -> None:
        """In the thread of the ledger."""
        progress = self._progress
        try:
            if progress.calls:
                ledger.finish(Finished(time.time_ns(), progress.calls))
                progress.state = "done"
                log.info("ingest.done", calls=progress.calls, packets=progress.packets, digest=progress.digest[:16])
            else:
                ledger.forget()
                self._fail(nothing(progress.sip_messages))
        except OSError as error:
            self._fail(f"its calls are recorded, but not that it is done: {error.strerror}")
        self.over = True


class FileClock:
    """The time of a file as one that goes on: where it leaps back, or ahead by more than a day, it stands still (joined
    captures, a clock that was set, spoilt records); packets a little out of order stay so."""

    def __init__(self) -> None:
        self._raw_ns = self._told_ns = 0

    def told(self, raw_ns: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Times of packets, UTC ns, as they are to be understood."""
        if not self._raw_ns:
            self._raw_ns = self._told_ns = int(raw_ns[0])
        steps = np.diff(raw_ns, prepend=self._raw_ns)
        steps[(steps < -MOST_BACK_NS) | (steps > MOST_AHEAD_NS)] = 0
        told: npt.NDArray[np.int64] = self._told_ns + np.cumsum(steps)
        self._raw_ns, self._told_ns = int(raw_ns[-1]), int(told[-1])
        return told


def digest_of(path: Path) -> str:
    """SHA-256 of a file's content, hex. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def id_tag(ledger: Ledger) -> str:
    """Eight digits that stand in the middle of the ids of all calls of a run."""
    return hashlib.sha256(f"{ledger.digest} {ledger.number}".encode()).hexdigest()[:8]


def is_of(call_id: str, ledger: Ledger) -> bool:
    """Whether a call was recorded by this run."""
    return call_id[12:20] == id_tag(ledger)


def nothing(messages: int) -> str:
    """Why a file has no calls."""
    if messages:
        return (
            f"none of its {messages} SIP messages begins a call; span.networks and span.extensions may leave them out"
        )
    return "there is no SIP in it: if your phones use another port than span.sip_ports, put it there"
