"""The section `[names]`: the models that find names in what was said, and what their labels mean."""

from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator

from agent.config.section import Patterns, Section, listed
from agent.model.redaction import SecretKind


class Named(StrEnum):
    """What models find, as the configuration calls it."""

    NAME = "name"
    PLACE = "place"
    ORGANISATION = "organisation"


LABELS: dict[Named, tuple[str, ...]] = {
    Named.NAME: ("PER", "PERSON"),
    Named.PLACE: ("LOC", "GPE", "FAC"),
    Named.ORGANISATION: ("ORG",),
}
"""Those of spaCy's own models: WikiNER's (French and others), OntoNotes' (English)."""

Labels = Annotated[tuple[str, ...], BeforeValidator(listed), Field(max_length=64)]


class Names(Section):
    """`[names]`. Nothing in it: no names are found, and no purpose may hide any."""

    models: Patterns = Field(default=(), max_length=16)
    """Names of installed models (`greffier model list`), one for each language that is spoken."""
    labels: dict[Named, Labels] = LABELS
    """Which labels of the models are names, places and organisations; a sort that is not named has the usual ones."""

    @field_validator("labels")
    @classmethod
    def _whole(cls, labels: dict[Named, tuple[str, ...]]) -> dict[Named, tuple[str, ...]]:
        whole = LABELS | labels
        every = [label for some in whole.values() for label in some]
        if twice := sorted({label for label in every if every.count(label) > 1}):
            raise ValueError(f"the label {twice[0]} is given twice")
        return whole

    @property
    def kinds(self) -> dict[str, SecretKind]:
        """What each label means."""
        return {label: SecretKind(sort.value) for sort, some in self.labels.items() for label in some}
