"""What redaction finds in what was said, and what may become of it."""

from dataclasses import dataclass, field
from enum import StrEnum


class SecretKind(StrEnum):
    """What was said that not everybody may read."""

    CARD = "card"
    CVV = "cvv"
    EXPIRY = "expiry"
    IBAN = "iban"
    NIR = "nir"
    PHONE = "phone"
    EMAIL = "email"
    ADDRESS = "address"
    NAME = "name"
    PLACE = "place"
    ORGANISATION = "organisation"


NAMED = frozenset({SecretKind.NAME, SecretKind.PLACE, SecretKind.ORGANISATION})
"""What no rule finds, only a model that the site supplies."""


class Treatment(StrEnum):
    """What becomes of a secret of a kind: a mask says what was there, a pseudonym also whether it was the same."""

    KEEP = "keep"
    MASK = "mask"
    PSEUDONYMISE = "pseudonymise"


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive words of one channel, seconds from the call's media origin."""

    channel: int
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Secret:
    """One thing that was said. `words` are positions in the conversation, in order, of either party; `stretches` where
    they are heard. `value` is what was understood, for pseudonyms only: it must never be written anywhere."""

    kind: SecretKind
    words: tuple[int, ...]
    stretches: tuple[Stretch, ...]
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Policy:
    """How a purpose treats each kind; those not named are kept."""

    mask: frozenset[SecretKind] = frozenset()
    pseudonymise: frozenset[SecretKind] = frozenset()

    def of(self, kind: SecretKind) -> Treatment:
        """The treatment of a kind; a mask is stronger than a pseudonym."""
        if kind in self.mask:
            return Treatment.MASK
        return Treatment.PSEUDONYMISE if kind in self.pseudonymise else Treatment.KEEP

    @property
    def hidden(self) -> frozenset[SecretKind]:
        """The kinds that are not kept."""
        return self.mask | self.pseudonymise


NO_REDACTION = Policy()
