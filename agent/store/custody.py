"""Custody of what is fetched: who received an artifact, when, by which line of the journal; and the receipt we gave."""

from dataclasses import asdict, dataclass

from sqlite_utils import Database

from agent.store.database import SharedDatabase


def tables(db: Database) -> None:
    """One row an artifact that was acknowledged."""
    columns = {
        "artifact_id": str,
        "received_by": str,
        "received_ns": int,
        "chain": str,
        "seq": int,
        "hash": str,
        "receipt": str,
    }
    db.execute(db.create_table_sql("custody", columns=columns, pk="artifact_id"))


@dataclass(frozen=True, slots=True)
class CustodyRow:
    """An artifact was received: by whom, when (UTC ns), and which line of the journal says so. `receipt`: what was
    signed about it, None until it is."""

    artifact_id: str
    received_by: str
    received_ns: int
    chain: str
    seq: int
    hash: str
    receipt: str | None = None


class Custody:
    """A part of the catalog; see `agent.store.catalog.Catalog.custody`."""

    def __init__(self, base: SharedDatabase) -> None:
        self._base = base

    def of(self, artifact_id: str) -> CustodyRow | None:
        """None before the artifact is acknowledged."""
        found = self._base.rows("SELECT * FROM custody WHERE artifact_id = ?", [artifact_id])
        return CustodyRow(**found[0]) if found else None

    def add(self, row: CustodyRow) -> None:
        """Raises sqlite3.IntegrityError when it is acknowledged already."""
        self._base.insert("custody", asdict(row))

    def keep_receipt(self, artifact_id: str, receipt: str) -> str:
        """The receipt of an artifact: this one, unless there is one already. Raises LookupError."""
        sql = "UPDATE custody SET receipt = coalesce(receipt, ?) WHERE artifact_id = ?"
        self._base.run(sql, [receipt, artifact_id])
        if (row := self.of(artifact_id)) is None or row.receipt is None:
            raise LookupError(f"artifact {artifact_id} was not received")
        return row.receipt
