"""Checking what was forgotten: of each deletion a line of the journal, which the next checkpoint seals, says so."""

from agent.store.catalog import Catalog
from agent.store.journal import JournalLine
from agent.store.report import Report


class Deletions:
    """What the catalog says was deleted before the journal was read; `hear` its good lines, then `check`."""

    def __init__(self, catalog: Catalog) -> None:
        self._unsaid = {
            "local.deleted": set(catalog.retained.deleted_paths("local_deleted_ns")),
            "central.deleted": set(catalog.retained.deleted_paths("central_ended_ns")),
        }
        self._said = 0

    def hear(self, line: JournalLine) -> None:
        """Remember a line, if it is of a deletion."""
        paths = self._unsaid.get(line.kind)
        if paths is not None:
            self._said += 1
            paths.discard(str(line.fields.get("path")))

    def check(self, report: Report) -> None:
        """Each deletion has its line."""
        if self._said:
            report.count("deletions", self._said)
        for where, kind in (("here", "local.deleted"), ("at its destination", "central.deleted")):
            for path in sorted(self._unsaid[kind]):
                report.bad(path, f"was deleted {where}, and no line of the journal says so")
