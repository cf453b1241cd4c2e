"""A box of which only what delivers is real and there: configuration, catalog, journal, an outbox, and the courier.

Artifacts are filed as the scribe files them (encrypted, synced, in the catalog, in the journal); what is in them is
random, because nothing here depends on it.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from agent.config import load
from agent.config.budget import budget_of
from agent.model.artifact import Artifact
from agent.model.purpose import ArtifactKind
from agent.scribe.allowance import Allowance
from agent.scribe.filing import Filing
from agent.scribe.testimony import Testimony
from agent.store.catalog import Catalog
from agent.store.journal import Journal
from agent.store.rows import CallRow
from agent.vault.age import new_identity

PURPOSES = ("evidence", "training", "analytics")
ENDINGS = {
    ArtifactKind.AUDIO: ("opus", "audio/ogg"),
    ArtifactKind.TRANSCRIPT: ("json", "application/json"),
    ArtifactKind.MANIFEST: ("json", "application/json"),
}
_SITE = """
[site]
state_dir = "state"
run_dir = "run"
"""
_PURPOSE = """
[purpose.{name}]
trigger = "all"
artifacts = ["audio", "transcript"]
recipients_file = "{name}.txt"
destination = "centre"
local_retention = "7 days"
"""

Contents = Mapping[ArtifactKind, int]
"""Kinds, and how many bytes each has before it is encrypted."""


class Box:
    """Under `folder`; `more` is added to the configuration, and says what `[destination.centre]` is."""

    def __init__(self, folder: Path, more: str, clock_ns: Callable[[], int] = time.time_ns) -> None:
        folder.mkdir(parents=True)
        text = _SITE + more
        self.secrets: dict[str, str] = {}
        for name in PURPOSES:
            identity = new_identity()
            self.secrets[name] = identity.secret
            (folder / f"{name}.txt").write_text(identity.recipient + "\n", encoding="ascii")
            text += _PURPOSE.format(name=name)
        self.config = folder / "greffier.toml"
        self.config.write_text(text, encoding="utf-8")
        self.settings = load(self.config)
        self.catalog = Catalog(self.settings.catalog_path)
        self.outbox = self.settings.outbox_dir
        self._purposes = {purpose.name: purpose for purpose in self.settings.purposes()}
        self._clock_ns = clock_ns
        journals = self.settings.journal_dir
        journal = Journal(journals, "scribe", clock_ns)
        self._testimony = Testimony(journal, journals)
        allowance = Allowance(budget_of(self.settings.purpose, self.settings.courier), self.catalog.lanes, journal)
        self._filing = Filing(self.outbox, self.catalog, self._testimony, clock_ns, allowance)

    def file(self, call_id: str, parts: Mapping[str, Contents]) -> list[Artifact]:
        """A call that is over, with these parts of each purpose."""
        now_ns = self._clock_ns()
        self.catalog.start_call(
            CallRow(call_id, "", "siprec", "bench", "inbound", None, None, now_ns, now_ns, "bye", "ended", 0)
        )
        self._testimony.fresh(call_id)
        filed = self._filing.of_call(call_id)
        for purpose, contents in parts.items():
            for kind, size in contents.items():
                ending, media_type = ENDINGS[kind]
                self._filing.file(
                    *(call_id, self._purposes[purpose], kind, 1, ending, media_type),
                    make=lambda size=size: os.urandom(size),  # type: ignore[misc]
                    filed=filed,
                )
        self._testimony.forget(call_id)
        self.catalog.set_state(call_id, "finalised")
        return list(filed.values())

    @property
    def waiting(self) -> int:
        """Artifacts that are not at their destination."""
        return sum(row.files for row in self.catalog.lanes.queue())

    @contextmanager
    def courier(self) -> Iterator[subprocess.Popen[bytes]]:
        """The real process, gone at the end."""
        command = [sys.executable, "-m", "agent.courier", "--config", str(self.config)]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            try:
                yield process
            finally:
                process.terminate()


def memory_folder() -> str | None:
    """Where a benchmark that is not of the disk has its files: in memory, if there is such a place with a GiB free."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or not os.access(memory, os.W_OK):
        return None
    stat = os.statvfs(memory)
    return str(memory) if stat.f_bavail * stat.f_frsize > 1 << 30 else None
