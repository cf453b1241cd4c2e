"""What a person whom calls are about may ask for (GDPR art. 15, 17, 18, 21), and what became of it."""

from dataclasses import dataclass
from enum import StrEnum


class Right(StrEnum):
    """What was asked for. FIND only says what there is; LIFT ends a restriction."""

    FIND = "find"
    ACCESS = "access"
    ERASE = "erase"
    RESTRICT = "restrict"
    LIFT = "lift"
    OBJECT = "object"


@dataclass(frozen=True, slots=True)
class PersonRequest:
    """One request at UTC `at_ns`. `shown` is the beginning of the number's keyed hash, `reference` that of the person's
    own letter. `number` is given by the catalog; `record_sha256` is empty until the signed record is written."""

    right: Right
    actor: str
    reason: str
    reference: str
    shown: str
    at_ns: int
    record_sha256: str = ""
    number: int = 0


class Fate(StrEnum):
    """What becomes, or became, of one purpose of a call that was to be erased."""

    NONE = "none"
    """Nothing of it is kept, here or at the centre."""
    KEPT = "kept"
    """Its basis demands it: contract or legal obligation."""
    HELD = "held"
    """A legal hold, or a restriction, comes first; it is erased when that ends."""
    PENDING = "pending"
    """Asked for; the scribe has not done it yet. Nothing of it is sent meanwhile."""
    ERASED = "erased"
    """Destroyed here; what had left was called back."""
    UNKNOWN = "unknown"
    """Its purpose is not configured any more, so that nobody can tell its readers."""
    STAYS = "stays"
    """Nobody asked for its erasure."""
