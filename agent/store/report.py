"""What a verification found, and what its checks of files need: digests, opening with a key, paths that stay inside."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from agent.vault.age import WrongKey, decrypt

if TYPE_CHECKING:
    from agent.store.proof import Proof

PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not as it was written: where, and what is wrong with it."""

    where: str
    what: str


@dataclass(slots=True)
class Report:
    """What was looked at, how many of each, what was wrong, and what is proven of each manifest."""

    problems: list[Problem] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    proofs: list["Proof"] = field(default_factory=list)

    def count(self, what: str, number: int = 1) -> None:
        """So many more were looked at."""
        self.counts[what] = self.counts.get(what, 0) + number

    def bad(self, where: str, what: str) -> None:
        """One is not as it was written."""
        self.problems.append(Problem(where, what))


def inside(path: object) -> str:
    """A path that a document names, if it stays below the folder. Raises ValueError."""
    pure = PurePosixPath(str(path))
    if pure.is_absolute() or ".." in pure.parts:
        raise ValueError("a path that leads elsewhere")
    return str(pure)


def opened(path: Path, identities: Sequence[str]) -> bytes | None:
    """What the file says; None when no identity opens it, or it is gone."""
    for identity in identities:
        try:
            return decrypt(path.read_bytes(), identity)
        except (WrongKey, OSError):
            continue
    return None


def sha256_of(path: Path) -> str:
    """Hex digest of a file's content. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()
