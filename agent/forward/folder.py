"""A folder as destination: a disk, or a mounted share. A file appears there whole and checked, or not at all."""

import os
import secrets
import shutil
from pathlib import Path

from agent.forward.destination import Poison, Receipt, Retry, Unsupported, UploadState, sha256_of, unchanged
from agent.vault.secretfile import sync_folder


class FolderDestination:
    """Files under `root`/`prefix`, at the artifact's own path."""

    def __init__(self, name: str, root: Path, prefix: str = "") -> None:
        self.name = name
        self._root = root
        self._prefix = prefix

    def put(self, local: Path, key: str, cipher_sha256: str, size: int, resume: UploadState) -> Receipt:
        """See Destination.put. A different file of the same name is never replaced."""
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

    def abandon(self, key: str, resume: UploadState) -> None:
        """See Destination.abandon."""
        if not self._root.is_dir():
            raise Retry(f"{self._root}: it is not there")
        try:
            _partial(self._root / self._prefix / key).unlink(missing_ok=True)
        except OSError as error:
            raise Retry(f"{self._root}: {error.strerror}") from None

    def hold(self, key: str, held: bool) -> None:
        """See Destination.hold."""
        raise Unsupported("a folder knows no legal hold; it is not deleted from here meanwhile")

    def destroy(self, key: str) -> None:
        """See Destination.destroy."""
        if not self._root.is_dir():
            raise Retry(f"{self._root}: it is not there")
        target = self._root / self._prefix / key
        try:
            target.unlink(missing_ok=True)
            if target.parent.is_dir():
                sync_folder(target.parent)
        except PermissionError as error:
            raise Poison(f"{target}: it may not be deleted ({error.strerror})") from None
        except OSError as error:
            raise Retry(f"{self._root}: {error.strerror}") from None

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

    @staticmethod
    def _write(local: Path, target: Path) -> None:
        partial = _partial(target)
        try:
            with local.open("rb") as source, partial.open("wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
                sink.flush()
                os.fsync(sink.fileno())
            partial.rename(target)
        except OSError:
            partial.unlink(missing_ok=True)
            raise
        folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _partial(target: Path) -> Path:
    """Where a file lies while it is written."""
    return target.with_name(f".{target.name}.partial")
