"""An outbox and a catalog that a test fills by itself, a courier beside them, and the site's word for the receipt
key."""

import hashlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from running_site import wait_for

from agent.config import Settings, load
from agent.model.artifact import Artifact, Delivery
from agent.model.purpose import ArtifactKind
from agent.scribe.receiptkey import certify_receipt_key
from agent.store.catalog import Catalog
from agent.store.journal import Journal, JournalLine, read
from agent.store.rows import CorrectionRow
from agent.vault.signing import SiteKey

PULLED = """
[destination.archive]
kind = "pull"
[destination.centre]
kind = "folder"
path = "centre"
[courier]
poll_s = 0.1
"""
"""Sections of a desk's configuration: what is fetched, and what is not."""

CALL = "0192" + "0" * 28
NEVER_NS = 1 << 62


class OutboxSite:
    """Files artifacts of purposes that are fetched. `now_ns` grows by a second with each."""

    def __init__(self, config: Path) -> None:
        self.config = config
        self.settings: Settings = load(config)
        self.catalog = Catalog(self.settings.catalog_path)
        self.contents: dict[str, bytes] = {}
        self._made = 0

    def put(
        self, purpose: str = "evidence", size: int = 1000, kind: str = "audio", call: str = CALL, where: str = "archive"
    ) -> Artifact:
        """One more."""
        self._made += 1
        path = f"{purpose}/{call}.{kind}-{self._made}.bin.age"
        data = os.urandom(size)
        file = self.settings.outbox_dir / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        artifact = Artifact(
            hashlib.sha256(path.encode()).hexdigest()[:32],
            call,
            purpose,
            ArtifactKind(kind),
            path,
            "audio/flac",
            size,
            hashlib.sha256(b"plain" + data).hexdigest(),
            hashlib.sha256(data).hexdigest(),
            time.time_ns(),
            NEVER_NS,
            0,
            where,
        )
        self.catalog.add_artifact(artifact)
        self.contents[artifact.artifact_id] = data
        return artifact

    def delivery(self, artifact: Artifact) -> Delivery:
        """As the catalog has it now."""
        return self.catalog.artifact(artifact.artifact_id).delivery

    def ask_mask(self, call: str, purpose: str = "evidence") -> CorrectionRow:
        """A mask of everything of a call, as `greffier mask` asks for it."""
        self.catalog.corrections.ask([CorrectionRow(call, purpose, "mask", 0, 8000, "cli:test", "r", time.time_ns())])
        return self.catalog.corrections.of_call(call)[-1]

    def lines(self, kind: str) -> list[JournalLine]:
        """Of the journal."""
        return [line for line in read(self.settings.journal_dir) if line.kind == kind]

    def certify(self) -> SiteKey:
        """As the scribe does, with a site key made now."""
        path = self.settings.site.keys_dir / "site.pem"
        site_key = SiteKey.load(path) if path.exists() else SiteKey.create(path)
        journal = Journal(self.settings.journal_dir, "scribe", time.time_ns)

        def done() -> bool:
            return certify_receipt_key(self.settings, site_key, time.time_ns(), journal)

        wait_for("the desk to have a receipt key", done)
        return site_key


@contextmanager
def running_courier(site: OutboxSite, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m agent.courier`, answering at its counter."""
    with log.open("ab") as output:
        command = [sys.executable, "-m", "agent.courier", "--config", site.config]
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        wait_for("the courier's counter", lambda: _answers(site.settings.courier_socket))
        yield process
    finally:
        process.terminate()
        process.wait(30)


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as asker:
        try:
            asker.connect(str(path))
        except OSError:
            return False
    return True
