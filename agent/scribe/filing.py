"""Filing an artifact: encrypted to its readers, in the outbox, the catalog, the journal; each once, in this order.

Killed anywhere, it is filed again under the same name: what has a row is never made again; what has none is made again;
a missing line is found missing and written. Files of a later revision carry its number: `audio-2.flac`.
"""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

from agent.model.artifact import Artifact, Delivery
from agent.model.purpose import ArtifactKind, Purpose
from agent.policy.permit import central_deadline_ns, local_deadline_ns
from agent.scribe import outbox
from agent.scribe.allowance import Allowance
from agent.scribe.testimony import Testimony
from agent.store.catalog import Catalog
from agent.vault import age

_NUMBERED = re.compile(r"[^.]*\.[a-z]+-([0-9]+)\.")
Filed = dict[str, Artifact]
"""The artifacts of a call by path."""


class Filing:
    """Files into `outbox_dir`."""

    def __init__(
        self,
        outbox_dir: Path,
        catalog: Catalog,
        testimony: Testimony,
        clock_ns: Callable[[], int],
        allowance: Allowance | None = None,
    ) -> None:
        self.outbox_dir = outbox_dir
        self._catalog = catalog
        self._testimony = testimony
        self._clock_ns = clock_ns
        self._allowance = allowance

    def of_call(self, call_id: str) -> Filed:
        """What is filed already; lines that a kill left unwritten are written."""
        filed = {a.path: a for a in self._catalog.artifacts(call_id=call_id)}
        for artifact in filed.values():
            if artifact.kind is not ArtifactKind.TIMESTAMP:  # the courier's, who says so itself
                self._told(artifact)
        return filed

    def file(
        self,
        call_id: str,
        purpose: Purpose,
        kind: ArtifactKind,
        number: int,
        ending: str,
        media_type: str,
        make: Callable[[], bytes],
        filed: Filed,
    ) -> Artifact:
        """File what `make` returns unless it is filed; `number` is that of the revision, or version of a manifest.

        Raises NoRoom, OutboxFull, or whatever the catalog raises. Corrections and tombstones always have room.
        """
        path = path_of(call_id, purpose, kind, number, ending)
        artifact = filed.get(path)
        if artifact is None:
            plain = make()
            cipher = age.encrypt(plain, purpose.recipients)
            if self._allowance is not None and number == 1 and kind is not ArtifactKind.TOMBSTONE:
                self._allowance.take(purpose.name, len(cipher))
            outbox.write(self.outbox_dir, path, cipher)
            made_ns = self._clock_ns()
            artifact = Artifact(
                artifact_id=hashlib.sha256(path.encode()).hexdigest()[:32],
                call_id=call_id,
                purpose=purpose.name,
                kind=kind,
                path=path,
                media_type=media_type,
                size_bytes=len(cipher),
                plain_sha256=hashlib.sha256(plain).hexdigest(),
                cipher_sha256=hashlib.sha256(cipher).hexdigest(),
                created_ns=made_ns,
                local_deadline_ns=local_deadline_ns(purpose, made_ns),
                central_deadline_ns=central_deadline_ns(purpose, made_ns),
                destination=purpose.destination,
                delivery=Delivery.WAITING if purpose.destination else Delivery.LOCAL_ONLY,
            )
            self._catalog.add_artifact(artifact)
            filed[path] = artifact
        self._told(artifact)
        return artifact

    def _told(self, artifact: Artifact) -> None:
        self._testimony.once(
            "derived",
            artifact.call_id,
            artifact.purpose,
            artifact.path,
            path=artifact.path,
            cipher_sha256=artifact.cipher_sha256,
            size=artifact.size_bytes,
        )


def path_of(call_id: str, purpose: Purpose, kind: ArtifactKind, number: int, ending: str) -> str:
    """The artifact's path in the outbox and at its destination."""
    name = kind.value if number == 1 else f"{kind.value}-{number}"
    return f"{purpose.name}/{call_id}.{name}.{ending}.age"


def number_of(artifact: Artifact) -> int:
    """The revision (of a manifest: version) that its path says."""
    found = _NUMBERED.match(artifact.path.rsplit("/", 1)[-1])
    return int(found[1]) if found else 1
