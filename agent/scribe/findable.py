"""What the scribe tells the search index: texts of searchable purposes as they were filed, and what is due to go.

The index is a convenience: where its disk fails the call is finalised all the same, and its text cannot be searched.
"""

from collections.abc import Sequence

import structlog

from agent.model.artifact import Artifact
from agent.model.purpose import Purpose
from agent.model.text import Transcript
from agent.scribe.text import Voice, speaker
from agent.search.index import Index
from agent.search.shard import Line

log = structlog.get_logger()


class Findable:
    """The scribe's hand on the index."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def put(self, filed: Artifact, purpose: Purpose, voices: Sequence[Voice], transcript: Transcript) -> None:
        """Make a transcript as this purpose sees it findable, if the purpose is searchable. Raises sqlite3.Error."""
        if not purpose.searchable:
            return
        said = [
            Line(filed.artifact_id, filed.call_id, _name(speaker(voices, s.channel, s.start_s)), s.start_s, s.text)
            for s in transcript.segments
        ]
        try:
            self._index.put(filed.artifact_id, filed.call_id, purpose.name, said)
        except OSError as error:
            log.error("search.unindexed", call=filed.call_id, purpose=purpose.name, error=str(error))

    def sweep(self, purposes: Sequence[Purpose]) -> None:
        """Take out what is due. Raises OSError, sqlite3.Error."""
        if gone := self._index.sweep({p.name for p in purposes if p.searchable}):
            log.info("search.removed", texts=gone)


def _name(voice: Voice | None) -> str:
    return f"{voice.role} {voice.ref}" if voice else "other"
