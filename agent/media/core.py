"""The compiled core (core.c), bound by ctypes: reads a ring's headers, and places what is just the next of its stream.

What it does and what numpy does is the same to the last bit. It is used where it was compiled.
"""

import ctypes
from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import structlog

from agent.media.block import PacketBlock
from agent.media.columns import Columns
from agent.media.compiling import LIBRARY, digest
from agent.media.endpoint import KeyTable
from agent.media.timing import Timing

Choice = Literal["auto", "c", "numpy"]
"""Which core is wanted: "auto" is the compiled one where there is one."""
log = structlog.get_logger()

_RUN_WORDS = 8
"""Of 8 bytes, in `struct run`."""


class CoreMissing(RuntimeError):
    """There is no compiled core to be had; says why."""


MEND = "install a C compiler (apt install gcc libc6-dev), then Greffier again: its core is compiled then"
"""What to do then."""


class _Block(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64) for name in ("packets", "bytes")] + [
        (name, ctypes.c_void_p) for name in ("memory", "start", "length", "destination", "source", "arrival_ns")
    ]


class _Table(ctypes.Structure):
    _fields_ = [
        ("shift", ctypes.c_uint64),
        ("mask", ctypes.c_uint64),
        ("keys", ctypes.c_void_p),
        ("values", ctypes.c_void_p),
    ]


class _Columns(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64) for name in ("rows", "room")] + [
        (name, ctypes.c_void_p)
        for name in (
            *("start", "source", "since_ns", "dead_ssrc", "current", "rate", "ssrc", "origin_ns"),
            *("low", "end", "covered", "high", "accounted", "packet", "ref_ts", "ref_position", "last_ns"),
            *("received", "placed", "where", "locked", "barred", "framed", "kinds", "seen", "buffer"),
        )
    ]


class _Timing(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_void_p)
        for name in (
            *("transit", "lowest", "window_ns", "first", "first_ns", "last", "last_ns", "least", "least_ns"),
            *("lagging", "jitter", "jitter_max"),
        )
    ]


@cache
def load() -> ctypes.CDLL:
    """The library that was made of core.c as it is here. Raises CoreMissing."""
    if not LIBRARY.exists():
        raise CoreMissing("core.c was not compiled")
    try:
        library = ctypes.CDLL(str(LIBRARY))
        made_of = ctypes.string_at(ctypes.addressof(ctypes.c_char.in_dll(library, "greffier_source")))
        place, walk = library.greffier_place, library.greffier_walk
    except (OSError, ValueError, AttributeError) as error:
        raise CoreMissing(f"{LIBRARY.name} cannot be used: {error}") from error
    if made_of != digest():
        raise CoreMissing(f"{LIBRARY.name} was made of another core.c")
    place.argtypes = [ctypes.c_void_p] * 8
    walk.argtypes = [ctypes.c_void_p, *[ctypes.c_int64] * 5, ctypes.c_void_p, ctypes.c_int64]
    place.restype = walk.restype = ctypes.c_int64
    return library


def open_core(wanted: Choice, columns: Columns, timing: Timing, table: KeyTable) -> "Core | None":
    """The core of an engine, None where numpy does its work. Raises CoreMissing if "c" is wanted and missing."""
    if wanted == "numpy":
        return None
    try:
        return Core(columns, timing, table)
    except CoreMissing as missing:
        if wanted == "c":
            raise
        log.warning("media.no_core", why=str(missing), instead="numpy, at twice the cost")
        return None


class Core:
    """Places packets in `columns` and notes their `timing`; `table` has their rows. Raises CoreMissing."""

    def __init__(self, columns: Columns, timing: Timing, table: KeyTable) -> None:
        self._place = load().greffier_place
        self._arrays = columns, timing  # which the pointers below need to live
        self._columns, self._timing = _Columns(), _Timing()
        self._columns.rows, self._columns.room = columns.rows, columns.room
        for struct, whole in ((self._columns, columns), (self._timing, timing)):
            for name, *kind in struct._fields_:
                if kind == [ctypes.c_void_p]:
                    setattr(struct, name, _address(getattr(whole, name)))
        self._table = table
        self._runs = np.zeros((columns.rows, _RUN_WORDS), np.int64)
        self._touched = np.zeros(columns.rows, np.int64)
        self._row, self._left = np.zeros(0, np.int64), np.zeros(0, np.bool_)

    def place(self, block: PacketBlock) -> PacketBlock:
        """Take in each stream of which every packet is just the next; returns the packets of all others."""
        count = len(block)
        if count > len(self._row):
            self._row, self._left = np.zeros(2 * count, np.int64), np.zeros(2 * count, np.bool_)
        numbers = (block.start, block.length, block.destination, block.source, block.arrival_ns)
        memory = np.ascontiguousarray(block.memory)
        columns = [np.ascontiguousarray(one, np.int64) for one in numbers]
        packets = _Block(count, len(memory), _address(memory), *(_address(one) for one in columns))
        keys, values, shift = self._table.slots
        slots = _Table(shift, len(keys) - 1, _address(keys), _address(values))
        left = self._place(
            *(ctypes.addressof(struct) for struct in (packets, slots, self._columns, self._timing)),
            *(_address(scratch) for scratch in (self._runs, self._touched, self._row, self._left)),
        )
        return block if left == count else block.take(self._left[:count])


def open_walker(wanted: Choice, most: int) -> "Walker | None":
    """As `open_core`, for a ring; says nothing when there is none."""
    if wanted == "numpy":
        return None
    try:
        return Walker(most)
    except CoreMissing:
        if wanted == "c":
            raise
        return None


class Walker:
    """Reads the headers of at most `most` packets of a ring. Raises CoreMissing."""

    def __init__(self, most: int) -> None:
        self._walk = load().greffier_walk
        self._columns = np.empty((5, most), np.int64)

    def read(
        self, memory: npt.NDArray[np.uint8], blocks: Sequence[tuple[int, int, int]], clock_ns: int, now_ns: int
    ) -> PacketBlock | None:
        """The UDP packets of these kernel blocks: where in memory its first packet is and it ends, and how many it has.

        None if there is any that is not plain (`agent.media.frames.parse`), or more than there is room for. `clock_ns`:
        what the clock of the ring is ahead of the monotonic one; nothing came later than `now_ns`. The arrays are used
        again by the next `read`.
        """
        read, room = 0, self._columns.shape[1]
        start, to = _address(memory), _address(self._columns)
        for first, end, count in blocks:
            if count > room - read:
                return None
            if self._walk(start, first, end, count, clock_ns, now_ns, to + 8 * read, room) < count:
                return None
            read += count
        return PacketBlock(memory, *self._columns[:, :read])


def _address(array: npt.NDArray[Any]) -> int:
    address: int = array.__array_interface__["data"][0]
    return address
