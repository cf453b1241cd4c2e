"""S32: a courier whose uploads are cut, damaged, refused, shown a certificate of last year, and killed half-way.

Its local deadlines have passed all the while: whatever it has not verified at the centre must stay here.
"""

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from certificates import Authority
from lines import line_to
from rados_gateway import RadosGateway
from running_site import wait_for
from servers import S3Server, rclone, running, write_credentials

from agent.model.artifact import Artifact, Delivery
from agent.model.purpose import ArtifactKind
from agent.store.catalog import Catalog
from agent.store.journal import read

PART = 5 << 20
CALL = "0192" + "0" * 28
CONFIG = """
[site]
state_dir = "state"
run_dir = "run"
[courier]
poll_s = 0.1
retry_first_s = 0.1
retry_max_s = 0.3
part_mib = 5
"""


class Box:
    """A box with a courier, and nothing else that runs."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._config = root / "greffier.toml"
        self._config.write_text(CONFIG)
        self._credentials = write_credentials(root / "s3.toml")
        self.catalog = Catalog(root / "state" / "catalog.sqlite3")
        self.journal_dir = root / "state" / "journal"

    def destination(self, name: str, url: str, bucket: str, **more: str) -> None:
        """One more, in the configuration."""
        said = {"kind": "s3", "endpoint_url": url, "bucket": bucket, "credentials_file": self._credentials} | more
        with self._config.open("a") as file:
            file.write(f"[destination.{name}]\n" + "".join(f'{key} = "{value}"\n' for key, value in said.items()))

    def artifact(self, destination: str, size: int, central_deadline_ns: int = 0) -> Path:
        """What the scribe would leave to be sent there; its local deadline is long past."""
        path = self._root / "state" / "outbox" / "evidence" / destination
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(size))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        self.catalog.add_artifact(
            Artifact(destination, CALL, "evidence", ArtifactKind.AUDIO, f"evidence/{destination}", "audio/flac", size,
                     "p", digest, time.time_ns(), 1, central_deadline_ns, destination)
        )  # fmt: skip
        return path

    @contextmanager
    def courier(self) -> Iterator[subprocess.Popen[bytes]]:
        """The process, killed at the end of the block."""
        command = [sys.executable, "-m", "agent.courier", "--config", str(self._config)]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def wait_said(self, name: str, words: str) -> None:
        """Until its last attempt failed for this reason; the local copy must be there then."""
        wait_for(words, lambda: words in self.catalog.delivery_state(name).detail)
        assert self.catalog.is_local(name) and (self._root / "state" / "outbox" / "evidence" / name).exists()

    def wait_delivered(self, name: str) -> None:
        """Until the copy at the centre is verified, and the one here is gone."""
        wait_for(f"{name} to be delivered", lambda: not self.catalog.is_local(name), 60)
        assert self.catalog.artifact(name).delivery is Delivery.SENT
        kinds = [line.kind for line in read(self.journal_dir) if line.fields.get("path") == f"evidence/{name}"]
        assert kinds[-2:] == ["delivered", "local.deleted"] and kinds.count("delivered") == 1

    def said(self, name: str) -> str:
        """What the journal says of its failures."""
        lines = (line for line in read(self.journal_dir) if line.kind == "delivery.failed")
        return " ".join(str(line.fields["why"]) for line in lines if line.fields["path"] == f"evidence/{name}")


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


@pytest.mark.slow
def test_s32_cut_damaged_and_killed_it_goes_on_where_it_was(box: Box, gateway: RadosGateway) -> None:
    gateway.make_bucket("s32", locks=True)
    client, where = gateway.client(), {"Bucket": "s32", "Key": "evidence/vault"}

    def parts() -> int:
        upload_id = box.catalog.delivery_state("vault").upload_id
        return 0 if upload_id is None else len(client.list_parts(**where, UploadId=upload_id).get("Parts", ()))

    def versions() -> int:
        return len(client.list_object_versions(Bucket="s32").get("Versions", ()))

    with line_to(gateway.port) as line:
        box.destination("vault", f"http://127.0.0.1:{line.port}", "s32", object_lock="compliance")
        until_ns = time.time_ns() + 3600 * 10**9
        content = (path := box.artifact("vault", 5 * PART, until_ns)).read_bytes()
        line.cut_at = line.sent + PART + PART // 2
        with box.courier():
            box.wait_said("vault", "broke off")
            assert parts() == 1 and versions() == 0
            line.damage = _spoilt
            line.cut_at = None
            box.wait_said("vault", "damaged on the way")
            line.damage = _slow
            wait_for("two parts", lambda: parts() >= 2)
        assert path.exists() and versions() == 0
        line.damage = lambda data: data
        there, before = parts(), line.sent
        assert 2 <= there < 5, "killed half-way"
        with box.courier():
            box.wait_delivered("vault")
        assert line.sent - before < (5 - there) * PART + PART // 2, "parts that were there are not sent again"
    assert client.get_object(**where)["Body"].read() == content and not path.exists()
    assert client.get_object_retention(**where)["Retention"]["RetainUntilDate"].timestamp() * 1e9 >= until_ns
    assert versions() == 1 and not client.list_multipart_uploads(Bucket="s32").get("Uploads")


@pytest.mark.slow
def test_s32_a_full_bucket_and_a_certificate_of_last_year_are_told_by_their_kind_and_outlived(
    box: Box, gateway: RadosGateway, tmp_path: Path, free_ports: Callable[[int], list[int]]
) -> None:
    gateway.make_bucket("full")
    quota = ("--quota-scope=bucket", "--bucket=full")
    gateway.admin("quota", "set", *quota, "--max-size=100000")
    gateway.admin("quota", "enable", *quota)
    authority = Authority(tmp_path, "centre-ca")
    (port,) = free_ports(1)
    (tmp_path / "s3" / "recordings").mkdir(parents=True)

    def server(days: float) -> S3Server:
        return rclone(port, tmp_path / "s3", authority.issue("centre.test", days=days))

    box.destination("full", gateway.url, "full")
    box.destination("expired", f"https://127.0.0.1:{port}", "recordings", ca_file=str(authority.file))
    content = {name: box.artifact(name, 200_000).read_bytes() for name in ("full", "expired")}
    with box.courier():
        with running(server(-1)):
            box.wait_said("expired", "certificate is not accepted")
            box.wait_said("full", "quota is full")
        assert box.catalog.artifact("expired").delivery is Delivery.POISONED
        assert box.catalog.artifact("full").delivery is Delivery.WAITING
        gateway.admin("quota", "disable", *quota)
        with running(server(30)):
            for name in content:
                box.wait_delivered(name)
    assert gateway.client().get_object(Bucket="full", Key="evidence/full")["Body"].read() == content["full"]
    assert (tmp_path / "s3" / "recordings" / "evidence" / "expired").read_bytes() == content["expired"]
    assert "certificate" in box.said("expired") and "quota" in box.said("full")


def _spoilt(data: bytes) -> bytes:
    """One byte of what follows a request's head is another."""
    return data if data.startswith((b"GET", b"PUT", b"POST", b"HEAD")) else data[:-1] + b"#"


def _slow(data: bytes) -> bytes:
    time.sleep(0.01)
    return data
