"""Models that find names in running text: spaCy pipelines that the site supplies, one for each language.

Loaded from their folders as they were added, never from a network: a model whose files changed, that cannot be loaded,
or that knows none of the labels that are asked for, is an error that says what to do. What a model has read it forgets:
a vocabulary that grew with every call would keep the names of all of them.
"""

import warnings
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING

from agent.model.redaction import SecretKind
from agent.transcribe.models import Kind, Model, check, installed
from agent.transcribe.redaction.named import Entity

if TYPE_CHECKING:
    from spacy.language import Language

MULTILINGUAL = "xx"
"""What spaCy calls the language of a model for many; it reads what has no model of its own."""


class NamesError(Exception):
    """Names cannot be found: what is missing, and what to do."""


class NameModel:
    """One pipeline. `language` is ISO 639-1, or `MULTILINGUAL`; `kinds` are what it can find; `remarks` what spaCy has
    to say of it."""

    def __init__(self, model: Model, labels: Mapping[str, SecretKind]) -> None:
        """`labels`: what each label of the model means. Raises NamesError."""
        self.name, self.sha256 = model.name, model.sha256
        self._labels = labels
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            self._nlp = _loaded(model)
        self.remarks = tuple(sorted({text for one in said if (text := str(one.message)).startswith("[W")}))
        self.language = self._nlp.lang or ""
        known = {label for some in self._nlp.pipe_labels.values() for label in some}
        self.kinds = frozenset(kind for label, kind in labels.items() if label in known)
        if not self.kinds:
            raise NamesError(
                f"model {model.name} has none of the labels {', '.join(sorted(labels))} "
                f"(it has: {', '.join(sorted(known)[:20]) or 'none'}): say what its labels mean in [names] labels"
            )

    def entities(self, texts: Sequence[str]) -> list[list[Entity]]:
        """The names in each text. Raises NamesError where the model breaks."""
        try:
            with self._nlp.memory_zone():
                return [
                    [
                        Entity(kind, span.start_char, span.end_char)
                        for span in doc.ents
                        if (kind := self._labels.get(span.label_)) is not None
                    ]
                    for doc in self._nlp.pipe(texts)
                ]
        except Exception as error:  # of a model that anybody may have made; what it says might be of words spoken
            raise NamesError(f"model {self.name} broke over a text ({type(error).__name__})") from None


class Names:
    """The models of a site, by language."""

    def __init__(self, models: Sequence[NameModel]) -> None:
        """Raises NamesError where two are of one language."""
        self.models = tuple(models)
        self._by_language: dict[str, NameModel] = {}
        for model in models:
            other = self._by_language.setdefault(model.language, model)
            if other is not model:
                raise NamesError(
                    f"models {other.name} and {model.name} are both for {model.language}: name one of them"
                )

    def why_not(self, language: str, kinds: Set[SecretKind]) -> str:
        """Why these kinds cannot be found in a language; empty where they can."""
        model = self._of(language)
        if model is None:
            return f"no model finds names in the language {language} ([names] models)"
        missing = ", ".join(sorted(kinds - model.kinds))
        return f"model {model.name} knows no label of {missing} ([names] labels)" if missing else ""

    def __call__(self, texts: Sequence[str], language: str) -> list[list[Entity]]:
        """The names in texts of a language. Raises NamesError, also where no model is for it."""
        model = self._of(language)
        if model is None:
            raise NamesError(self.why_not(language, frozenset()))
        return model.entities(texts)

    def _of(self, language: str) -> NameModel | None:
        return self._by_language.get(language.lower()[:2]) or self._by_language.get(MULTILINGUAL)


def load_names(names: Sequence[str], models_dir: Path, labels: Mapping[str, SecretKind]) -> Names:
    """The models of these names, all of them. Raises NamesError."""
    known = {model.name: model for model in installed(models_dir, Kind.NAMES)}
    if missing := [name for name in names if name not in known]:
        have = ", ".join(known) or "none"
        raise NamesError(
            f"no model of names is installed as {missing[0]} (known: {have}): `greffier model add PATH` takes a spaCy "
            "pipeline, as a folder or wheel"
        )
    return Names([NameModel(known[name], labels) for name in names])


def _loaded(model: Model) -> "Language":
    try:
        import spacy  # noqa: PLC0415 - an extra, and it takes a second
        from spacy.about import __version__  # noqa: PLC0415
    except ImportError:
        raise NamesError(
            "models of names need spaCy, which is not installed here: pip install 'spacy>=3.8.7,<3.9'"
        ) from None
    if not check(model):
        raise NamesError(
            f"{model.path}: files differ from the sha256 recorded when the model was added; "
            f"run `greffier model remove {model.name}` and add it again"
        )
    try:
        return spacy.load(model.path)
    except Exception as error:  # of whatever the files make it do
        first = (str(error).strip().splitlines() or [""])[0][:200]
        raise NamesError(
            f"model {model.name} cannot be loaded by spaCy {__version__}: {type(error).__name__}: {first}"
        ) from None
