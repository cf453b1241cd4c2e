"""Capture files, read forward in bounded memory: pcap (draft-ietf-opsawg-pcap) and pcapng, plain or gzip'd.

Read, never mapped: a file that somebody cuts short meanwhile must not take the recorder down. The walk from record to
record is a loop over integers; everything behind it works by column.
"""

import gzip
import io
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, cast

from agent.media.block import Frames
from agent.media.pcaplinks import Batch
from agent.media.pcapng import SECTION, sections

CHUNK_BYTES = 1 << 20
MOST_FRAME_BYTES = 1 << 18
"""No capture program writes longer frames; a longer one is a length field gone wrong."""

_GZIP = b"\x1f\x8b"
_HEADER_BYTES, _RECORD_BYTES = 24, 16
_FRACTIONS = {0xA1B2C3D4: 1000, 0xA1B23C4D: 1}
"""By magic number: how many ns a unit of the second timestamp field has."""


class NotACapture(ValueError):
    """The file begins like none that is read here."""


class CaptureFile:
    """The frames of one file. `frames` may be gone through once.

    `packets` counts those read so far; `cut` those the capture program kept only the beginning of; `unread` those of a
    link type nobody here knows; `problem` says in words why reading ended before the end of the file ("" when it did
    not). Nothing raises on content but the constructor: NotACapture.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._batch = Batch()
        self.problem = ""
        start = self._read(4)
        if start[:2] == _GZIP:
            self._file = cast(BinaryIO, gzip.GzipFile(fileobj=io.BufferedReader(_Rest(start, file))))
            start = self._read(4)
        self._start = start
        if start == SECTION:
            return
        for order in "<>":
            magic = int.from_bytes(start, "little" if order == "<" else "big")
            if magic in _FRACTIONS:
                self._order, self._unit_ns = order, _FRACTIONS[magic]
                return
        raise NotACapture("not a capture file: neither pcap nor pcapng, plain or gzip'd")

    @property
    def packets(self) -> int:
        """Packets read so far."""
        return self._batch.packets

    @property
    def cut(self) -> int:
        """Packets of which the capture program kept only the beginning."""
        return self._batch.cut

    @property
    def unread(self) -> int:
        """Packets of a link type that is not read."""
        return self._batch.unread

    def frames(self) -> Iterator[Frames]:
        """Blocks of at most `pcaplinks.MOST_PACKETS` frames that lie within `pcaplinks.SLICE_NS` of each other."""
        if self._start == SECTION:
            try:
                yield from sections(self._start, self._read, self._batch)
            except ValueError as error:
                self.problem = self.problem or str(error)
        else:
            yield from self._records()
        if (last := self._batch.take()) is not None:
            yield last

    def _records(self) -> Iterator[Frames]:
        batch, record = self._batch, struct.Struct(self._order + "4I")
        header = self._read(_HEADER_BYTES - 4)
        if len(header) < _HEADER_BYTES - 4:
            self.problem = self.problem or "the file ends within its header"
            return
        link = struct.unpack_from(self._order + "I", header, 16)[0] & 0xFFFF
        rest = b""
        while chunk := self._read(CHUNK_BYTES):
            data = rest + chunk
            at, limit = 0, len(data)
            batch.begin(data)
            while at + _RECORD_BYTES <= limit:
                seconds, fraction, captured, original = record.unpack_from(data, at)
                start, stop = at + _RECORD_BYTES, at + _RECORD_BYTES + captured
                if captured > MOST_FRAME_BYTES:
                    self.problem = f"damaged: a packet of {captured} bytes; what follows cannot be read"
                    return
                if stop > limit:
                    break
                if full := batch.add(link, start, stop, seconds * 1_000_000_000 + fraction * self._unit_ns, original):
                    yield full
                at = stop
            if (full := batch.take()) is not None:
                yield full
            rest = data[at:]
        if rest:
            self.problem = self.problem or "the file ends within a packet"

    def _read(self, size: int) -> bytes:
        """Up to `size` bytes, less only at the end; what cannot be unpacked or read any more is an end, and said."""
        try:
            return self._file.read(size)
        except (OSError, EOFError, zlib.error) as error:
            self.problem = f"cannot be read to its end: {error}"
            return b""


class _Rest(io.RawIOBase):
    """A file of which the first bytes were read already."""

    def __init__(self, start: bytes, file: BinaryIO) -> None:
        self._start, self._file = start, file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._start[: len(buffer)] or self._file.read(len(buffer))
        self._start = self._start[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)
