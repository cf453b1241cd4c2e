"""A small model that finds names: a real spaCy pipeline of rules, saved to disk as every pipeline is."""

import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path

import spacy

KNOWS = {
    "PER": ("Jean Dupont", "Amélie", "Grandet"),
    "LOC": ("Paris", "Élysée", "La Rochelle"),
    "ORG": ("Orange",),
}


def pipeline(folder: Path, language: str = "fr", knows: Mapping[str, tuple[str, ...]] = KNOWS) -> Path:
    """A pipeline that knows these names, in a folder of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = spacy.blank(language)
    ruler = made.add_pipe("entity_ruler")
    ruler.add_patterns([{"label": label, "pattern": name} for label, some in knows.items() for name in some])
    folder.mkdir(parents=True, exist_ok=True)
    made.to_disk(folder)
    return folder


def wheel(folder: Path, made: Path) -> Path:
    """The same as a package that pip would install."""
    package = folder / "package"
    shutil.copytree(made, package / "fr_small" / "fr_small-1.0.0")
    (package / "fr_small" / "__init__.py").write_text("raise SystemExit('never run')\n")
    (package / "fr_small" / "fr_small-1.0.0" / "extra.py").write_text("raise SystemExit('never run')\n")
    shutil.copy(made / "meta.json", package / "fr_small" / "meta.json")
    packed = Path(shutil.make_archive(str(folder / "packed"), "zip", package))
    return packed.rename(folder / "fr_small-1.0.0-py3-none-any.whl")
