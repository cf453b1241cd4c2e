"""Models on disk: one folder each, added by hand from a folder or an archive, with a digest that is checked.

A speech model is what CTranslate2's converter writes for Whisper, a model of names a spaCy pipeline (`pipelines`). The
digest is reproducible with coreutils in the folder:
`find -type f -printf '%P\\n' | LC_ALL=C sort | xargs sha256sum | sha256sum`.
"""

import hashlib
import json
import re
import shutil
import tempfile
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath

from agent.transcribe import archives, pipelines
from agent.transcribe.archives import Members, ModelError, opened, pour

__all__ = ["ModelError"]

REQUIRED = ("model.bin", "config.json", "tokenizer.json")
VOCABULARY = ("vocabulary.txt", "vocabulary.json")
OPTIONAL = ("preprocessor_config.json",)
WANTED = frozenset((*REQUIRED, *VOCABULARY, *OPTIONAL))
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_ARCHIVES = (".tar.gz", ".tgz", ".tar", ".zip", ".whl")


class Kind(StrEnum):
    """What a model is for."""

    SPEECH = "speech"
    NAMES = "names"


@dataclass(frozen=True, slots=True)
class Model:
    """An installed model: its name, its folder, and the sha256 (hex) recorded when it was added."""

    name: str
    path: Path
    sha256: str

    @property
    def kind(self) -> Kind:
        """By its files."""
        return Kind.NAMES if pipelines.is_one(self.path) else Kind.SPEECH


def add(source: Path, models_dir: Path, name: str | None = None) -> Model:
    """Copy the model in `source` (a folder, .tar, .tar.gz, .zip or .whl) to `models_dir/NAME` and record its digest.

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
        root = pipelines.root_of(source)
        with opened(source, deep=root is not None) as members:
            if root is not None:
                pipelines.copy(members, root, folder, source)
            else:
                _copy(members, folder, source)
        if root is None:
            _require_speech_model(folder, source)
        sha256 = digest(folder)
        target = models_dir / name
        if target.exists():
            if digest(target) != sha256:
                raise ModelError(f"a model named {name} is installed already with other files; remove it first")
        else:
            folder.rename(target)
    _record(models_dir, name).write_text(f"{sha256}  {name}\n", encoding="ascii")
    return Model(name, target, sha256)


def installed(models_dir: Path, kind: Kind | None = None) -> tuple[Model, ...]:
    """The models added and not removed, the one added last at the end; all kinds without one."""
    records = sorted(models_dir.glob("*.sha256"), key=lambda p: (p.stat().st_mtime_ns, p.name))
    names = [(record.name.removesuffix(".sha256"), record) for record in records]
    found = [
        Model(name, models_dir / name, record.read_text(encoding="ascii").split()[0])
        for name, record in names
        if (models_dir / name).is_dir()
    ]
    return tuple(model for model in found if kind in (None, model.kind))


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
    """SHA-256 (hex) of the lines `HEX  PATH` of the folder's files, in order of path, as sha256sum prints them."""
    lines = []
    for path in sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()):
        with (folder / path).open("rb") as file:
            lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {path}\n")
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _record(models_dir: Path, name: str) -> Path:
    return models_dir / f"{name}.sha256"


def _name_of(source: Path) -> str:
    name = source.resolve().name
    bare = next((name.removesuffix(end) for end in _ARCHIVES if name.endswith(end)), name)
    return bare.partition("-")[0] if name.endswith(".whl") else bare


def _copy(members: Members, folder: Path, source: Path) -> None:
    """Copy the wanted files, all from one folder of the source, counting bytes as they come out."""
    parent: PurePosixPath | None = None
    left = archives.MAX_BYTES
    for path, opener in members:
        if path.name not in WANTED:
            continue
        if parent not in (None, path.parent):
            raise ModelError(f"{source}: files of a model in two folders ({parent} and {path.parent}); expected one")
        parent = path.parent
        left = pour(opener, folder / path.name, left, source)


def _require_speech_model(folder: Path, source: Path) -> None:
    here = {p.name for p in folder.iterdir()}
    missing = [name for name in REQUIRED if name not in here]
    if not here & set(VOCABULARY):
        missing.append(" or ".join(VOCABULARY))
    if missing:
        raise ModelError(
            f"{source}: no {', '.join(missing)}; expected a Whisper model converted to CTranslate2 "
            "(model.bin, config.json, tokenizer.json, vocabulary.txt), or a spaCy pipeline (config.cfg, meta.json)"
        )
    for name in ("config.json", "tokenizer.json"):
        try:
            json.loads((folder / name).read_bytes())
        except ValueError as error:
            raise ModelError(f"{source}: {name} is not JSON: {error}") from None
