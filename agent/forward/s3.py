"""S3-compatible storage as destination: low-level calls, parts that survive a restart, and our own digest at the end.

Servers are not trusted to do what they are told (several ignore checksums, or take words of a lock and delete all the
same): every part carries a Content-MD5, the whole object is read back and compared by SHA-256, and its lock is asked
for again, before the upload counts as done. Only a server that is set to `verify = "checksum"`, and was seen to refuse
a wrong digest, is believed its own.
"""

import hashlib
import secrets
import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from botocore.exceptions import ClientError

from agent.config.destinations import S3Section
from agent.forward.destination import (
    PIECE_BYTES,
    Poison,
    Receipt,
    Retry,
    Terms,
    Throttle,
    Unlimited,
    Unsupported,
    UploadState,
    unchanged,
)
from agent.forward.s3_access import DENIED, MISSING, Access, code_of
from agent.forward.s3_lock import NS, ObjectLock
from agent.forward.s3_parts import Parts
from agent.forward.s3_sums import StatedSums, sums

TRIAL_LOCK_S, TRIAL_PATIENCE_S = 3, 20
_NO_VERSIONS = frozenset({"NotImplemented", "MethodNotAllowed", "405"})


class S3Destination:
    """A bucket. `part_bytes`: larger files go in parts of this size (5 MiB at least, by the protocol)."""

    def __init__(
        self,
        name: str,
        section: S3Section,
        part_bytes: int,
        throttle: Throttle | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.name = name
        self._section = section
        self._bucket = section.bucket
        self._part_bytes = part_bytes
        self._clock_ns = clock_ns
        self._access = Access(section, throttle or Unlimited())
        self._parts = Parts(self._access, section.bucket, part_bytes)
        self._lock: ObjectLock | None = None
        if section.object_lock != "none":
            self._lock = ObjectLock(self._access, section.bucket, section.object_lock, clock_ns)
        self._sums = StatedSums(self._access, section.bucket, section.prefix, part_bytes, self._remove)

    def put(self, local: Path, key: str, cipher_sha256: str, size: int, resume: UploadState, terms: Terms) -> Receipt:
        """See Destination.put. An object of this name with other content is written over; its versions stay."""
        unchanged(local, cipher_sha256)
        name = self._section.prefix + key
        with self._access.words():
            if not self._is_there(name, local, cipher_sha256, size):
                version = self._upload(local, name, size, resume, terms)
                if not self._is_there(name, local, cipher_sha256, size):
                    self._remove(name, version)
                    raise Retry("what was read back is not what was sent; it was removed there")
            resume.remember(None)
            mended = self._lock is not None and self._lock.mend(name, terms)
            if mended and not self._is_there(name, local, cipher_sha256, size):
                raise Poison("the server has no locks, though it said so: it spoiled the object when asked to lock it")
        return Receipt(f"s3://{self._bucket}/{name}")

    def hold(self, key: str, held: bool) -> None:
        """See Destination.hold. Every version is held."""
        if self._lock is None:
            raise Unsupported(f"destination.{self.name}: legal holds need object_lock")
        name = self._section.prefix + key
        with self._access.words():
            versions = [version for version, marker in self._versions(name) if not marker]
            if held and not versions:
                raise Poison("there is nothing under this name to hold")
            for version in versions:
                self._lock.hold(name, version, held)

    def destroy(self, key: str) -> None:
        """See Destination.destroy."""
        name = self._section.prefix + key
        with self._access.words():
            for version, _ in self._versions(name):
                self._remove(name, version)
            if self._versions(name):
                raise Retry("the server took the deletion, but it is still there")

    def abandon(self, key: str, resume: UploadState) -> None:
        """See Destination.abandon."""
        name = self._section.prefix + key
        with self._access.words():
            if resume.upload_id is not None:
                self._parts.abort(name, resume.upload_id)
            self._parts.abort_all(name)  # one that was begun and not remembered
            resume.remember(None)

    def sweep(self, remembered: Collection[str]) -> None:
        """See Destination.sweep. Only uploads of artifacts under our prefix."""
        with self._access.words():
            self._parts.sweep(self._section.prefix, remembered, datetime.fromtimestamp(self._clock_ns() / NS, UTC))

    def check(self) -> None:
        """See Destination.check. Where objects are to be locked, the small one is, for seconds, and must not be
        deletable meanwhile."""
        name, data = f"{self._section.prefix}.greffier-{secrets.token_hex(4)}", b"trial"
        with self._access.words():
            terms = Terms(self._clock_ns() + TRIAL_LOCK_S * NS)
            version = self._send(name, data, terms)
            back = self._access.client.get_object(Bucket=self._bucket, Key=name)["Body"].read()
            if self._lock is None:
                self._remove(name, version)
            else:
                self._try_lock(self._lock, name, version, terms)
            if back != data:
                raise Retry("what is written there is not what is read back")
            if self._section.verify == "checksum":
                self._sums.believed()

    # ---- steps of an upload

    @property
    def _client(self) -> Any:
        return self._access.client

    def _upload(self, local: Path, name: str, size: int, resume: UploadState, terms: Terms) -> str | None:
        if self._section.verify == "checksum":
            self._sums.believed()
        if size <= self._part_bytes:
            return self._send(name, local.read_bytes(), terms)
        return self._parts.upload(local, name, resume, self._told(terms))

    def _send(self, name: str, data: bytes, terms: Terms) -> str | None:
        sent = self._client.put_object(Bucket=self._bucket, Key=name, Body=data, **sums(data), **self._told(terms))
        version: str | None = sent.get("VersionId")
        return version

    def _told(self, terms: Terms) -> dict[str, Any]:
        """What is said of an object as its upload begins."""
        section = self._section
        said = self._lock.told(terms) if self._lock is not None else {}
        if section.tags and terms.tags:
            said["Tagging"] = urlencode(terms.tags)
        if section.sse != "none":
            said["ServerSideEncryption"] = section.sse
        if section.sse_key_id is not None:
            said["SSEKMSKeyId"] = section.sse_key_id
        if section.storage_class is not None:
            said["StorageClass"] = section.storage_class
        return said

    def _is_there(self, name: str, local: Path, cipher_sha256: str, size: int) -> bool:
        """Whether the object is there, byte for byte, and encrypted as asked. It is read back whole, unless the
        server's own digest is believed and is there."""
        try:
            if self._section.verify == "checksum":
                said = self._client.head_object(Bucket=self._bucket, Key=name, ChecksumMode="ENABLED")
                if self._sums.are_of(said, local, size):
                    self._encrypted(said)
                    return True
            answer = self._client.get_object(Bucket=self._bucket, Key=name)
        except ClientError as error:
            if code_of(error) in MISSING:
                return False
            raise
        digest, count = hashlib.sha256(), 0
        for piece in answer["Body"].iter_chunks(PIECE_BYTES):
            digest.update(piece)
            count += len(piece)
        if count != size or digest.hexdigest() != cipher_sha256:
            return False
        self._encrypted(answer)
        return True

    def _encrypted(self, answer: dict[str, Any]) -> None:
        wanted = self._section.sse
        if wanted != "none" and answer.get("ServerSideEncryption") != wanted:
            raise Poison(f'the object is there, but not encrypted by the server as asked (sse = "{wanted}")')

    # ---- versions and locks

    def _versions(self, name: str) -> list[tuple[str | None, bool]]:
        """All that is kept under this name: ids of versions, and whether each only marks a deletion."""
        found: list[tuple[str | None, bool]] = []
        where: dict[str, Any] = {"Bucket": self._bucket, "Prefix": name}
        while True:
            try:
                page = self._client.list_object_versions(**where)
            except ClientError as error:
                if code_of(error) not in _NO_VERSIONS:
                    raise
                return self._only_one(name)
            for kind, marker in (("Versions", False), ("DeleteMarkers", True)):
                found += [(one["VersionId"], marker) for one in page.get(kind) or () if one["Key"] == name]
            if not page.get("IsTruncated"):
                return found
            where |= {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}

    def _only_one(self, name: str) -> list[tuple[str | None, bool]]:
        """As `_versions`, of a server that keeps none."""
        try:
            self._client.head_object(Bucket=self._bucket, Key=name)
        except ClientError as error:
            if code_of(error) in MISSING:
                return []
            raise
        return [(None, False)]

    def _remove(self, name: str, version: str | None) -> None:
        """Delete a version, or all there is where there are none. Raises Poison naming the lock that forbids it."""
        which = {"Bucket": self._bucket, "Key": name} | ({"VersionId": version} if version is not None else {})
        try:
            self._client.delete_object(**which)
        except ClientError as error:
            if code_of(error) in MISSING:
                return
            why = self._lock.why_kept(name, version) if self._lock is not None and code_of(error) in DENIED else None
            if why is None:
                raise
            raise Poison(f"it cannot be deleted there: {why}") from None

    def _try_lock(self, lock: ObjectLock, name: str, version: str | None, terms: Terms) -> None:
        """A trial that must not be deletable until its lock ends, and must be then."""
        lock.mend(name, terms)
        if lock.why_kept(name, version) is not None:
            try:
                self._remove(name, version)
            except Poison:
                pass
            else:
                raise Poison("the server locks objects by its word only: it deleted one that was locked")
        deadline = time.monotonic() + TRIAL_PATIENCE_S
        while True:
            time.sleep(0.5)
            try:
                self._remove(name, version)
            except (ClientError, Poison):
                if time.monotonic() > deadline:
                    raise Poison(f"a trial object could not be deleted after its lock had ended: {name}") from None
            else:
                return
