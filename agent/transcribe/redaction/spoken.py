"""Cardinal numbers in words, French (also of Belgium and Switzerland) and English, from a position in a list of atoms.

Each reader gives the value, the position after it, and whether it could as well be two numbers in a row: "soixante
douze" is 72, or 60 and 12 of a number that is read out in pairs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agent.transcribe.redaction.atoms import Atom
from agent.transcribe.redaction.tables import numbered


@dataclass(frozen=True, slots=True)
class Number:
    """A value and the position after its last atom. `apart`: it may be two numbers, of two digits each."""

    value: int
    after: int
    apart: bool = False


Reader = Callable[[Sequence[Atom], int], Number | None]

_FR_UNITS = numbered("un deux trois quatre cinq six sept huit neuf", 1) | {"une": 1}
_FR_TEENS = numbered("dix onze douze treize quatorze quinze seize", 10)
_FR_TENS = numbered("vingt trente quarante cinquante soixante septante huitante nonante", 20, 10)
_FR_TENS |= {"vingts": 20, "octante": 80}
_EN_UNITS = numbered("one two three four five six seven eight nine", 1)
_EN_TEENS = numbered("ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen", 10)
_EN_TENS = numbered("twenty thirty forty fifty sixty seventy eighty ninety", 20, 10) | {"fourty": 40}
WORDS = frozenset({*_FR_UNITS, *_FR_TEENS, *_FR_TENS, *_EN_UNITS, *_EN_TEENS, *_EN_TENS}) | {
    "cent", "cents", "mille", "hundred", "thousand",
}  # fmt: skip
"""All words that numbers are made of, but those that only stand between others."""


def french(atoms: Sequence[Atom], at: int) -> Number | None:
    """The number that begins at `at`, below a million; None where none does. Zero is a digit, and read elsewhere."""
    return _thousands(atoms, at, "mille", _fr_hundreds)


def english(atoms: Sequence[Atom], at: int) -> Number | None:
    """As `french`, with "and" where the British say it; a hundred needs a number before it."""
    return _thousands(atoms, at, "thousand", _en_hundreds)


def either(atoms: Sequence[Atom], at: int) -> Number | None:
    """The number that begins at `at` in whichever of both languages it is longer; nobody knows which one is spoken."""
    found = [number for number in (french(atoms, at), english(atoms, at)) if number is not None]
    return max(found, key=lambda number: number.after, default=None)


def _text(atoms: Sequence[Atom], at: int) -> str:
    """The atom at a position that goes on with what is before it, or nothing."""
    return atoms[at].text if at < len(atoms) and atoms[at].linked else ""


def _thousands(atoms: Sequence[Atom], at: int, mille: str, hundreds: Reader) -> Number | None:
    first = hundreds(atoms, at)
    if first is None:
        if mille != "mille" or atoms[at].text != mille:
            return None
        first = Number(1, at)
    if _text(atoms, first.after) != mille and not (first.after == at and atoms[at].text == mille):
        return first
    after = first.after + 1
    begin = after + 1 if _text(atoms, after) == "and" else after
    rest = _without_next(atoms, begin, hundreds, (mille,)) if _text(atoms, begin) else None
    if rest is None:
        return Number(first.value * 1000, after, first.apart)
    return Number(first.value * 1000 + rest.value, rest.after, first.apart or rest.apart)


def _without_next(atoms: Sequence[Atom], at: int, reader: Reader, multipliers: Sequence[str]) -> Number | None:
    """What `reader` reads, less what a multiplier shows to be the beginning of the next number: "(deux cent) trente
    quatre cents" is 30 and 400."""
    number = reader(atoms, at)
    if number is None or _text(atoms, number.after) not in multipliers:
        return number
    counts = {"cent": range(2, 10), "hundred": range(1, 10)}.get(multipliers[0], range(1, 1000))
    for cut in range(number.after - 1, at - 1, -1):
        following = reader(atoms, cut)
        ends = following is not None and following.after == number.after and not atoms[cut].hyphen
        if ends and following is not None and following.value in counts:
            return reader(atoms[:cut], at) if cut > at else None
    return number


def _fr_hundreds(atoms: Sequence[Atom], at: int) -> Number | None:
    if at >= len(atoms):
        return None
    if atoms[at].text == "cent":
        count, after = 1, at + 1
    else:
        unit = _FR_UNITS.get(atoms[at].text, 0)
        if unit < 2 or _text(atoms, at + 1) not in ("cent", "cents"):
            return _without_next(atoms, at, _fr_tens, ("cent", "cents"))
        count, after = unit, at + 2
    rest = _without_next(atoms, after, _fr_tens, ("cent", "cents")) if _text(atoms, after) else None
    return Number(count * 100 + rest.value, rest.after, rest.apart) if rest else Number(count * 100, after)


def _fr_tens(atoms: Sequence[Atom], at: int) -> Number | None:
    text = atoms[at].text
    if text == "quatre" and _text(atoms, at + 1) in ("vingt", "vingts"):
        return _fr_rest(atoms, 80, at + 2)
    if text in _FR_TENS:
        return _fr_rest(atoms, _FR_TENS[text], at + 1)
    if text in _FR_TEENS:
        return _fr_teen(atoms, at)
    return Number(_FR_UNITS[text], at + 1) if text in _FR_UNITS else None


def _fr_teen(atoms: Sequence[Atom], at: int) -> Number:
    unit = _FR_UNITS.get(_text(atoms, at + 1), 0)
    if atoms[at].text == "dix" and unit >= 7:
        return Number(10 + unit, at + 2)
    return Number(_FR_TEENS[atoms[at].text], at + 1)


def _fr_rest(atoms: Sequence[Atom], tens: int, at: int) -> Number:
    """What may follow tens: a unit, or from 60 and 80 on also 10 to 19; "et" before one and eleven."""
    joined = _text(atoms, at) == "et" and _text(atoms, at + 1) in ("un", "une", "onze")
    begin = at + 1 if joined else at
    text = _text(atoms, begin)
    if text in _FR_UNITS and (text not in ("un", "une") or joined or tens == 80):
        return Number(tens + _FR_UNITS[text], begin + 1)
    if text in _FR_TEENS and tens in (60, 80):
        teen = _fr_teen(atoms, begin)
        return Number(tens + teen.value, teen.after, apart=not (joined or atoms[begin].hyphen))
    return Number(tens, at)


def _en_hundreds(atoms: Sequence[Atom], at: int) -> Number | None:
    if at >= len(atoms):
        return None
    first = _en_tens(atoms, at)
    if first is None and atoms[at].text == "a" and _text(atoms, at + 1) == "hundred":
        first = Number(1, at + 1)
    if first is None or _text(atoms, first.after) != "hundred":
        return first
    after = first.after + 1
    begin = after + 1 if _text(atoms, after) == "and" else after
    rest = _without_next(atoms, begin, _en_tens, ("hundred",)) if _text(atoms, begin) else None
    return Number(first.value * 100 + rest.value, rest.after) if rest else Number(first.value * 100, after)


def _en_tens(atoms: Sequence[Atom], at: int) -> Number | None:
    text = atoms[at].text
    if text in _EN_TENS:
        unit = _EN_UNITS.get(_text(atoms, at + 1))
        return Number(_EN_TENS[text] + (unit or 0), at + (2 if unit else 1))
    value = _EN_TEENS.get(text) or _EN_UNITS.get(text)
    return Number(value, at + 1) if value else None
