"""Deleting local copies at their deadline: files first, then the lines that say so, then the catalog.

Killed between two steps, the next sweep writes the lines again rather than never. What is not yet at its destination is
not deleted: it is reported overdue, loudly, and waits (DESIGN I4 before I5; the delivery is retried meanwhile), until
its life at the centre would be over as well.
"""

from dataclasses import dataclass
from pathlib import Path

from agent.model.artifact import Artifact, Delivery
from agent.retain.holds import is_held
from agent.store.catalog import Catalog
from agent.store.journal import Entry, Journal
from agent.vault.secretfile import sync_folder

NS = 1_000_000_000
MOST_BATCHES = 20
"""A sweep ends after so many, so that its caller can look at the clock and stop."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did: local copies deleted, those overdue that still wait for delivery (the first of them), and calls
    forgotten."""

    deleted: tuple[Artifact, ...]
    overdue: tuple[Artifact, ...]
    forgotten: tuple[str, ...]


def sweep(catalog: Catalog, journal: Journal, outbox_dir: Path, now_ns: int) -> Swept:
    """Delete local copies whose deadline is not after `now_ns` (UTC as it is believed), unless a hold covers them."""
    deleted: list[Artifact] = []
    forgotten: list[str] = []
    for _ in range(MOST_BATCHES):
        due = catalog.retained.due(now_ns)
        if not due:
            break
        due = [artifact for artifact in due if not is_held(catalog, artifact)]  # a hold may have come meanwhile
        forgotten += _delete(catalog, journal, outbox_dir, due, now_ns)
        deleted += due
    return Swept(tuple(deleted), tuple(catalog.retained.overdue(now_ns)), tuple(forgotten))


def _delete(catalog: Catalog, journal: Journal, outbox_dir: Path, due: list[Artifact], now_ns: int) -> list[str]:
    paths = [outbox_dir / artifact.path for artifact in due]
    for path in paths:
        path.unlink(missing_ok=True)
    for folder in sorted({path.parent for path in paths}):
        if folder.is_dir():
            sync_folder(folder)
    journal.append_all([_line(artifact, now_ns) for artifact in due])
    return catalog.retained.deleted(
        [artifact.artifact_id for artifact in due], sorted({artifact.call_id for artifact in due}), now_ns
    )


def _line(artifact: Artifact, now_ns: int) -> Entry:
    unsent = artifact.delivery in (Delivery.WAITING, Delivery.POISONED)
    return Entry(
        "local.deleted",
        artifact.call_id,
        artifact.purpose,
        {
            "path": artifact.path,
            "cipher_sha256": artifact.cipher_sha256,
            "deadline_ns": artifact.local_deadline_ns,
            "late_s": (now_ns - artifact.local_deadline_ns) // NS,
            "reason": "its central deadline passed before it was sent" if unsent else "its local deadline passed",
        },
    )
