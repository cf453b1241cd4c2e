"""Legal holds: what must be kept whatever its deadline says, because a court or an authority may ask for it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LegalHold:
    """One hold of a case. What is None (or, of `numbers`, empty) is not asked; what is given must all be so.

    `numbers` are keyed hashes of every writing of one number. `from_ns` to `to_ns` (UTC, half-open) is when calls took
    place; `until_ns` is when the hold ends by itself. `asked_ns`, `asked_by`: a first person wants it released.
    `ended_ns`: when it ended. `number` is given by the catalog.
    """

    case: str
    actor: str
    reason: str
    at_ns: int
    call_id: str | None = None
    numbers: frozenset[str] = frozenset()
    purpose: str | None = None
    from_ns: int | None = None
    to_ns: int | None = None
    until_ns: int | None = None
    asked_ns: int | None = None
    asked_by: str | None = None
    ended_ns: int | None = None
    number: int = 0

    @property
    def is_open(self) -> bool:
        """Whether it holds."""
        return self.ended_ns is None

    @property
    def says_what(self) -> bool:
        """Whether it names anything at all; one that does not would hold everything."""
        bounds = (self.call_id, self.purpose, self.from_ns, self.to_ns)
        return bool(self.numbers) or any(bound is not None for bound in bounds)


@dataclass(frozen=True, slots=True)
class HeldMatter:
    """What a hold may cover: one purpose of a call. `numbers` are keyed hashes of who took part, and of what was
    dialled; times are UTC ns, `started_ns` None where nothing is known of the call, `ended_ns` None while it is on."""

    call_id: str
    purpose: str
    numbers: frozenset[str] = frozenset()
    started_ns: int | None = None
    ended_ns: int | None = None
