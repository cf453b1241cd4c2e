"""E-mail addresses, written or as they are spoken: "jean point dupont arobase orange point fr", "jo at gmail dot com".

The part before the sign is what "point", "tiret" and the like link to it, single letters and figures, and after a word
that announces an e-mail address all that was said since.
"""

from collections.abc import Container, Sequence

from agent.transcribe.redaction.atoms import LINK_S, Atom
from agent.transcribe.redaction.figures import Figure
from agent.transcribe.redaction.tables import table

Words = tuple[int, int]
"""Half-open atoms of a channel."""

_SIGNS = frozenset({"arobase", "arobas", "arrobase", "arobaze", "arobasse", "arobase.", "@"})
_POINTS = frozenset({"point", "dot", "punto"})
_LINKS = _POINTS | {"tiret", "underscore", "dash", "hyphen", "bas", "moins", "slash"}
_ENDINGS = table("fr com net org eu be ch uk co de io info gouv edu us ca lu gov es it re")
_PROVIDERS = table(
    "gmail hotmail outlook yahoo orange free wanadoo sfr laposte icloud live msn aol proton protonmail bbox neuf"
)
_BEGINNINGS = table("est is mail email courriel mel it voila alors donc euh um address adresse a oui yes to")
_DOMAIN_ATOMS = 9
_LOCAL_ATOMS = 10
_LONGEST_LOCAL = 30
_PAUSE_S = 8.0
_ANNOUNCED_ATOMS = 25


def emails(atoms: Sequence[Atom], figures: Sequence[Figure], announced: Sequence[int]) -> list[Words]:
    """The e-mail addresses of a channel. `announced`: after which atoms one was asked for or named."""
    inside = {at for f in figures for at in range(f.first, f.after)}
    found: list[Words] = []
    for at, atom in enumerate(atoms):
        if "@" in atom.text and len(atom.text) > 1:
            found.append((at, at + 1))
        end = _domain(atoms, at)
        if end is not None:
            first = _local(atoms, at, inside, announced)
            found.append((first, end))
    return found


def unfinished(atoms: Sequence[Atom], figures: Sequence[Figure], announced: Sequence[int], now_s: float) -> int | None:
    """From which atom on what was said last may turn out to be the part before the sign; None: from none."""
    inside = {at for f in figures for at in range(f.first, f.after)}
    late = range(max(0, len(atoms) - _DOMAIN_ATOMS), len(atoms))
    signs = [at for at in late if _is_sign(atoms, at) or _may_be_sign(atoms, at)]
    waiting = [_local(atoms, sign, inside, announced) for sign in signs]
    if atoms and now_s - atoms[-1].end_s <= _PAUSE_S:
        waiting.append(_local(atoms, len(atoms), inside, announced))
    return min(waiting, default=None)


def _is_sign(atoms: Sequence[Atom], at: int) -> bool:
    text = atoms[at].text
    following = atoms[at + 1].text if at + 1 < len(atoms) else ""
    return (
        text in _SIGNS
        or text == "at"
        or (text == "a" and following == "commercial")
        or (text == "chez" and following in _PROVIDERS and at + 2 < len(atoms) and atoms[at + 2].text in _POINTS)
    )


def _may_be_sign(atoms: Sequence[Atom], at: int) -> bool:
    """Whether what comes next may make it one: "a" commercial, "chez" gmail point com."""
    rest = [atom.text for atom in atoms[at + 1 :]]
    if atoms[at].text == "a":
        return not rest
    return atoms[at].text == "chez" and (not rest or (len(rest) == 1 and rest[0] in _PROVIDERS))


def _domain(atoms: Sequence[Atom], at: int) -> int | None:
    """Where the address ends whose sign is at `at`; None when there is no sign, or an "at" of other sense."""
    if not _is_sign(atoms, at):
        return None
    begin = at + 2 if atoms[at].text == "a" else at + 1
    for point in range(begin, min(begin + _DOMAIN_ATOMS, len(atoms) - 1)):
        if atoms[point].text in _POINTS and atoms[point + 1].text in _ENDINGS:
            end = point + 2
            while end + 1 < len(atoms) and atoms[end].text in _POINTS and atoms[end + 1].text in _ENDINGS:
                end += 2
            return end
    following = atoms[begin].text if begin < len(atoms) else ""
    if atoms[at].text == "at":
        return begin + 1 if following in _PROVIDERS else None
    return min(begin + 1, len(atoms))


def _local(atoms: Sequence[Atom], sign: int, inside: Container[int], announced: Sequence[int]) -> int:
    """The first atom of the part before the sign."""
    first = sign
    while first > 0 and sign - first < _LONGEST_LOCAL and _joins(atoms, first, sign, inside):
        first -= 1
    near = [after for after in announced if 0 <= sign - after <= _ANNOUNCED_ATOMS and after <= first]
    if not near:
        return first
    begin = sign
    while begin > max(near) and sign - begin <= _LOCAL_ATOMS and _gap(atoms, begin) <= _PAUSE_S:
        if begin < sign and (atoms[begin - 1].text in _BEGINNINGS or atoms[begin - 1].ends):
            break
        begin -= 1
    return min(first, begin) if sign - begin <= _LOCAL_ATOMS else first


def _joins(atoms: Sequence[Atom], first: int, sign: int, inside: Container[int]) -> bool:
    """Whether the atom before `first` goes on to it: right before the sign, at a link, as letters and figures do."""
    if _gap(atoms, first) > LINK_S:
        return False
    if first == sign or atoms[first - 1].text in _LINKS or atoms[first].text in _LINKS:
        return True
    if atoms[first - 1].ends:
        return False
    if _is_loose(atoms, first, inside) and first > 1 and atoms[first - 2].text in _LINKS:
        return True
    return _is_loose(atoms, first, inside) and _is_loose(atoms, first - 1, inside)


def _gap(atoms: Sequence[Atom], at: int) -> float:
    """The silence before an atom; none before one that is yet to come."""
    return atoms[at].start_s - atoms[at - 1].end_s if at < len(atoms) else 0.0


def _is_loose(atoms: Sequence[Atom], at: int, inside: Container[int]) -> bool:
    """Whether an atom is a single letter or part of a figure."""
    return at in inside or (len(atoms[at].text) == 1 and atoms[at].text.isalpha())
