"""Journal lines about derivation, each written once even when the work is repeated after a kill.

Every line is written after the fact it states is durable. So a call the catalog knows nothing of has no lines, and for
any other the chain is read once to learn which lines exist.
"""

from pathlib import Path

from agent.store.journal import Journal, Position, read

_Said = set[tuple[str, str | None, str | None]]


class Testimony:
    """The scribe's journal, with a memory of what was said about each call in work."""

    def __init__(self, journal: Journal, journal_dir: Path) -> None:
        self._journal = journal
        self._folder = journal_dir
        self._said: dict[str, _Said] = {}

    def once(
        self, kind: str, call_id: str, purpose: str | None, key: str, **fields: str | int | float | bool | None
    ) -> None:
        """Append a line unless the call has one of this kind, purpose and key already."""
        said = self._recall(call_id)
        if (kind, purpose, key) not in said:
            self._journal.append(kind, call_id=call_id, purpose=purpose, key=key, **fields)
            said.add((kind, purpose, key))

    @property
    def position(self) -> Position:
        """Where the scribe's chain is."""
        return self._journal.position

    def forget(self, call_id: str) -> None:
        """The call is finalised."""
        self._said.pop(call_id, None)

    def fresh(self, call_id: str) -> None:
        """Nothing was said of this call yet: its end was projected by this very process."""
        self._said.setdefault(call_id, set())

    def _recall(self, call_id: str) -> _Said:
        if call_id not in self._said:
            self._said[call_id] = {
                (line.kind, line.purpose, str(key))
                for line in read(self._folder, call_id)
                if (key := line.fields.get("key")) is not None
            }
        return self._said[call_id]
