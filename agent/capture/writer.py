"""Writes the capture log: one writer, all calls interleaved, one `fdatasync` every quarter of a second for all.

Byte layout: docs/capture-log.md. A record is handed to the kernel before `append` returns (or, with `together`, before
that block is left), so it survives the death of the process; the sync thread makes it survive a power cut. Any error is
final: better a restart than a log with a hole.
"""

import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from agent.capture.format import (
    CRC_BYTES,
    HEADER_BYTES,
    MAX_BODY,
    TAG_BYTES,
    RecordKind,
    call_id_bytes,
    checksum,
    nonce,
    pack_fields,
)
from agent.capture.keys import CallKey
from agent.model.call import Codec

SYNC_INTERVAL_S = 0.25
SEGMENT_SUFFIX = ".glog"
_SEGMENT_BITS = 24
_COUNT_BITS = 40
_BUFFER_BYTES = 1 << 20
_SPENT = -1
"""A counter that fits no header: the key may be in use anew, and two who count would meet."""

log = structlog.get_logger()


class CaptureFailed(RuntimeError):
    """The capture log could not be written or made durable. The process must stop and be restarted."""


@dataclass(slots=True)
class KeyInUse:
    """A call key as its records are sealed with it: `call` is the id in 16 bytes, `counter` that of the next record,
    none once the END of the call was written."""

    name: tuple[str, int]
    epoch: int
    call: bytes
    aead: AESGCM
    counter: int


