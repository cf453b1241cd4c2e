"""Where in the capture log each unfinished call has its records: kept in RAM, rebuilt by one scan of headers at start.

It serves two ends: reading one call back without reading all others, and knowing which segments nobody needs.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from agent.capture.format import RecordHeader, RecordKind
from agent.capture.reader import Cursor, Record, scan

SEGMENT_GLOB = "*.glog"
NEAR_BYTES = 1 << 20
"""Up to here reading on is cheaper than opening the segment anew."""


class LogIndex:
    """Positions of the records of calls that are not finalised."""

    def __init__(self, capture_dir: Path) -> None:
        self._folder = capture_dir
        self._records: dict[str, list[Cursor]] = defaultdict(list)
        self._segments: dict[int, set[str]] = defaultdict(set)

    def note(self, at: Cursor, header: RecordHeader) -> None:
        """A record of the call begins at `at` (just after the record before it)."""
        self._segments[at.segment].add(header.call_id)
        if header.kind is not RecordKind.RESUME:
            self._records[header.call_id].append(at)

    def records(self, call_id: str) -> Iterator[Record]:
        """The call's records in order of the log, RESUME records left out; near ones are read in one sweep."""
        here = Cursor(-1, 0)
        sweep: Iterator[tuple[Cursor, Record]] = iter(())
        for at in tuple(self._records.get(call_id, ())):
            if at.segment != here.segment or not 0 <= at.offset - here.offset <= NEAR_BYTES:
                sweep = scan(self._folder, at)
            for here, record in sweep:
                if here > at:
                    if record.header.call_id == call_id:
                        yield record
                    break

    def calls(self) -> set[str]:
        """All calls that have records here."""
        return {call_id for held in self._segments.values() for call_id in held}

    def drop(self, call_id: str) -> None:
        """The call is finalised: nobody needs its records."""
        self._records.pop(call_id, None)
        for held in self._segments.values():
            held.discard(call_id)

    def prune(self, before: int) -> list[int]:
        """Delete segments numbered below `before` (all projected) that no unfinished call needs; never the newest."""
        found = sorted((int(p.stem), p) for p in self._folder.glob(SEGMENT_GLOB) if p.stem.isdigit())
        gone = []
        for number, path in found[:-1]:
            if number < before and not self._segments.get(number):
                path.unlink(missing_ok=True)
                self._segments.pop(number, None)
                gone.append(number)
        return gone
