"""How finalised calls were heard, read from the catalog without the means to change it: for those who only count."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.model.call import MediaStream
from agent.model.media import StreamCounts
from agent.model.quality import ChannelQuality
from agent.model.wire import load

CHANNELS: Any = tuple[ChannelQuality, ...]
BUSY_S = 1.0


@dataclass(frozen=True, slots=True)
class HeardCall:
    """One finalised call. `number` grows from call to call in the order they were finalised."""

    number: int
    channels: tuple[ChannelQuality, ...]
    streams: tuple[tuple[MediaStream, StreamCounts], ...]


class HeardCalls:
    """Reads the catalog at `path`. Everything raises sqlite3.Error when there is none yet, or it cannot be read."""

    def __init__(self, path: Path) -> None:
        self._uri = f"{path.absolute().as_uri()}?mode=ro"

    def last(self) -> int:
        """The number of the newest; 0 when there is none."""
        with closing(self._open()) as db:
            return int(db.execute("SELECT coalesce(max(id), 0) FROM quality").fetchone()[0])

    def since(self, last: int, most: int = 1000) -> list[HeardCall]:
        """Up to `most` calls behind number `last`, in order."""
        with closing(self._open()) as db:
            sql = "SELECT id, call_id, channels FROM quality WHERE id > ? ORDER BY id LIMIT ?"
            found = db.execute(sql, [last, most]).fetchall()
            counts = "SELECT stream, counts FROM counts WHERE call_id = ? ORDER BY number"
            return [
                HeardCall(
                    number,
                    load(CHANNELS, channels),
                    tuple((load(MediaStream, s), load(StreamCounts, c)) for s, c in db.execute(counts, [call_id])),
                )
                for number, call_id, channels in found
            ]

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self._uri, uri=True, timeout=BUSY_S)
