"""Records of finalised calls that may still be corrected: copied out of the capture log, encrypted as they were there.

`CALL/1.glog` is a segment (docs/capture-log.md) with the records of one call. So the log itself is pruned as ever, and
nobody who starts reads a day of other people's records. Without the call key a copy is noise.
"""

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from agent.capture.format import checksum
from agent.capture.reader import Cursor, Record, scan
from agent.capture.writer import SEGMENT_SUFFIX
from agent.scribe.outbox import FULL, OutboxFull
from agent.vault.secretfile import sync_folder


class Kept:
    """The copies, in `folder`. Everything raises OSError; OutboxFull where there is no room."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def copy(self, call_id: str, records: Iterable[Record]) -> None:
        """Copy the call's records; whole and durable when this returns."""
        home = self._folder / call_id
        home.mkdir(mode=0o750, parents=True, exist_ok=True)
        partial, target = home / ".partial", home / f"1{SEGMENT_SUFFIX}"
        partial.touch(mode=0o600)
        try:
            with partial.open("wb") as file:
                for record in records:
                    file.write(record.head + record.sealed + checksum(record.head + record.sealed))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            self.destroy(call_id)
            if error.errno in FULL:
                raise OutboxFull(error.errno, "no room for a copy", str(self._folder)) from None
            raise
        partial.rename(target)
        for folder in (home, self._folder):
            sync_folder(folder)

    def records(self, call_id: str) -> Iterator[Record]:
        """The call's records in order of the log."""
        for _, record in scan(self._folder / call_id, Cursor(0, 0)):
            yield record

    def destroy(self, call_id: str) -> None:
        """Delete the copy, if there is one."""
        shutil.rmtree(self._folder / call_id, ignore_errors=True)

    def calls(self) -> set[str]:
        """Calls that have a copy, whole or not."""
        return {path.name for path in self._folder.iterdir()} if self._folder.is_dir() else set()
