"""Taking artifacts back: those that are still here are deleted, and of those that may have left a tombstone is sent.

A tombstone is a signed JSON document (`greffier-tombstone-1`) for the same readers at the same destination: it names
what must be destroyed there, by path and digest, and says why. Every step may be repeated after a kill.
"""

from collections.abc import Callable, Sequence

from agent.model.artifact import Artifact
from agent.model.purpose import ArtifactKind, Purpose
from agent.scribe.filing import Filed, Filing
from agent.scribe.testimony import Testimony
from agent.store.catalog import Catalog
from agent.store.rows import CorrectionRow
from agent.vault.manifest import sign_manifest
from agent.vault.secretfile import sync_folder
from agent.vault.signing import SiteKey

FORMAT = "greffier-tombstone-1"


class Withdrawal:
    """Withdraws artifacts of one purpose and call at a time."""

    def __init__(
        self,
        site: str,
        catalog: Catalog,
        filing: Filing,
        testimony: Testimony,
        site_key: SiteKey,
        clock_ns: Callable[[], int],
    ) -> None:
        self._site = site
        self._catalog = catalog
        self._filing = filing
        self._testimony = testimony
        self._site_key = site_key
        self._clock_ns = clock_ns

    def stop(self, artifacts: Sequence[Artifact]) -> list[Artifact]:
        """Hand none of them to a destination any more. Returns those that may be there already."""
        for artifact in artifacts:
            self._catalog.corrections.withdraw(artifact.artifact_id, self._clock_ns())
        return [a for a in artifacts if self._catalog.corrections.may_have_left(a.artifact_id)]

    def entomb(self, left: Sequence[Artifact], purpose: Purpose, row: CorrectionRow, number: int, filed: Filed) -> None:
        """Send word of what must be destroyed at the destination; nothing when nothing left."""
        if not left:
            return
        self._filing.file(
            row.call_id,
            purpose,
            ArtifactKind.TOMBSTONE,
            number,
            "json",
            "application/json",
            lambda: sign_manifest(
                {
                    "format": FORMAT,
                    "call": row.call_id,
                    "site": self._site,
                    "purpose": purpose.name,
                    "verb": row.verb,
                    "actor": row.actor,
                    "reason": row.reason,
                    "asked_ns": row.at_ns,
                    "made_ns": self._clock_ns(),
                    "destroy": [
                        {
                            "artifact": a.artifact_id,
                            "kind": a.kind.value,
                            "path": a.path,
                            "cipher_sha256": a.cipher_sha256,
                            "plain_sha256": a.plain_sha256,
                        }
                        for a in left
                    ],
                },
                self._site_key,
            ),
            filed,
        )

    def destroy(self, artifacts: Sequence[Artifact], reason: str) -> None:
        """Delete the local copies: file first, then the line that says so, then the catalog."""
        for artifact in artifacts:
            if not self._catalog.is_local(artifact.artifact_id):
                continue
            path = self._filing.outbox_dir / artifact.path
            path.unlink(missing_ok=True)
            if path.parent.is_dir():
                sync_folder(path.parent)
            self._testimony.once(
                "local.deleted",
                artifact.call_id,
                artifact.purpose,
                artifact.path,
                path=artifact.path,
                cipher_sha256=artifact.cipher_sha256,
                reason=reason,
            )
            self._catalog.mark_local_deleted(artifact.artifact_id, self._clock_ns())
