"""Where fetched files are kept: each is there whole, checked and durable under its name, or only as a partial file.

`INTO/PURPOSE/NAME.age`, its receipt beside it as `NAME.age.receipt.json`; partial files, the cursor and a lock are in
`INTO/.greffier-pull/`. Nothing but regular files below INTO is ever written, replaced or deleted.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from greffier_pull.feed import Destroyed, Item, PullError, TryAgain

if os.name == "posix":
    import fcntl

PIECE = 1 << 20


class WrongDigest(Exception):
    """What was fetched is not what the feed says."""


class Depot:
    """A folder for one purpose, used by one process at a time."""

    def __init__(self, into: Path, purpose: str) -> None:
        self._into, self._purpose = into, purpose
        self._own = into / ".greffier-pull"
        self._state = self._own / f"{purpose}.json"

    @contextmanager
    def taken(self) -> Iterator[None]:
        """For us alone. Raises PullError when another process pulls into it, or it cannot be written."""
        try:
            for folder in (self._into, self._own, self._into / self._purpose):
                folder.mkdir(mode=0o750, parents=True, exist_ok=True)
            lock = os.open(self._own / f"{self._purpose}.lock", os.O_RDWR | os.O_CREAT, 0o640)
        except OSError as error:
            raise PullError(f"{self._into}: {error.strerror}") from None
        try:
            if os.name == "posix":
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    raise PullError(f"{self._into}: another process pulls {self._purpose} into it") from None
            yield
        finally:
            os.close(lock)

    # ---- how far the feed was read

    def cursor(self, url: str) -> str | None:
        """Where to go on; None: from the beginning, as after a change of the box."""
        try:
            said = json.loads(self._state.read_bytes())
            return str(said["cursor"]) if said["url"] == url else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def remember(self, url: str, cursor: str | None) -> None:
        """Durable when this returns."""
        said = {"url": url, "purpose": self._purpose, "cursor": cursor}
        if cursor is None:
            self._state.unlink(missing_ok=True)
        else:
            self._write(self._state, json.dumps(said).encode())

    # ---- files

    def file(self, item: Item) -> Path:
        """Where it lies, or will."""
        return self._into / item.path

    def receipt(self, item: Item) -> Path:
        """Where its receipt lies, or will."""
        return self._into / item.path.parent / f"{item.path.name}.receipt.json"

    def has(self, item: Item) -> bool:
        """Whether the very file is here. Raises PullError when another lies under its name."""
        path = self.file(item)
        if not path.exists():
            return False
        if sha256_of(path) != item.sha256:
            raise PullError(f"{path}: another file has this name; move it away")
        return True

    def begun(self, item: Item) -> int:
        """How many bytes of it are here."""
        try:
            size = self._partial(item).stat().st_size
        except FileNotFoundError:
            return 0
        return size if size <= item.size else 0

    def store(self, item: Item, start: int, pieces: Iterator[bytes]) -> Iterator[int]:
        """Write the bytes from `start` on; yields how many are here. The file has its name when the last was yielded.

        Raises WrongDigest (then nothing is left); TryAgain, and whatever `pieces` does (then it is taken up again).
        """
        partial = self._partial(item)
        digest = hashlib.sha256()
        with partial.open("r+b" if start else "wb") as file:
            here = 0
            while here < start and (piece := file.read(min(PIECE, start - here))):
                digest.update(piece)
                here += len(piece)
            file.truncate(start)
            for piece in pieces:
                file.write(piece)
                digest.update(piece)
                here += len(piece)
                if here > item.size:
                    break
                yield here
            file.flush()
            os.fsync(file.fileno())
        if here < item.size:
            raise TryAgain(f"{item.path}: the connection was cut")
        if digest.hexdigest() != item.sha256:
            partial.unlink()
            raise WrongDigest
        partial.chmod(0o640)
        partial.replace(self.file(item))
        _sync(self.file(item).parent)
        yield here

    def keep_receipt(self, item: Item, receipt: bytes) -> None:
        """Durable when this returns."""
        self._write(self.receipt(item), receipt)

    def destroy(self, destroyed: Destroyed) -> bool:
        """Delete what a tombstone calls back, if the very file is here; its receipt stays, as proof that it was."""
        path = self._into / destroyed.path
        if not path.is_file() or path.is_symlink() or sha256_of(path) != destroyed.sha256:
            return False
        path.unlink()
        _sync(path.parent)
        return True

    def forget(self, item: Item) -> None:
        """Nothing of it is kept: it was taken back before it was acknowledged."""
        self._partial(item).unlink(missing_ok=True)
        if self.file(item).exists() and not self.receipt(item).exists():
            self.destroy(Destroyed(item.path, item.sha256))

    def _partial(self, item: Item) -> Path:
        return self._own / f"{item.id}.{item.sha256[:16]}.partial"

    def _write(self, path: Path, data: bytes) -> None:
        partial = self._own / f"{path.name}.new"
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        _sync(path.parent)


def sha256_of(path: Path) -> str:
    """Of a file's content. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(folder: Path) -> None:
    """Make names durable, where folders can be synced."""
    with suppress(PermissionError):  # Windows
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
