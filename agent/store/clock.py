"""The moment from which time is counted, where all processes and the next start find it (`agent.retain.clock`)."""

from dataclasses import asdict, dataclass

from sqlite_utils import Database

from agent.store.database import SharedDatabase


def tables(db: Database) -> None:
    """One row: what was believed of the clock."""
    columns = {"name": str, "utc_ns": int, "boot_ns": int, "boot_id": str, "last_ns": int, "written_ns": int}
    columns |= {"doubt_since_ns": int, "doubt_offset_ns": int}
    db.execute(db.create_table_sql("clock", columns=columns, pk="name"))


@dataclass(frozen=True, slots=True)
class ClockRow:
    """See `agent.retain.clock.Anchor`; `written_ns` is the time since the machine's start at which it was written."""

    utc_ns: int
    boot_ns: int
    boot_id: str
    last_ns: int
    written_ns: int
    doubt_since_ns: int | None
    doubt_offset_ns: int | None


class Clock:
    """A part of the catalog; see `agent.store.catalog.Catalog.clock`."""

    def __init__(self, base: SharedDatabase) -> None:
        self._base = base

    def row(self) -> ClockRow | None:
        """None before the first sweep."""
        found = self._base.rows(
            "SELECT utc_ns, boot_ns, boot_id, last_ns, written_ns, doubt_since_ns, doubt_offset_ns FROM clock"
        )
        return ClockRow(**found[0]) if found else None

    def set(self, row: ClockRow) -> None:
        """The row from now on."""
        self._base.insert("clock", {"name": "deadlines", **asdict(row)}, replace=True)

    def newest_ns(self) -> int:
        """The newest time that the catalog knows of; 0 when it is empty."""
        sql = (
            "SELECT max(coalesce((SELECT max(started_ns) FROM calls), 0), coalesce((SELECT max(at_ns) FROM marks), 0))"
        )
        return int(next(iter(self._base.rows(f"{sql} AS newest")))["newest"])
