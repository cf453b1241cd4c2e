"""Deleting local copies at their deadline: file first, then the line that says so, then the catalog.

Killed between two steps, the next sweep writes the line again rather than never. What is not yet at its destination is
never deleted: it is reported overdue, loudly, and waits (DESIGN I4 before I5; the delivery is retried meanwhile).
"""

from dataclasses import dataclass
from pathlib import Path

from agent.model.artifact import Artifact, Delivery
from agent.store.catalog import Catalog
from agent.store.journal import Journal
from agent.vault.secretfile import sync_folder


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did: local copies deleted, those overdue that still wait for delivery, and calls forgotten."""

    deleted: tuple[Artifact, ...]
    overdue: tuple[Artifact, ...]
    forgotten: tuple[str, ...]


def sweep(catalog: Catalog, journal: Journal, outbox_dir: Path, now_ns: int) -> Swept:
    """Delete every local copy whose deadline is not after `now_ns` (UTC), unless its call is under a legal hold."""
    due = catalog.due_local(now_ns)
    overdue = tuple(a for a in due if a.delivery in (Delivery.WAITING, Delivery.POISONED))
    deleted = tuple(a for a in due if a not in overdue)
    for artifact in deleted:
        path = outbox_dir / artifact.path
        path.unlink(missing_ok=True)
        if path.parent.is_dir():
            sync_folder(path.parent)
        journal.append(
            "local.deleted",
            call_id=artifact.call_id,
            purpose=artifact.purpose,
            path=artifact.path,
            cipher_sha256=artifact.cipher_sha256,
            deadline_ns=artifact.local_deadline_ns,
            reason="its local deadline passed",
        )
        catalog.mark_local_deleted(artifact.artifact_id, now_ns)
    return Swept(deleted, overdue, _forget(catalog, {a.call_id for a in deleted}))


def _forget(catalog: Catalog, calls: set[str]) -> tuple[str, ...]:
    """Finalised calls of which nothing is left here are so marked."""
    gone = []
    for call_id in sorted(calls):
        try:
            finalised = catalog.find_call(call_id).state == "finalised"
        except LookupError:  # a catalog restored from an older copy; the artifacts were deleted all the same
            continue
        if finalised and not catalog.artifacts(call_id=call_id, local=True):
            catalog.set_state(call_id, "forgotten")
            gone.append(call_id)
    return tuple(gone)
