"""Models of names on disk: a spaCy pipeline, as its own `to_disk` writes it, or a wheel of one.

A folder with `config.cfg`, `meta.json` and a folder for each component (https://spacy.io/api/data-formats). All of
it is data: programs that lie beside it are left behind, and spaCy runs none from a folder that it loads.
"""

import json
from pathlib import Path, PurePosixPath

from agent.transcribe import archives
from agent.transcribe.archives import Members, ModelError, opened, pour

CONFIG, META = "config.cfg", "meta.json"
_PROGRAMS = frozenset({".py", ".pyc", ".pyd", ".so", ".dll", ".pkl", ".pickle"})


def is_one(folder: Path) -> bool:
    """Whether the folder is a pipeline."""
    return (folder / CONFIG).is_file() and (folder / META).is_file()


def root_of(source: Path) -> PurePosixPath | None:
    """Where in a folder or archive the pipeline is; None where there is none. Raises ModelError."""
    if source.is_dir():
        near = (source, *source.glob("*"), *source.glob("*/*"))
        roots = {PurePosixPath(f.relative_to(source).as_posix()) for f in near if is_one(f)}
    else:
        with opened(source) as members:
            paths = {path for path, _ in members}
        roots = {path.parent for path in paths if path.name == CONFIG and path.parent / META in paths}
    if len(roots) > 1:
        both = " and ".join(str(root) for root in sorted(roots)[:2])
        raise ModelError(f"{source}: more than one spaCy pipeline ({both}); add one of them")
    return next(iter(roots), None)


def copy(members: Members, root: PurePosixPath, folder: Path, source: Path) -> None:
    """Copy what lies under the root, counting bytes as they come out. Raises ModelError."""
    left = archives.MAX_BYTES
    for path, opener in members:
        if not path.is_relative_to(root) or path.suffix.lower() in _PROGRAMS:
            continue
        target = folder / path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        left = pour(opener, target, left, source)
    try:
        meta = json.loads((folder / META).read_bytes())
    except ValueError as error:
        raise ModelError(f"{source}: {META} is not JSON: {error}") from None
    if not isinstance(meta, dict) or not isinstance(meta.get("lang"), str):
        raise ModelError(f"{source}: {META} says no language (lang): expected a spaCy pipeline")
