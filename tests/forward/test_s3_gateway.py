"""S3 against a server that really locks, counts and forgets (RADOS Gateway): S33, holds, rules, quotas, orphans."""

import hashlib
import json
import os
import re
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from lines import line_to
from rados_gateway import KMS_KEY, RadosGateway
from running_site import wait_for
from servers import Uploads, s3_section, write_credentials

from agent.forward.destination import Poison, Retry, Terms
from agent.forward.s3 import S3Destination

pytestmark = pytest.mark.slow
PART = 5 << 20
MIB = 1 << 20
HOUR_NS = 3600 * 10**9
KEY = f"evidence/{1:032x}.audio.flac.age"
DOCS = Path(__file__).parents[2] / "docs" / "destinations.md"


class Bucket:
    """A bucket of one test's own, seen by its owner."""

    def __init__(self, gateway: RadosGateway, name: str, folder: Path, locks: bool) -> None:
        self.gateway, self.name = gateway, name
        self.client = gateway.client()
        self._credentials = write_credentials(folder / "s3.toml")
        gateway.make_bucket(name, locks=locks)

    def cloud(self, clock_ns: Callable[[], int] = time.time_ns, **more: object) -> S3Destination:
        """The destination under test."""
        return S3Destination(
            "cloud", s3_section(self.gateway, self._credentials, self.name, **more), PART, None, clock_ns
        )

    def ask(self, operation: str, key: str = KEY, **more: object) -> Any:
        """A request about an object."""
        return getattr(self.client, operation)(Bucket=self.name, Key=key, **more)

    def versions(self) -> list[str]:
        """Keys, one for each version; markers of deletion are left out."""
        return [one["Key"] for one in self.client.list_object_versions(Bucket=self.name).get("Versions", ())]

    def uploads(self) -> list[str]:
        """Ids of uploads that were begun and neither finished nor let go of."""
        return [one["UploadId"] for one in self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", ())]


@pytest.fixture
def bucket(gateway: RadosGateway, tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., Bucket]:
    def make(locks: bool = False) -> Bucket:
        name = re.sub("[^a-z0-9]+", "-", f"{request.node.name[-40:]}-{locks}".lower()).strip("-")
        return Bucket(gateway, name, tmp_path, locks)

    return make


def source(tmp_path: Path, size: int = 1000) -> tuple[Path, str, int]:
    path = tmp_path / "local.age"
    path.write_bytes(os.urandom(size))
    return path, hashlib.sha256(path.read_bytes()).hexdigest(), size


def put(
    destination: S3Destination, local: tuple[Path, str, int], terms: Terms | None = None, uploads: Uploads | None = None
) -> None:
    path, digest, size = local
    destination.put(path, KEY, digest, size, uploads or Uploads(), terms or Terms())


def in_s(seconds: float) -> int:
    """UTC ns."""
    return time.time_ns() + int(seconds * 1e9)


@pytest.mark.parametrize("size", [1000, PART + 77])
@pytest.mark.parametrize("mode", ["governance", "compliance"])
def test_s33_a_locked_object_carries_its_date_and_cannot_be_deleted_before(
    bucket, tmp_path: Path, mode: str, size: int
) -> None:
    at, until_ns, local = bucket(locks=True), in_s(3600) + 1, source(tmp_path, size)
    cloud = at.cloud(object_lock=mode)
    put(cloud, local, Terms(until_ns, False, {"purpose": "evidence"}))
    put(cloud, local, Terms(until_ns))
    assert at.versions() == [KEY], "the same object twice is one"
    kept = at.ask("get_object_retention")["Retention"]
    assert kept["Mode"] == mode.upper() and 0 < kept["RetainUntilDate"].timestamp() * 10**9 - until_ns <= 10**9
    version = at.ask("head_object")["VersionId"]
    sooner = {"Mode": mode.upper(), "RetainUntilDate": datetime.fromtimestamp(time.time() + 60, UTC)}
    for attempt in (
        lambda: at.ask("delete_object", VersionId=version),
        lambda: at.ask("put_object_retention", Retention=sooner),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            attempt()
    at.ask("delete_object")  # a marker only
    day = datetime.fromtimestamp(until_ns / 1e9, UTC)
    with pytest.raises(Poison, match=rf"locked until {day:%Y-%m-%d %H}.* \({mode}\)"):
        cloud.destroy(KEY)
    assert at.ask("get_object", VersionId=version)["Body"].read() == local[0].read_bytes()
    if mode == "compliance":
        with pytest.raises(ClientError, match="AccessDenied"):
            at.ask("delete_object", VersionId=version, BypassGovernanceRetention=True)


def test_s33_once_the_date_has_passed_it_can_be_destroyed_in_every_version(bucket, tmp_path: Path) -> None:
    at = bucket(locks=True)
    cloud = at.cloud(object_lock="compliance")
    for _ in range(2):
        put(cloud, source(tmp_path), Terms(in_s(2)))
    assert len(at.versions()) == 2
    with pytest.raises(Poison, match="locked until"):
        cloud.destroy(KEY)

    def gone() -> bool:
        try:
            cloud.destroy(KEY)
        except Poison:
            return False
        return True

    wait_for("the end of the lock", gone)
    assert at.versions() == []
    cloud.destroy(KEY)


def test_a_lock_is_lengthened_where_the_object_was_there_already_and_never_shortened(bucket, tmp_path: Path) -> None:
    at, local = bucket(locks=True), source(tmp_path)
    put(at.cloud(), local)
    with pytest.raises(ClientError):
        at.ask("get_object_retention")
    cloud, long_ns = at.cloud(object_lock="governance"), in_s(7200)
    put(cloud, local, Terms(long_ns))
    put(cloud, local, Terms(in_s(60)))
    assert at.ask("get_object_retention")["Retention"]["RetainUntilDate"].timestamp() * 1e9 >= long_ns
    assert at.versions() == [KEY]


@pytest.mark.parametrize("size", [1000, PART + 77])
def test_what_is_held_stays_until_the_hold_is_lifted(bucket, tmp_path: Path, size: int) -> None:
    at = bucket(locks=True)
    cloud = at.cloud(object_lock="governance")
    with pytest.raises(Poison, match="nothing under this name"):
        cloud.hold(KEY, True)
    put(cloud, source(tmp_path, size), Terms(held=True))
    assert at.ask("get_object_legal_hold")["LegalHold"]["Status"] == "ON"
    version = at.ask("head_object")["VersionId"]
    with pytest.raises(ClientError, match="AccessDenied"):
        at.ask("delete_object", VersionId=version)
    with pytest.raises(Poison, match="legal hold is on it"):
        cloud.destroy(KEY)
    cloud.hold(KEY, False)
    put(cloud, source(tmp_path))
    cloud.hold(KEY, True)
    cloud.hold(KEY, True)
    assert at.ask("get_object_legal_hold", VersionId=version)["LegalHold"]["Status"] == "ON", "every version"
    cloud.hold(KEY, False)
    cloud.destroy(KEY)
    assert at.versions() == []


def test_a_bucket_that_does_not_lock_is_not_taken_for_one_that_does(bucket, tmp_path: Path) -> None:
    at, local = bucket(), source(tmp_path)
    at.cloud().check()
    for attempt in (
        lambda cloud: put(cloud, local, Terms(in_s(60))),
        lambda cloud: cloud.check(),
        lambda cloud: cloud.hold(KEY, False) or put(cloud, local),
    ):
        with pytest.raises(Poison, match="no Object Lock"):
            attempt(at.cloud(object_lock="compliance"))
    assert at.versions() == []


def test_doctor_tries_the_lock_with_an_object_that_is_gone_afterwards(bucket) -> None:
    at = bucket(locks=True)
    at.cloud(object_lock="compliance").check()
    assert at.versions() == []


def test_the_rule_of_the_manual_deletes_by_tag_what_is_of_its_purpose_and_nothing_else(bucket, tmp_path: Path) -> None:
    at, local = bucket(), source(tmp_path)
    (written,) = re.findall(r'```json\n(\{\s*"Rules".*?)```', DOCS.read_text(), re.DOTALL)
    rules = json.loads(written)
    for rule in rules["Rules"]:
        if "Expiration" in rule:
            rule["Expiration"]["Days"] = 1
    at.client.put_bucket_lifecycle_configuration(Bucket=at.name, LifecycleConfiguration=rules)
    path, digest, size = local
    for purpose in ("training", "evidence"):
        tags = {"purpose": purpose, "central-deadline": "2031-05-01"}
        at.cloud().put(path, f"{purpose}/a", digest, size, Uploads(), Terms(0, False, tags))
        found = at.ask("get_object_tagging", f"{purpose}/a")["TagSet"]
        assert {tag["Key"]: tag["Value"] for tag in found} == tags

    def forgotten() -> bool:
        at.gateway.admin("lc", "process")
        return at.versions() == ["evidence/a"]

    wait_for("the rule", forgotten, 60)
    put(at.cloud(tags=False), local, Terms(0, False, {"purpose": "training"}))
    assert at.ask("get_object_tagging")["TagSet"] == []


def test_objects_are_encrypted_by_the_server_as_asked_or_it_is_said(bucket, tmp_path: Path) -> None:
    at = bucket()
    for size in (1000, PART + 77):
        local = source(tmp_path, size)
        put(at.cloud(sse="aws:kms", sse_key_id=KMS_KEY), local)
        assert at.ask("head_object")["ServerSideEncryption"] == "aws:kms"
        assert at.ask("get_object")["Body"].read() == local[0].read_bytes()
        at.ask("delete_object")
    put(at.cloud(), local)
    with pytest.raises(Poison, match="not encrypted by the server as asked"):
        put(at.cloud(sse="aws:kms", sse_key_id=KMS_KEY), local)
    with pytest.raises((Poison, Retry)):
        put(at.cloud(sse="aws:kms", sse_key_id="no-such-key"), source(tmp_path))


def test_the_bucket_may_stand_before_the_name_of_the_host(
    bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at, asked, resolve = bucket(), [], socket.getaddrinfo

    def here(host: Any, *more: Any, **named: Any) -> Any:
        asked.append(host)
        return resolve("127.0.0.1" if str(host).endswith(".test") else host, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", here)
    local = source(tmp_path)
    put(at.cloud(addressing="virtual", endpoint_url=f"http://s3.test:{at.gateway.port}"), local)
    assert at.ask("get_object")["Body"].read() == local[0].read_bytes()
    assert set(asked) >= {f"{at.name}.s3.test"} and "s3.test" not in asked


class ReadBack(Exception):
    """An object was read whole."""


@pytest.mark.parametrize("size", [1000, PART + 77])
def test_a_digest_that_the_server_checks_spares_the_reading_back(bucket, tmp_path: Path, size: int) -> None:
    at, local = bucket(), source(tmp_path, size)
    cloud = at.cloud(verify="checksum")
    cloud.check()
    read = cloud._client.get_object

    def refuse(**_: object) -> None:
        raise ReadBack

    cloud._client.get_object = refuse
    put(cloud, local)
    put(cloud, local)
    assert at.ask("get_object")["Body"].read() == local[0].read_bytes()
    cloud._client.get_object = read
    at.ask("put_object", Body=os.urandom(size))
    put(cloud, local)
    assert at.ask("get_object")["Body"].read() == local[0].read_bytes()


def test_s32_cut_damaged_and_full_are_told_apart_and_nothing_counts_as_there(bucket, tmp_path: Path) -> None:
    at, local, uploads = bucket(), source(tmp_path, 3 * PART), Uploads()
    with line_to(at.gateway.port) as line:
        cloud = at.cloud(endpoint_url=f"http://127.0.0.1:{line.port}")
        cloud.check()
        line.cut_at = line.sent + 2 * PART
        with pytest.raises(Retry, match="broke off"):
            put(cloud, local, uploads=uploads)
        begun = uploads.upload_id
        assert at.versions() == [] and at.uploads() == [begun]
        line.cut_at = None
        line.damage = lambda data: data if data.startswith((b"GET", b"PUT", b"POST", b"HEAD")) else data[:-1] + b"#"
        with pytest.raises(Retry, match="damaged on the way"):
            put(cloud, local, uploads=uploads)
        assert at.versions() == [] and uploads.upload_id == begun
        line.damage = lambda data: data
        before = line.sent
        put(cloud, local, uploads=uploads)
        assert line.sent - before < 3 * PART, "parts that were there are not sent again"
    assert at.versions() == [KEY] and at.uploads() == [] and uploads.upload_id is None
    quota = ("--quota-scope=bucket", f"--bucket={at.name}")
    at.gateway.admin("quota", "set", *quota, f"--max-size={3 * PART + 1000}")
    at.gateway.admin("quota", "enable", *quota)
    path, digest, size = source(tmp_path, MIB)
    with pytest.raises(Retry, match="quota is full"):
        at.cloud().put(path, "training/a", digest, size, Uploads(), Terms())
    at.gateway.admin("quota", "disable", *quota)
    at.cloud().put(path, "training/a", digest, size, Uploads(), Terms())


def test_orphans_are_swept_after_a_day_and_what_is_remembered_or_of_others_is_not(bucket) -> None:
    at, later = bucket(), lambda: in_s(2 * 86_400)
    keys = [f"lyon/training/{n:032x}.audio.opus.age" for n in range(2)] + ["lyon/holiday.jpg", KEY]
    begun = [at.ask("create_multipart_upload", key)["UploadId"] for key in keys]
    at.ask("upload_part", keys[1], UploadId=begun[1], PartNumber=1, Body=b"half")
    at.cloud(prefix="lyon/").sweep([])
    assert sorted(at.uploads()) == sorted(begun)
    at.cloud(later, prefix="lyon/").sweep([begun[0]])
    assert sorted(at.uploads()) == sorted([begun[0], *begun[2:]])
