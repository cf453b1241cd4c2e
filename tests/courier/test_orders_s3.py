"""Orders to a server that really locks (RADOS Gateway): held, released, deleted, and refused until a lock ends."""

import hashlib
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from holding import hold, lift
from rados_gateway import RadosGateway
from servers import Uploads, s3_section, write_credentials

from agent.config.delivery import Courier as Pace
from agent.courier.orders import REFUSED_S, Orders
from agent.forward.destination import Terms
from agent.forward.s3 import S3Destination
from agent.model.artifact import Artifact, Delivery
from agent.model.purpose import ArtifactKind
from agent.store.catalog import Catalog
from agent.store.journal import Journal, read

pytestmark = pytest.mark.slow
CALL, OTHER = "0192" + "0" * 28, "0192" + "1" * 28
NS, PART = 10**9, 5 << 20
LOCK_S = 6
"""Of the object that is locked: long enough to be tried once meanwhile."""


class Vault:
    """A bucket that locks, a catalog of what was sent there, and orders by a clock that a test moves."""

    def __init__(self, gateway: RadosGateway, root: Path, bucket: str) -> None:
        gateway.make_bucket(bucket, locks=True)
        self.client, self.bucket = gateway.client(), bucket
        section = s3_section(gateway, write_credentials(root / "s3.toml"), bucket, object_lock="governance")
        self.root, self.destination = root, S3Destination("vault", section, PART)
        self.catalog, self.journal_dir = Catalog(root / "catalog.sqlite3"), root / "journal"
        self.now_ns = self.deadline_ns = time.time_ns()
        journal = Journal(self.journal_dir, "courier", lambda: self.now_ns)
        clocks: tuple[Callable[[], int], Callable[[], int]] = (lambda: self.now_ns, lambda: self.now_ns)
        self.orders = Orders(self.destination, Pace(), self.catalog, journal, threading.Event(), *clocks)

    def sent(self, call_id: str, lock_s: int = 0, times: int = 1) -> str:
        """Deliver an artifact, `times` versions of it, whose central deadline is now."""
        key = f"training/{call_id}.age"
        for n in range(times):
            local = self.root / "local"
            local.write_bytes(f"{call_id}{n}".encode())
            digest = hashlib.sha256(local.read_bytes()).hexdigest()
            until_ns = time.time_ns() + lock_s * NS if lock_s else 0
            self.destination.put(local, key, digest, local.stat().st_size, Uploads(), Terms(until_ns))
        self.catalog.add_artifact(
            Artifact(call_id, call_id, "training", ArtifactKind.AUDIO, key, "audio/ogg", 3, "p", digest, 1, 1 << 62,
                     self.deadline_ns, "vault")
        )  # fmt: skip
        self.catalog.set_delivery(call_id, Delivery.SENT, 5)
        return key

    def step(self) -> int:
        self.catalog.orders.plan(self.now_ns, ["vault"])
        return self.orders.step()

    def versions(self, key: str) -> list[str]:
        found = self.client.list_object_versions(Bucket=self.bucket, Prefix=key)
        return [one["VersionId"] for one in (*found.get("Versions", ()), *found.get("DeleteMarkers", ()))]

    def said(self) -> list[str]:
        return [line.kind.removeprefix("central.") for line in read(self.journal_dir)]


@pytest.fixture
def vault(gateway: RadosGateway, tmp_path: Path, request: pytest.FixtureRequest) -> Vault:
    return Vault(gateway, tmp_path, request.node.name[5:45].replace("_", "-").strip("-"))


def test_what_is_held_is_held_at_the_server_released_and_only_then_deleted_in_all_versions(vault: Vault) -> None:
    held, free = vault.sent(CALL, times=2), vault.sent(OTHER)
    placed = hold(vault.catalog, CALL)
    assert vault.step() == 2 and vault.said() == ["held", "deleted"]
    assert vault.versions(free) == [] and len(vault.versions(held)) == 2
    assert vault.catalog.orders.of_hold(placed.number) == [("done", "", 1)]
    for version in vault.versions(held):
        with pytest.raises(ClientError, match="AccessDenied"):
            vault.client.delete_object(Bucket=vault.bucket, Key=held, VersionId=version)
    assert vault.step() == 0, "it is held"
    lift(vault.catalog, placed)
    assert vault.step() == 1 and vault.said()[2:] == ["released"] and len(vault.versions(held)) == 2
    assert vault.step() == 1 and vault.said()[3:] == ["deleted"] and vault.versions(held) == []
    assert vault.step() == 0 and vault.catalog.orders.failing() == []


def test_a_lock_is_reported_with_its_date_and_the_object_goes_when_it_has_ended(vault: Vault) -> None:
    key = vault.sent(CALL, lock_s=LOCK_S)
    ends = time.monotonic() + LOCK_S + 1
    assert vault.step() == 0 and len(vault.versions(key)) == 1 and vault.said() == ["failed"]
    (order,) = vault.catalog.orders.failing()
    assert order.verb == "destroy" and "it is locked until 20" in order.detail and "governance" in order.detail
    assert vault.step() == 0 and order == vault.catalog.orders.failing()[0], "not asked again at once"
    time.sleep(max(0.0, ends - time.monotonic()))
    vault.now_ns += int(REFUSED_S * NS)
    assert vault.step() == 1 and vault.versions(key) == [] and vault.said() == ["failed", "deleted"]
