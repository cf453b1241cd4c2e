"""Digests that an S3 server computes itself: sent with every part, and believed where it was seen to refuse wrong ones.

A server states the SHA-256 of an object, or its MD5 as ETag; of one that came in parts, the digest of their digests.
MD5 is good against accidents of line and disk, and a server that lies could do so about any digest.
"""

import base64
import hashlib
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from agent.forward.destination import Poison
from agent.forward.s3_access import DENIED, Access, code_of


class StatedSums:
    """What the server of a bucket may be believed. `remove` deletes a trial that it should not have taken."""

    def __init__(
        self, access: Access, bucket: str, prefix: str, part_bytes: int, remove: Callable[[str, str | None], None]
    ) -> None:
        self._access = access
        self._bucket = bucket
        self._prefix = prefix
        self._part_bytes = part_bytes
        self._remove = remove
        self._believed: frozenset[str] | None = None

    def believed(self) -> frozenset[str]:
        """Of "sha256" and "md5", those of which it refuses a wrong one. Raises Poison when there is none."""
        if self._believed is None:
            wrong = {"sha256": {"ChecksumSHA256": sha256(b"y")}, "md5": {"ContentMD5": md5(b"y")}}
            found = frozenset(kind for kind, said in wrong.items() if self._refuses(said))
            if not found:
                raise Poison('the server took wrong digests: it cannot be believed, verify = "read" is needed')
            self._believed = found
        return self._believed

    def are_of(self, said: dict[str, Any], local: Path, size: int) -> bool:
        """Whether what a server says of an object (HEAD) is true of this file, by a digest it is believed."""
        if said["ContentLength"] != size:
            return False
        believed = self.believed()
        if "sha256" in believed and (stated := said.get("ChecksumSHA256")) is not None:
            return bool(stated == self._whole(local, size, hashlib.sha256, _base64))
        return "md5" in believed and said["ETag"].strip('"') == self._whole(local, size, _md5, bytes.hex)

    def _whole(self, local: Path, size: int, digest: Callable[[bytes], Any], written: Callable[[bytes], str]) -> str:
        """As the server writes the digest of this file."""
        if size <= self._part_bytes:
            return written(digest(local.read_bytes()).digest())
        parts = [digest(data).digest() for _, data in pieces(local, self._part_bytes)]
        return f"{written(digest(b''.join(parts)).digest())}-{len(parts)}"

    def _refuses(self, wrong: dict[str, str]) -> bool:
        name = f"{self._prefix}.greffier-{secrets.token_hex(4)}"
        try:
            sent = self._access.client.put_object(Bucket=self._bucket, Key=name, Body=b"x", **wrong)
        except ClientError as error:
            if code_of(error) in DENIED:
                raise
            return True
        self._remove(name, sent.get("VersionId"))
        return False


def pieces(local: Path, part_bytes: int) -> Iterator[tuple[int, bytes]]:
    """The parts of a file, numbered from 1."""
    with local.open("rb") as file:
        yield from enumerate(iter(lambda: file.read(part_bytes), b""), 1)


def sums(data: bytes) -> dict[str, str]:
    """What a server is to check as the bytes arrive: every one knows MD5, some SHA-256."""
    return {"ContentMD5": md5(data), "ChecksumSHA256": sha256(data)}


def sha256(data: bytes) -> str:
    """As S3 writes it: base64."""
    return _base64(hashlib.sha256(data).digest())


def md5(data: bytes) -> str:
    """As S3 writes it in a request: base64."""
    return _base64(_md5(data).digest())


def _md5(data: bytes) -> Any:
    return hashlib.md5(data, usedforsecurity=False)


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
