"""Secret files: written whole or not at all, readable by their owner only, refused when others could read them."""

import os
import secrets
import stat
from pathlib import Path


def create_secret(path: Path, nbytes: int = 32) -> bytes:
    """Write `nbytes` fresh random bytes to a new file and return them. Raises FileExistsError."""
    if path.exists():
        raise FileExistsError(f"{path} exists already")
    secret = secrets.token_bytes(nbytes)
    write_private(path, secret)
    return secret


def read_secret(path: Path) -> bytes:
    """The bytes of a secret file. Raises PermissionError when others may read it, ValueError when it is empty."""
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if mode & (stat.S_IROTH | stat.S_IWGRP | stat.S_IWOTH):
            raise PermissionError(f"{path} is open to others; mend it with: chmod 600 {path}")
        data = file.read()
    if not data:
        raise ValueError(f"{path} is empty")
    return data


def write_private(path: Path, data: bytes) -> None:
    """Replace `path` by `data` atomically, mode 0600; durable when this returns (file and folder are synced)."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
