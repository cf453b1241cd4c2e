"""A box of which only the outbox, the catalog and the journal are there, and whose clocks a test moves."""

import hashlib
import os
import threading
from pathlib import Path

from agent.config.delivery import Courier as Pace
from agent.courier.lane import Lane
from agent.courier.valve import Valve
from agent.forward.destination import Destination
from agent.model.artifact import Artifact, Delivery
from agent.model.bandwidth import Bandwidth
from agent.model.purpose import ArtifactKind
from agent.policy.calendar import FRANCE
from agent.store.catalog import Catalog
from agent.store.journal import Journal, read

CALL = "0192" + "0" * 28
NO_LIMIT = Bandwidth()
PACE = Pace(poll_s=0.1, retry_first_s=1.0, retry_max_s=100.0)


class Site:
    """An outbox with catalog, journal and a clock that a test moves."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.catalog = Catalog(root / "state" / "catalog.sqlite3")
        self.journal_dir = root / "state" / "journal"
        self.outbox = root / "state" / "outbox"
        self.now_ns = 1_790_000_000_000_000_000
        self._journal = Journal(self.journal_dir, "courier", lambda: self.now_ns)

    def put(self, name: str, size: int = 1000, local_deadline_ns: int = 1 << 62, purpose: str = "training") -> Path:
        path = self.outbox / purpose / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = os.urandom(size)
        path.write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        created = self.now_ns + len(self.catalog.artifacts())
        self.catalog.add_artifact(
            Artifact(name, CALL, purpose, ArtifactKind.AUDIO, f"{purpose}/{name}", "audio/ogg", size, "p", digest,
                     created, local_deadline_ns, 0, "centre")
        )  # fmt: skip
        return path

    def lane(
        self, *destinations: Destination, order: tuple[str, ...] = ("evidence",), bandwidth: Bandwidth = NO_LIMIT
    ) -> Lane:
        """A lane whose clocks both are the test's."""
        monotonic = lambda: self.now_ns / 1e9  # noqa: E731
        valve = Valve("centre", bandwidth, FRANCE, self.catalog.lanes, lambda: self.now_ns, monotonic)
        return Lane(
            destinations, valve, order, PACE, self.outbox, self.catalog, self._journal, threading.Event(),
            lambda: self.now_ns, monotonic,
        )  # fmt: skip

    def states(self) -> dict[str, Delivery]:
        return {a.artifact_id: a.delivery for a in self.catalog.artifacts()}

    def lines(self, kind: str) -> list[str]:
        return [str(line.fields["path"]) for line in read(self.journal_dir) if line.kind == kind]
