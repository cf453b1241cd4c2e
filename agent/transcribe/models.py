"""Speech models on disk: one folder each, added by hand from a folder or an archive, with a digest that is checked.

A folder is what CTranslate2's converter writes for Whisper. The digest is reproducible with coreutils in the folder:
`sha256sum $(ls | LC_ALL=C sort) | sha256sum`.
"""

import hashlib
import json
import re
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

REQUIRED = ("model.bin", "config.json", "tokenizer.json")
VOCABULARY = ("vocabulary.txt", "vocabulary.json")
OPTIONAL = ("preprocessor_config.json",)
WANTED = frozenset((*REQUIRED, *VOCABULARY, *OPTIONAL))
MAX_BYTES = 8 << 30
"""Most bytes that one model may unpack to (large-v3 in float32 is 6.2 GB)."""
MAX_MEMBERS = 1000
"""Most entries that an archive may list."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_ARCHIVES = (".tar.gz", ".tgz", ".tar", ".zip")
_BLOCK = 1 << 20
_UNREADABLE = (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError)


class ModelError(ValueError):
    """A folder or archive is no usable speech model, or its files changed; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Model:
    """An installed model: its name, its folder, and the sha256 (hex) recorded when it was added."""

    name: str
    path: Path
    sha256: str


def add(source: Path, models_dir: Path, name: str | None = None) -> Model:
    """Copy the model in `source` (a folder, .tar, .tar.gz or .zip) to `models_dir/NAME` and record its digest.

    NAME defaults to the name of the folder or archive. Only the files a model consists of are taken; everything is
    checked before the folder appears under its name. Adding the same files again changes nothing. Raises ModelError.
    """
    name = name or _name_of(source)
    if not _NAME.fullmatch(name) or name.endswith(".sha256"):
        raise ModelError(f"{name!r} cannot be a model's name: letters, digits, dot, dash, underscore (at most 63)")
    models_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".adding-", dir=models_dir) as room:
        folder = Path(room) / "model"
        folder.mkdir(mode=0o755)
        with _opened(source) as members:
            _copy(members, folder, source)
        _require_model(folder, source)
        sha256 = digest(folder)
        target = models_dir / name
        if target.exists():
            if digest(target) != sha256:
                raise ModelError(f"a model named {name} is installed already with other files; remove it first")
        else:
            folder.rename(target)
    _record(models_dir, name).write_text(f"{sha256}  {name}\n", encoding="ascii")
    return Model(name, target, sha256)


def installed(models_dir: Path) -> tuple[Model, ...]:
    """The models added and not removed, the one added last at the end."""
    records = sorted(models_dir.glob("*.sha256"), key=lambda p: (p.stat().st_mtime_ns, p.name))
    names = [(record.name.removesuffix(".sha256"), record) for record in records]
    return tuple(
        Model(name, models_dir / name, record.read_text(encoding="ascii").split()[0])
        for name, record in names
        if (models_dir / name).is_dir()
    )


def check(model: Model) -> bool:
    """Whether the model's files are still those that were added (reads them all)."""
    return digest(model.path) == model.sha256


def remove(name: str, models_dir: Path) -> None:
    """Delete an installed model. Raises ModelError when there is none of that name."""
    if not _NAME.fullmatch(name) or not (models_dir / name).is_dir():
        raise ModelError(f"no model named {name} is installed")
    _record(models_dir, name).unlink(missing_ok=True)
    shutil.rmtree(models_dir / name)


def digest(folder: Path) -> str:
    """SHA-256 (hex) of the lines `HEX  NAME` of the folder's files, in order of name, as sha256sum prints them."""
    lines = []
    for path in sorted(p for p in folder.iterdir() if p.is_file()):
        with path.open("rb") as file:
            lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {path.name}\n")
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _record(models_dir: Path, name: str) -> Path:
    return models_dir / f"{name}.sha256"


def _name_of(source: Path) -> str:
    name = source.resolve().name
    return next((name.removesuffix(end) for end in _ARCHIVES if name.endswith(end)), name)


_Members = Iterator[tuple[PurePosixPath, Callable[[], IO[bytes]]]]


@contextmanager
def _opened(source: Path) -> Iterator[_Members]:
    """The regular files of a folder or archive as (relative path, opener). Raises ModelError."""
    try:
        if source.is_dir():
            yield _folder_members(source)
        elif zipfile.is_zipfile(source):
            with zipfile.ZipFile(source) as archive:
                yield _zip_members(archive)
        elif source.is_file() and tarfile.is_tarfile(source):
            with tarfile.open(source) as tar:
                yield _tar_members(tar)
        else:
            raise ModelError(f"{source}: expected a model folder, or a .tar, .tar.gz or .zip of one")
    except _UNREADABLE as error:
        raise ModelError(f"{source}: cannot be added: {error}") from None


def _folder_members(source: Path) -> _Members:
    for path in sorted(source.iterdir()):
        if path.is_file():  # links are followed: the cache of a model hub consists of them
            yield PurePosixPath(path.name), partial(_open, path)


def _open(path: Path) -> IO[bytes]:
    return path.open("rb")


def _zip_members(archive: zipfile.ZipFile) -> _Members:
    for number, info in enumerate(archive.infolist()):
        mode = info.external_attr >> 16
        regular = not mode or stat.S_ISREG(mode) or stat.S_IFMT(mode) == 0
        path = _safe(info.filename, number, regular or info.is_dir())
        if not info.is_dir():
            yield path, partial(archive.open, info)


def _tar_members(tar: tarfile.TarFile) -> _Members:
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
        raise ModelError(f"archive lists more than {MAX_MEMBERS} entries: no speech model does")
    if not ordinary:
        raise ModelError(f"archive entry {name!r} is a link or device: refused")
    if path.is_absolute() or ".." in path.parts or "\\" in name:
        raise ModelError(f"archive entry {name!r} points outside the archive: refused")
    return path


def _copy(members: _Members, folder: Path, source: Path) -> None:
    """Copy the wanted files, all from one folder of the source, counting bytes as they come out."""
    parent: PurePosixPath | None = None
    left = MAX_BYTES
    for path, opener in members:
        if path.name not in WANTED:
            continue
        if parent not in (None, path.parent):
            raise ModelError(f"{source}: files of a model in two folders ({parent} and {path.parent}); expected one")
        parent = path.parent
        with opener() as incoming, (folder / path.name).open("xb") as outgoing:
            while block := incoming.read(_BLOCK):
                left -= len(block)
                if left < 0:
                    raise ModelError(f"{source}: unpacks to more than {MAX_BYTES >> 30} GiB: no speech model does")
                outgoing.write(block)


def _require_model(folder: Path, source: Path) -> None:
    here = {p.name for p in folder.iterdir()}
    missing = [name for name in REQUIRED if name not in here]
    if not here & set(VOCABULARY):
        missing.append(" or ".join(VOCABULARY))
    if missing:
        raise ModelError(
            f"{source}: no {', '.join(missing)}; expected a Whisper model converted to CTranslate2 "
            "(model.bin, config.json, tokenizer.json, vocabulary.txt)"
        )
    for name in ("config.json", "tokenizer.json"):
        try:
            json.loads((folder / name).read_bytes())
        except ValueError as error:
            raise ModelError(f"{source}: {name} is not JSON: {error}") from None
