"""Locks of a bucket's objects (S3 Object Lock): asked for as an object is sent, and asked about afterwards.

Some servers take the words of a lock and delete all the same, or take a request for one as the object's new content: a
bucket must say that it locks before anything of the kind is asked, and the object is read back after a lock was mended.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from agent.forward.destination import Poison, Terms
from agent.forward.s3_access import MISSING, Access, code_of

NS = 1_000_000_000
_STRENGTH = {"GOVERNANCE": 1, "COMPLIANCE": 2}
_NO_LOCK = MISSING | {"NoSuchObjectLockConfiguration", "ObjectLockConfigurationNotFoundError", "InvalidRequest"}
_NO_LOCKS_HERE = _NO_LOCK | {"NotImplemented", "MethodNotAllowed", "405"}


class ObjectLock:
    """`mode` is "governance" or "compliance"; `clock_ns` is UTC. Errors are the library's, and Poison."""

    def __init__(self, access: Access, bucket: str, mode: str, clock_ns: Callable[[], int]) -> None:
        self._access = access
        self._bucket = bucket
        self._mode = mode.upper()
        self._clock_ns = clock_ns
        self._bucket_locks = False

    def until(self, terms: Terms) -> datetime | None:
        """Until when an object is locked: whole seconds, never earlier than its terms say; None when past."""
        if terms.retain_until_ns <= self._clock_ns():
            return None
        return datetime.fromtimestamp(-(-terms.retain_until_ns // NS), UTC)

    def told(self, terms: Terms) -> dict[str, Any]:
        """What is said of the lock as the object is sent."""
        self.offered()
        said: dict[str, Any] = {}
        if (until := self.until(terms)) is not None:
            said |= {"ObjectLockMode": self._mode, "ObjectLockRetainUntilDate": until}
        if terms.held:
            said["ObjectLockLegalHoldStatus"] = "ON"
        return said

    def mend(self, name: str, terms: Terms) -> bool:
        """Lock what is there as its terms say. Returns whether anything had to be asked for again: then the object
        must be read back once more. Raises Poison when the server does not lock it."""
        self.offered()
        until = self.until(terms)
        short = until is not None and not self._kept(name, until)
        if short:
            retention = {"Mode": self._mode, "RetainUntilDate": until}
            self._access.client.put_object_retention(Bucket=self._bucket, Key=name, Retention=retention)
            if until is not None and not self._kept(name, until):
                raise Poison("the object is there, but the server does not lock it until its date; it is kept here")
        loose = terms.held and not self._held(name)
        if loose:
            self.hold(name, None, True)
        return short or loose

    def hold(self, name: str, version: str | None, held: bool) -> None:
        """A legal hold, put on or lifted, and proven. Raises Poison when the server does not do it."""
        self.offered()
        which = {"Bucket": self._bucket, "Key": name} | ({"VersionId": version} if version is not None else {})
        self._access.client.put_object_legal_hold(**which, LegalHold={"Status": "ON" if held else "OFF"})
        if self._held(name, version) is not held:
            raise Poison("the server did not " + ("put on" if held else "lift") + " the legal hold")

    def why_kept(self, name: str, version: str | None) -> str | None:
        """The lock that forbids to delete this, in words."""
        if self._held(name, version):
            return "a legal hold is on it"
        until, mode = self._retention(name, version)
        if until is None or until.timestamp() * NS <= self._clock_ns():
            return None
        return f"it is locked until {until:%Y-%m-%d %H:%M:%S} UTC ({mode.lower()})"

    def offered(self) -> None:
        """Raises Poison unless the bucket says that it locks objects."""
        if self._bucket_locks:
            return
        try:
            answer = self._access.client.get_object_lock_configuration(Bucket=self._bucket)
        except ClientError as error:
            if code_of(error) not in _NO_LOCKS_HERE:
                raise
            answer = {}
        if answer.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled") != "Enabled":
            raise Poison("the bucket has no Object Lock: it is chosen when a bucket is made (docs/destinations.md)")
        self._bucket_locks = True

    # ---- what the server says

    def _kept(self, name: str, until: datetime) -> bool:
        there, mode = self._retention(name, None)
        return there is not None and there >= until and _STRENGTH.get(mode, 0) >= _STRENGTH[self._mode]

    def _retention(self, name: str, version: str | None) -> tuple[datetime | None, str]:
        which = {"Bucket": self._bucket, "Key": name} | ({"VersionId": version} if version is not None else {})
        try:
            found = self._access.client.get_object_retention(**which).get("Retention", {})
        except ClientError as error:
            if code_of(error) not in _NO_LOCK:
                raise
            found = {}
        return found.get("RetainUntilDate"), str(found.get("Mode", ""))

    def _held(self, name: str, version: str | None = None) -> bool:
        which = {"Bucket": self._bucket, "Key": name} | ({"VersionId": version} if version is not None else {})
        try:
            found = self._access.client.get_object_legal_hold(**which)
        except ClientError as error:
            if code_of(error) not in _NO_LOCK:
                raise
            found = {}
        return bool(found.get("LegalHold", {}).get("Status") == "ON")
