"""The clock that deadlines go by: each reading judged, changes journalled, what is believed kept for the next start.

The courier keeps it. The scribe only looks at it (`believed_ns`): both delete by the same time.
"""

from collections.abc import Callable

import structlog

from agent.config.retention import Retention
from agent.retain.clock import NS, Anchor, Doubt, Judged, Reading, Rules, Verdict, anchored, judge
from agent.store.catalog import Catalog
from agent.store.clock import ClockRow
from agent.store.journal import Journal

log = structlog.get_logger()

WRITE_EVERY_NS = 60 * NS
_KINDS = {Verdict.DOUBTED: "clock.doubted", Verdict.BACK: "clock.back", Verdict.ACCEPTED: "clock.accepted"}


class TrustedClock:
    """Keeps the belief. Everything raises OSError, sqlite3.Error."""

    def __init__(self, catalog: Catalog, journal: Journal, section: Retention, read: Callable[[], Reading]) -> None:
        self._catalog = catalog
        self._journal = journal
        self._rules = rules_of(section)
        self._read = read

    def now_ns(self) -> int:
        """UTC as far as it is believed."""
        reading = self._read()
        row = self._catalog.clock.row()
        before = anchor_of(row)
        judged = judge(before, reading, self._catalog.clock.newest_ns() if row is None else 0, self._rules)
        news = judged.verdict is not Verdict.GOOD and not (
            judged.verdict is Verdict.DOUBTED and before is not None and before.doubt == judged.anchor.doubt
        )
        if news:
            self._say(judged, reading)
        stale = row is None or row.boot_id != reading.boot_id or reading.boot_ns - row.written_ns >= WRITE_EVERY_NS
        if news or stale or (before is not None and before.doubt != judged.anchor.doubt):
            self._catalog.clock.set(row_of(judged.anchor, reading))
        return judged.utc_ns

    def _say(self, judged: Judged, reading: Reading) -> None:
        fields: dict[str, int] = {"ahead_s": judged.ahead_ns // NS, "clock_ns": reading.utc_ns}
        self._journal.append(
            _KINDS[judged.verdict],
            believed_ns=judged.utc_ns,
            synchronised=reading.synchronised,
            ahead_s=fields["ahead_s"],
            clock_ns=reading.utc_ns,
        )
        log.warning(_KINDS[judged.verdict], **fields)


def believed_ns(catalog: Catalog, section: Retention, reading: Reading) -> int:
    """UTC as far as it is believed, by somebody who does not keep the belief."""
    row = catalog.clock.row()
    return judge(anchor_of(row), reading, 0 if row else catalog.clock.newest_ns(), rules_of(section)).utc_ns


def confirm(catalog: Catalog, journal: Journal, actor: str, reading: Reading) -> None:
    """A person says that the clock is right."""
    journal.append("clock.confirmed", actor=actor, clock_ns=reading.utc_ns)
    catalog.clock.set(row_of(anchored(reading), reading))


def rules_of(section: Retention) -> Rules:
    """The configured limits."""
    return Rules(section.clock_jump * NS, section.clock_doubt * NS)


def anchor_of(row: ClockRow | None) -> Anchor | None:
    """What was believed."""
    if row is None:
        return None
    doubted = row.doubt_since_ns is not None and row.doubt_offset_ns is not None
    doubt = Doubt(int(row.doubt_since_ns or 0), int(row.doubt_offset_ns or 0)) if doubted else None
    return Anchor(row.utc_ns, row.boot_ns, row.boot_id, row.last_ns, doubt)


def row_of(anchor: Anchor, reading: Reading) -> ClockRow:
    """As the catalog keeps it."""
    doubt = anchor.doubt
    return ClockRow(
        anchor.utc_ns,
        anchor.boot_ns,
        anchor.boot_id,
        anchor.last_ns,
        reading.boot_ns,
        doubt.since_ns if doubt else None,
        doubt.offset_ns if doubt else None,
    )
