"""A folder as destination: a disk, or a mounted share. A file appears there whole and checked, or not at all."""

import os
import secrets
from collections.abc import Collection
from pathlib import Path

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
    sha256_of,
    unchanged,
)
from agent.vault.secretfile import sync_folder


class FolderDestination:
    """Files under `root`/`prefix`, at the artifact's own path."""

    def __init__(self, name: str, root: Path, prefix: str = "", throttle: Throttle | None = None) -> None:
        self.name = name
        self._root = root
        self._prefix = prefix
        self._throttle = throttle or Unlimited()

    def put(self, local: Path, key: str, cipher_sha256: str, size: int, resume: UploadState, terms: Terms) -> Receipt:
        """See Destination.put. A different file of the same name is never replaced; a folder knows no terms."""
        unchanged(local, cipher_sha256)
        target = self._root / self._prefix / key
        try:
            self._make_root()
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists():
                if sha256_of(target) != cipher_sha256:
                    raise Poison(f"another file has this name at {self.name}; move it away")
                return Receipt(str(target))
            self._write(local, target)
        except OSError as error:
            raise Retry(f"{self._root}: {error.strerror}") from None
        if sha256_of(target) != cipher_sha256:
            target.unlink(missing_ok=True)
            raise Retry("what was read back is not what was written; it was removed there")
        return Receipt(str(target))

    def hold(self, key: str, held: bool) -> None:
        """See Destination.hold."""
        raise Unsupported("a folder knows no legal hold")

    def destroy(self, key: str) -> None:
        """See Destination.destroy."""
        target = self._root / self._prefix / key
        try:
            self._there()
            target.unlink(missing_ok=True)
            _partial(target).unlink(missing_ok=True)
            if target.parent.is_dir():
                sync_folder(target.parent)
        except OSError as error:
            raise Retry(f"{self._root}: {error.strerror}") from None

    def abandon(self, key: str, resume: UploadState) -> None:
        """See Destination.abandon."""
        try:
            self._there()
            _partial(self._root / self._prefix / key).unlink(missing_ok=True)
        except OSError as error:
            raise Retry(f"{self._root}: {error.strerror}") from None

    def sweep(self, remembered: Collection[str]) -> None:
        """See Destination.sweep: a partial file is removed as soon as writing it fails, or written over."""

    def check(self) -> None:
        """See Destination.check."""
        trial = self._root / self._prefix / f".greffier-{secrets.token_hex(4)}"
        try:
            self._make_root()
            trial.parent.mkdir(parents=True, exist_ok=True)
            trial.write_bytes(b"trial")
            if trial.read_bytes() != b"trial":
                raise Retry("what is written there is not what is read back")
            trial.unlink()
        except OSError as error:
            raise Retry(f"{self._root}: {error.strerror}") from None

    def _make_root(self) -> None:
        """The folder itself may be made, its parent must be there: a share that is not mounted stays an error."""
        self._root.mkdir(exist_ok=True)

    def _there(self) -> None:
        """A share that is not mounted has nothing deleted by finding nothing. Raises Retry."""
        if not self._root.is_dir():
            raise Retry(f"{self._root}: it is not there")

    def _write(self, local: Path, target: Path) -> None:
        partial = _partial(target)
        try:
            with local.open("rb") as source, partial.open("wb") as sink:
                while piece := source.read(PIECE_BYTES):
                    self._throttle.take(len(piece))
                    sink.write(piece)
                sink.flush()
                os.fsync(sink.fileno())
            partial.rename(target)
        except BaseException:  # also when the courier stops on the way
            partial.unlink(missing_ok=True)
            raise
        sync_folder(target.parent)


def _partial(target: Path) -> Path:
    """Where a file lies while it is written."""
    return target.with_name(f".{target.name}.partial")
