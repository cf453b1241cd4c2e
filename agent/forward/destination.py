"""What a destination is: it takes a file and returns only when it has read back the very bytes."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

PIECE_BYTES = 1 << 20


class Retry(Exception):
    """Not delivered for a reason that may pass by itself: nothing there, time-out, full. The words are for people."""


class Poison(Exception):
    """Not delivered, and somebody must mend something: credentials, bucket, certificate, the local file."""


class Unsupported(Exception):
    """This kind of destination cannot do that at all. The words are for people."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The artifact is at `where`, read back and found to be what was sent."""

    where: str


class UploadState(Protocol):
    """Remembers an unfinished multipart upload beyond the death of the process."""

    @property
    def upload_id(self) -> str | None:
        """The upload that was begun and not finished."""

    def remember(self, upload_id: str | None) -> None:
        """Durable when this returns."""


class Destination(Protocol):
    """One `[destination.NAME]`, used by one thread at a time."""

    name: str

    def put(self, local: Path, key: str, cipher_sha256: str, size: int, resume: UploadState) -> Receipt:
        """Deliver a file under `key`; harmless when it is there already. Raises Retry or Poison."""

    def abandon(self, key: str, resume: UploadState) -> None:
        """Let go of what a delivery under `key` began and did not finish; harmless when it began nothing. What it did
        finish stays. Raises Retry or Poison."""

    def hold(self, key: str, held: bool) -> None:
        """Place or lift a legal hold on what is there under `key`. Raises Retry, Poison, Unsupported."""

    def destroy(self, key: str) -> None:
        """Delete what is there under `key`; harmless when nothing is. Raises Retry, or Poison, naming the lock that
        forbids it."""

    def check(self) -> None:
        """Write, read back and delete a small file. Raises Retry or Poison."""


def sha256_of(local: Path) -> str:
    """SHA-256 of a local file, hexadecimal. Raises Poison when it cannot be read."""
    digest = hashlib.sha256()
    try:
        with local.open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                digest.update(piece)
    except OSError as error:
        raise Poison(f"the local file cannot be read: {error.strerror}") from None
    return digest.hexdigest()


def unchanged(local: Path, cipher_sha256: str) -> None:
    """Raises Poison unless the local file is what the catalog says."""
    if sha256_of(local) != cipher_sha256:
        raise Poison("the local file is not what was written (its SHA-256 is another); it is not sent")
