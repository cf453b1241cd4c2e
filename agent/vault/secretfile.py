"""Secret files: written whole or not at all, readable by their owner only, refused when others could read them."""

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
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


def write_private(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace `path` by `data` atomically, mode 0600 unless told otherwise; durable when this returns (file and folder
    are synced).

    Made by root, it belongs to the owner of its folder.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            hand_over(descriptor, path.parent)
            os.fchmod(descriptor, mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def hand_over(descriptor: int, folder: Path) -> None:
    """What root made belongs to the owner of the folder it is in, so that a service may read it.

    By descriptor, never by name, and not if it has a second name: whoever owns the folder may have put a link to
    another file there.
    """
    made = os.fstat(descriptor)
    if os.geteuid() == 0 and (stat.S_ISDIR(made.st_mode) or made.st_nlink == 1):
        owner = folder.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


@contextmanager
def as_owner(folder: Path) -> Iterator[None]:
    """Root is the owner of the folder meanwhile: links that lie there lead root nowhere the owner could not go."""
    owner = folder.stat()
    if os.geteuid() != 0 or owner.st_uid == 0:
        yield
        return
    group = os.getegid()
    os.setegid(owner.st_gid)
    os.seteuid(owner.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)


def make_folder(path: Path) -> None:
    """A folder of mode 0750, unless it is there; made by root, it belongs to the owner of the folder above."""
    try:
        path.mkdir(mode=0o750, parents=True)
    except FileExistsError:
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        hand_over(descriptor, path.parent)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Make names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