class LogWriter:
    """The one writer of a capture folder; always begins a new segment. All methods from one thread only.

    `segment_bytes`: a segment is closed before it would grow beyond (a single larger record has one to itself).
    `clock_ns` gives UTC ns for the headers. Raises CaptureFailed when the folder cannot be written.

    Counters (nonces) begin at the number of the first segment shifted left by 40 bits plus the records written so far:
    no key ever sees a counter twice, not even one that comes back after its END or after a restart.
    """

    def __init__(self, folder: Path, segment_bytes: int, clock_ns: Callable[[], int]) -> None:
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._clock_ns = clock_ns
        self._keys: dict[tuple[str, int], KeyInUse] = {}
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        self._filled = self._waiting = 0
        """Bytes and records at the front of the buffer that the kernel has not got yet."""
        self._gathers = False
        self._change = threading.Condition()
        self._written = 0
        self._durable = 0
        self._sync_wanted = False
        self._stopping = False
        self._closed = False
        self._retired: list[int] = []
        self._new_names = False
        self._failure: str | None = None
        try:
            self._folder_fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(self._folder_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            numbers = [int(path.stem) for path in folder.glob("*" + SEGMENT_SUFFIX) if path.stem.isdigit()]
            self._segment = max(numbers, default=0)
            self._fd = self._new_segment()
            os.fsync(self._folder_fd)
        except BlockingIOError:
            raise CaptureFailed("another process writes this capture log") from None
        except OSError as error:
            raise CaptureFailed(f"the capture folder {folder} cannot be written: {error.strerror}") from error
        self._first_counter = self._segment << _COUNT_BITS
        self._thread = threading.Thread(target=self._sync_loop, name="capture-sync", daemon=True)
        self._thread.start()

    @property
    def segment(self) -> int:
        """The number of the segment being written."""
        return self._segment

    @property
    def appended(self) -> int:
        """Records handed to the kernel since this writer began."""
        return self._written

    @property
    def durable(self) -> int:
        """How many of `appended` survive a power cut."""
        return self._durable

    @contextmanager
    def together(self) -> Iterator[None]:
        """Records appended in this block go to the kernel in few large writes, the last when the block is left."""
        self._gathers = True
        try:
            yield
        finally:
            self._gathers = False
            self._hand_over()

    def use(self, key: CallKey) -> KeyInUse:
        """The call key made ready to seal with: `append` finds it faster so."""
        name = key.call_id, key.epoch
        if (in_use := self._keys.get(name)) is None:
            counter = self._first_counter + self._written + self._waiting
            in_use = KeyInUse(name, key.epoch, call_id_bytes(key.call_id), AESGCM(key.key), counter)
            self._keys[name] = in_use
        return in_use

    def append(
        self,
        kind: RecordKind,
        key: CallKey | KeyInUse,
        payload: bytes | bytearray | memoryview,
        *,
        stream: int = 0,
        codec: Codec | None = None,
        position_samples: int = 0,
        lost_samples: int = 0,
    ) -> None:
        """Encrypt `payload` under the call key and write it as one record. END lets go of the key.

        Raises CaptureFailed; ValueError (nothing written) for a payload or a field beyond the limits of the format.
        """
        in_use = self.use(key) if isinstance(key, CallKey) else key
        body_bytes = memoryview(payload).nbytes + TAG_BYTES
        view = self._begin(kind, in_use, body_bytes, stream, codec, position_samples, lost_samples)
        header, body = view[:HEADER_BYTES], view[HEADER_BYTES:-CRC_BYTES]
        in_use.aead.encrypt_into(nonce(in_use.counter), payload, header, body)
        self._finish(view, in_use)
        if kind is RecordKind.END:
            self._keys.pop(in_use.name, None)
            in_use.counter = _SPENT

    def append_opaque(self, kind: RecordKind, key: CallKey | KeyInUse, payload: bytes) -> None:
        """Write bytes that are sealed already as a record of the call: checked, not encrypted. Raises as `append`."""
        if kind is not RecordKind.RESUME:
            raise ValueError(f"{kind.name} records are encrypted under the call key")
        in_use = self.use(key) if isinstance(key, CallKey) else key
        view = self._begin(kind, in_use, len(payload), 0, None, 0, 0)
        view[HEADER_BYTES : HEADER_BYTES + len(payload)] = payload
        self._finish(view, in_use)

    def sync(self) -> None:
        """Return when all appended so far is durable. Raises CaptureFailed."""
        self._check()
        target = self._written
        with self._change:
            self._sync_wanted = True
            self._change.notify_all()
            self._change.wait_for(lambda: self._failure is not None or self._durable >= target)
        self._check()

    def close(self) -> None:
        """Make all durable and let go of files and keys. Raises CaptureFailed when that cannot be said of all."""
        if self._closed:
            return
        self._closed = True
        with self._change:
            self._stopping = True
            self._change.notify_all()
        self._thread.join()
        self._keys.clear()
        for handle in [*self._retired, self._fd, self._folder_fd]:
            os.close(handle)
        if self._failure:
            raise CaptureFailed(self._failure)

    def _begin(
        self,
        kind: RecordKind,
        key: KeyInUse,
        body_bytes: int,
        stream: int,
        codec: Codec | None,
        position_samples: int,
        lost_samples: int,
    ) -> memoryview:
        self._check()
        if self._closed:
            raise CaptureFailed("the capture log is closed")
        if body_bytes > MAX_BODY:
            raise ValueError(f"a record body of {body_bytes} bytes; the limit is {MAX_BODY}")
        packed = pack_fields(
            kind,
            codec,
            key.epoch,
            stream,
            key.call,
            position_samples,
            lost_samples,
            body_bytes,
            key.counter,
            self._clock_ns(),
        )
        record_bytes = HEADER_BYTES + body_bytes + CRC_BYTES
        if self._filled + record_bytes > len(self._buffer):
            self._hand_over()
        if record_bytes > len(self._buffer):
            self._buffer = memoryview(bytearray(record_bytes))
        view = self._buffer[self._filled : self._filled + record_bytes]
        view[:HEADER_BYTES] = packed
        return view

    def _finish(self, view: memoryview, key: KeyInUse) -> None:
        key.counter += 1
        view[-CRC_BYTES:] = checksum(view[:-CRC_BYTES])
        if self._size and self._size + len(view) > self._segment_bytes:
            behind = self._filled
            self._hand_over()
            try:
                self._rotate()
            except OSError as error:
                self._fail("written", error)
                raise CaptureFailed(self._failure) from error
            self._buffer[: len(view)] = self._buffer[behind : behind + len(view)]
        self._size += len(view)
        self._filled += len(view)
        self._waiting += 1
        if not self._gathers:
            self._hand_over()

    def _hand_over(self) -> None:
        left, records = self._buffer[: self._filled], self._waiting
        self._filled = self._waiting = 0
        try:
            while left:
                left = left[os.write(self._fd, left) :]
        except OSError as error:
            self._fail("written", error)
            raise CaptureFailed(self._failure) from error
        self._written += records

    def _rotate(self) -> None:
        fresh = self._new_segment()
        with self._change:
            self._retired.append(self._fd)
            self._fd = fresh
            self._new_names = True

    def _new_segment(self) -> int:
        number = self._segment + 1
        if number >> _SEGMENT_BITS:
            raise OSError(0, f"segment number {number} is beyond the last")
        path = self._folder / f"{number:010d}{SEGMENT_SUFFIX}"
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o640)
        self._segment = number
        self._size = 0
        return handle

    def _check(self) -> None:
        if self._failure:
            raise CaptureFailed(self._failure)

    def _fail(self, what: str, error: OSError) -> None:
        with self._change:
            self._failure = f"the capture log {self._folder} could not be {what}: {error.strerror}"
            self._change.notify_all()
        log.critical("capture.failed", what=what, errno=error.errno, segment=self._segment)

    def _sync_loop(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._sync_wanted or self._stopping, SYNC_INTERVAL_S)
                last, self._sync_wanted = self._stopping, False
                target, current, retired = self._written, self._fd, list(self._retired)
                new_names, self._new_names = self._new_names, False
            try:
                if target > self._durable:
                    for handle in [*retired, current]:
                        os.fdatasync(handle)
                    if new_names:
                        os.fsync(self._folder_fd)
            except OSError as error:
                self._fail("made durable", error)
                return
            with self._change:
                if target > self._durable:
                    self._durable = target
                    for handle in retired:
                        self._retired.remove(handle)
                        os.close(handle)
                self._change.notify_all()
            if last:
                return
