"""The journal: one append-only, hash-chained file of JSON lines a process.

A line is `{"at_ns", "call_id", "fields", "hash", "kind", "prev", "process", "purpose", "seq"}` in canonical JSON;
`hash` covers `prev` and the line without its hash (see `agent.vault.chain`). docs/journal.md gives the layout.
"""

import fcntl
import json
import os
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from agent.vault.chain import GENESIS, canonical, link
from agent.vault.secretfile import hand_over, sync_folder

CHECKPOINTS = "checkpoints"
"""The chain that seals the others; see `agent.store.checkpoint`."""
TAIL_BYTES = 1 << 16
"""No line is longer; so the last one is found without reading the whole chain."""

Field = str | int | float | bool | None | list[str]


@dataclass(frozen=True, slots=True)
class Entry:
    """What a line is to say."""

    kind: str
    call_id: str | None
    purpose: str | None
    fields: dict[str, Field]


@dataclass(frozen=True, slots=True)
class JournalLine:
    """One line of one process's chain. `fields` holds what is particular to the kind."""

    process: str
    seq: int
    at_ns: int
    kind: str
    call_id: str | None
    purpose: str | None
    fields: dict[str, Any]
    prev: str
    hash: str


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a chain: the line `seq` of `process`, which has this hash; line 0 is before the first."""

    process: str
    seq: int
    hash: str


_TYPES: Mapping[str, tuple[type, ...]] = {
    "process": (str,),
    "seq": (int,),
    "at_ns": (int,),
    "kind": (str,),
    "call_id": (str, type(None)),
    "purpose": (str, type(None)),
    "fields": (dict,),
    "prev": (str,),
    "hash": (str,),
}
_HASHED = tuple(name for name in _TYPES if name != "hash")


def encoded(line: JournalLine) -> bytes:
    """The line as it stands in the file, with its newline."""
    return canonical({name: getattr(line, name) for name in _TYPES}) + b"\n"


def decoded(raw: bytes) -> JournalLine:
    """The line that `raw` is. Raises ValueError when it is none, or is not written canonically."""
    try:
        said = json.loads(raw)
        same = canonical(said) == raw.rstrip(b"\n")
    except RecursionError:
        raise ValueError("not a journal line") from None
    if not isinstance(said, dict) or said.keys() != _TYPES.keys():
        raise ValueError("not a journal line")
    if any(type(said[name]) not in types for name, types in _TYPES.items()):
        raise ValueError("not a journal line: a value of another type")
    if not same:
        raise ValueError("not written as the journal writes")
    return JournalLine(**said)


def hash_of(line: JournalLine) -> str:
    """What the line's hash must be, given what it says."""
    return link(line.prev, canonical({name: getattr(line, name) for name in _HASHED}))


class Journal:
    """The chain of one process. Appends of threads and processes to the same chain are kept in order by locks."""

    def __init__(self, folder: Path, process: str, clock_ns: Callable[[], int]) -> None:
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        self._folder = folder
        self._process = process
        self._clock_ns = clock_ns
        self._thread_lock = threading.RLock()
        self._grouped = False
        self._size, self._seq, self._head = 0, 0, GENESIS
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        self._file = os.open(folder / f"{process}.jsonl", flags, 0o640)
        self._close = weakref.finalize(self, os.close, self._file)
        self._close.atexit = False  # a thread may still append then
        hand_over(self._file, folder)  # a command of root's: the scribe reads and seals all chains
        sync_folder(folder)
        with self._locked():
            self._catch_up()

    def append(
        self, kind: str, *, call_id: str | None = None, purpose: str | None = None, **fields: Field
    ) -> JournalLine:
        """Add a line; durable when this returns (or, inside `group`, when the group ends). Raises OSError."""
        with self._locked():
            line = self._write(Entry(kind, call_id, purpose, fields))
            if not self._grouped:
                os.fsync(self._file)
        return line

    def append_all(self, entries: Sequence[Entry]) -> None:
        """Add lines that become durable together, by one sync; when this returns. Raises OSError."""
        with self._locked():
            for entry in entries:
                self._write(entry)
            os.fsync(self._file)

    def _write(self, entry: Entry) -> JournalLine:
        if os.fstat(self._file).st_size != self._size:
            self._catch_up()
        said = (entry.kind, entry.call_id, entry.purpose, entry.fields)
        unhashed = JournalLine(self._process, self._seq + 1, self._clock_ns(), *said, self._head, "")
        line = JournalLine(**{**asdict(unhashed), "hash": hash_of(unhashed)})
        raw = encoded(line)
        if len(raw) > TAIL_BYTES:
            raise ValueError(f"a journal line of {len(raw)} bytes is too long")
        written = os.write(self._file, raw)
        if written != len(raw):
            os.ftruncate(self._file, self._size)
            raise OSError(f"no room for the journal in {self._folder}")
        self._size, self._seq, self._head = self._size + len(raw), line.seq, line.hash
        return line

    @property
    def head(self) -> str:
        """The hash that the next line will follow."""
        return self._head

    @property
    def position(self) -> Position:
        """The last line that this process knows of."""
        return Position(self._process, self._seq, self._head)

    @contextmanager
    def group(self) -> Iterator[None]:
        """Lines appended until the end of the `with` become durable together, by one sync."""
        self._grouped = True
        try:
            yield
        finally:
            self._grouped = False
            os.fsync(self._file)

    def close(self) -> None:
        """Let go of the file."""
        self._close()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._thread_lock:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def _catch_up(self) -> None:
        """Find the end of the chain. A torn last line was never acknowledged, and is cut off."""
        size = os.fstat(self._file).st_size
        tail = os.pread(self._file, TAIL_BYTES, max(0, size - TAIL_BYTES))
        torn = len(tail) - (tail.rfind(b"\n") + 1)
        if torn:
            os.ftruncate(self._file, size - torn)
            os.fsync(self._file)
        self._size = size - torn
        self._seq, self._head = 0, GENESIS
        for raw in reversed(tail[: len(tail) - torn].splitlines()):
            try:
                last = decoded(raw)
            except ValueError:
                continue  # spoiled on disk: the chain goes on from the last good line, and `greffier verify` names this
            self._seq, self._head = last.seq, last.hash
            return


def read(folder: Path, call_id: str | None = None) -> Iterator[JournalLine]:
    """Lines of all chains (of one call), chain by chain in order; unreadable lines are left to `verify_journal`."""
    for path in chains(folder):
        with path.open("rb") as file:
            for raw in file:
                if call_id is not None and call_id.encode() not in raw:
                    continue
                try:
                    line = decoded(raw)
                except ValueError:
                    continue
                if call_id in (None, line.call_id):
                    yield line


def chains(folder: Path) -> list[Path]:
    """The files of the processes' chains, without that of the checkpoints."""
    return sorted(path for path in folder.glob("*.jsonl") if path.stem != CHECKPOINTS)
