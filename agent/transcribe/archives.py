"""What a folder or an archive holds, read without trusting it: regular files at paths that stay within.

Nothing is unpacked to where the archive says; whoever copies counts the bytes that come out (`MAX_BYTES`).
"""

import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

MAX_BYTES = 8 << 30
"""Most bytes that one model may unpack to (large-v3 in float32 is 6.2 GB)."""
MAX_MEMBERS = 1000
"""Most entries that an archive may list."""
_BLOCK = 1 << 20
_UNREADABLE = (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError)


class ModelError(ValueError):
    """A folder or archive is no usable model, or its files changed; the message says what to do."""


Members = Iterator[tuple[PurePosixPath, Callable[[], IO[bytes]]]]


@contextmanager
def opened(source: Path, *, deep: bool = False) -> Iterator[Members]:
    """The regular files of a folder or archive as (relative path, opener); `deep`: those in folders of a folder too.
    Raises ModelError."""
    try:
        if source.is_dir():
            yield _folder_members(source, "**/*" if deep else "*")
        elif zipfile.is_zipfile(source):
            with zipfile.ZipFile(source) as archive:
                yield _zip_members(archive)
        elif source.is_file() and tarfile.is_tarfile(source):
            with tarfile.open(source) as tar:
                yield _tar_members(tar)
        else:
            raise ModelError(f"{source}: expected a model folder, or a .tar, .tar.gz, .zip or .whl of one")
    except _UNREADABLE as error:
        raise ModelError(f"{source}: cannot be added: {error}") from None


def _folder_members(source: Path, pattern: str) -> Members:
    for path in sorted(source.glob(pattern)):
        if path.is_file():  # links are followed: the cache of a model hub consists of them
            yield PurePosixPath(path.relative_to(source).as_posix()), partial(_open, path)


def _open(path: Path) -> IO[bytes]:
    return path.open("rb")


def _zip_members(archive: zipfile.ZipFile) -> Members:
    for number, info in enumerate(archive.infolist()):
        mode = info.external_attr >> 16
        regular = not mode or stat.S_ISREG(mode) or stat.S_IFMT(mode) == 0
        path = _safe(info.filename, number, regular or info.is_dir())
        if not info.is_dir():
            yield path, partial(archive.open, info)


def _tar_members(tar: tarfile.TarFile) -> Members:
    for number, info in enumerate(tar):
        path = _safe(info.name, number, info.isfile() or info.isdir())
        if info.isfile():
            yield path, partial(_extract, tar, info)


def _extract(tar: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    file = tar.extractfile(info)
    if file is None:
        raise ModelError(f"archive entry {info.name!r} has no content")
    return file


def _safe(name: str, number: int, ordinary: bool) -> PurePosixPath:
    """The entry's path, or ModelError when a model has no business containing it."""
    path = PurePosixPath(name)
    if number >= MAX_MEMBERS:
        raise ModelError(f"archive lists more than {MAX_MEMBERS} entries: no model does")
    if not ordinary:
        raise ModelError(f"archive entry {name!r} is a link or device: refused")
    if path.is_absolute() or ".." in path.parts or "\\" in name:
        raise ModelError(f"archive entry {name!r} points outside the archive: refused")
    return path


def pour(opener: Callable[[], IO[bytes]], target: Path, left: int, source: Path) -> int:
    """Copy one file to where none is yet, and return how many of the bytes left are left. Raises ModelError."""
    with opener() as incoming, target.open("xb") as outgoing:
        while block := incoming.read(_BLOCK):
            left -= len(block)
            if left < 0:
                raise ModelError(f"{source}: unpacks to more than {MAX_BYTES >> 30} GiB: no model does")
            outgoing.write(block)
    return left
