"""What a destination is: it takes a file and returns only when it has read back the very bytes."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

PIECE_BYTES = 1 << 20


class Retry(Exception):
    """Not delivered for a reason that may pass by itself: nothing there, time-out, full. The words are for people."""


class Poison(Exception):
    """Not delivered, and somebody must mend something: credentials, bucket, certificate, the local file."""


class Unsupported(Exception):
    """This kind of destination knows nothing of what it is asked for."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What the centre is told of an object: kept until (UTC ns; 0: no date), under legal hold, and tags."""

    retain_until_ns: int = 0
    held: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)


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


class Throttle(Protocol):
    """How fast may be sent."""

    def take(self, count: int) -> None:
        """Returns when so many bytes more may be sent."""


class Unlimited:
    """As fast as the network goes."""

    def take(self, count: int) -> None:
        """See Throttle.take."""


class Destination(Protocol):
    """One `[destination.NAME]`, used by one thread at a time. Every method raises Retry or Poison."""

    name: str

    def put(self, local: Path, key: str, cipher_sha256: str, size: int, resume: UploadState, terms: Terms) -> Receipt:
        """Deliver a file under `key`, with the terms as far as this kind knows of such; harmless when it is there."""

    def hold(self, key: str, held: bool) -> None:
        """Put a legal hold on what is under `key`, or lift it. Raises Unsupported too."""

    def destroy(self, key: str) -> None:
        """Delete what is under `key`, in every version; harmless when there is nothing. A lock that forbids it is named
        in Poison."""

    def abandon(self, key: str, resume: UploadState) -> None:
        """Let go of what a delivery under `key` began and did not finish; harmless when it began nothing. What it did
        finish stays."""

    def sweep(self, remembered: Collection[str]) -> None:
        """Let go of uploads of ours that nobody remembers: begun long ago, of an id that is not among these."""

    def check(self) -> None:
        """Write, read back and delete a small file."""


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
