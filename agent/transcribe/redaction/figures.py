"""All figures of one channel, written or spoken: what digits each stands for, and whether it is a quantity or a date.

A figure is what a speaker says as one number: "quatre", "97", "double four", "quatre mille cinq cent trente-deux".
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import zip_longest

from agent.model.text import UNDETERMINED
from agent.transcribe.redaction.atoms import QUANTITY, Atom
from agent.transcribe.redaction.lexicon import BEFORE_YEARS, FILLERS, HOMOPHONES, MONTHS, UNITS
from agent.transcribe.redaction.spoken import Number, Reader, either, english, french
from agent.transcribe.redaction.tables import table

ZEROS = frozenset({"zero", "zeros", "zeroes", "nought", "nul"})
OH = frozenset({"o", "oh"})
REPEATS = {"double": 2, "triple": 3, "treble": 3, "quadruple": 4, "twice": 2}
_READERS: dict[str, Reader] = {"fr": french, "en": english, UNDETERMINED[:2]: either}
_SUM_DIGITS = 9
"""More digits in a row than this are read out, and no sum, whatever comes after them."""
_LONG_FIGURE = 40
_CURRENCIES = frozenset(["euro", "euros", "dollar", "dollars", "livre", "livres", "franc", "francs", "pound", "pounds"])
_RANGES = frozenset({"a", "ou", "et", "to", "or", "and"})
_RANGE_DIGITS = 3
_FEW = 4
_APART_WORDS = 2
"""Where more than a word of another party parts a figure from a date, it is no more of it."""
_BEFORE_ONE = table("this that another other same wrong")
_BEFORE_PRONOUNS = table("new the right old manque")


class Role(Enum):
    """What a figure is for: to be read out, to count something, to say a day."""

    READ = "read"
    QUANTITY = "quantity"
    DATE = "date"


@dataclass(frozen=True, slots=True)
class Figure:
    """Digits at the half-open atoms `first`..`after` of a channel. `most`: how many digits it may be at most, where
    what
    was said can be understood in two ways. `settled`: nothing that is said later can change what it is."""

    digits: str
    first: int
    after: int
    most: int
    role: Role = Role.READ
    settled: bool = True


def figures(atoms: Sequence[Atom], language: str, ended: bool) -> list[Figure]:
    """The figures of a channel, in order. `ended`: no more atoms come within reach of the last of these."""
    reader = _READERS.get(language[:2].lower())
    found = _misheard(atoms, list(_read(atoms, reader)))
    found = [f for n, f in enumerate(found) if not _is_article(atoms, found, n)]
    return _judged(atoms, found, ended)


def pending(atoms: Sequence[Atom], found: Sequence[Figure], ended: bool) -> int:
    """From which atom on what is said next decides whether it is a figure; the number of atoms, where nothing does."""
    if ended or not atoms:
        return len(atoms)
    last = len(atoms) - 1
    text = atoms[last].text
    while last and atoms[last - 1].text in REPEATS:
        last -= 1
    after_figure = bool(found) and found[-1].after == last and (text in HOMOPHONES or text in ("a", "b"))
    beginning = atoms[last].text in REPEATS or text in OH or after_figure or atoms[last].decimal
    return min([f.first for f in found if not f.settled] + [last if beginning else len(atoms)])


def _read(atoms: Sequence[Atom], reader: Reader | None) -> Iterator[Figure]:
    at = 0
    last_after = -1
    while at < len(atoms):
        figure = _figure(atoms, at, reader, after_figure=_follows(atoms, last_after, at))
        if figure is None:
            at += 1
        else:
            yield figure
            at = last_after = figure.after


def _follows(atoms: Sequence[Atom], after: int, at: int) -> bool:
    """Whether fillers at most part a position from a figure before it."""
    return after >= 0 and at - after <= _FEW and all(atom.text in FILLERS for atom in atoms[after:at])


def _figure(atoms: Sequence[Atom], at: int, reader: Reader | None, after_figure: bool) -> Figure | None:
    """The figure that begins at a position, if one does."""
    text = atoms[at].text
    if atoms[at].is_figures:
        digits = text[:_LONG_FIGURE]
        return Figure(digits, at, at + 1, len(digits))
    if text in ZEROS or (text in OH and _is_oh(atoms, at, reader, after_figure)):
        return Figure("0", at, at + 1, 1)
    if text in REPEATS:
        return _repeated(atoms, at, reader)
    number = reader(atoms, at) if reader else None
    return None if number is None else _numeral(atoms, at, number, reader)


def _repeated(atoms: Sequence[Atom], at: int, reader: Reader | None) -> Figure | None:
    """Digits that are said once for several ("double four")."""
    if at + 1 >= len(atoms) or not atoms[at + 1].linked:
        return None
    begin = _the(atoms, at + 1)
    once = _figure(atoms, begin, reader, atoms[begin].text in OH) if atoms[begin].linked else None
    times = REPEATS[atoms[at].text]
    return once and replace(once, digits=once.digits * times, first=at, most=once.most * times)


def _numeral(atoms: Sequence[Atom], at: int, number: Number, reader: Reader | None) -> Figure:
    """A number in words, or "quatre zéros", or "trois fois le six"."""
    if number.value < 10 and number.after < len(atoms) and atoms[number.after].text in ("zeros", "zeroes"):
        return Figure("0" * number.value, at, number.after + 1, number.value)
    after = _past_times(atoms, number.after)
    if 1 < number.value <= 4 and number.after < after < len(atoms) and atoms[after].linked:
        times = _figure(atoms, after, reader, False)
        if times is not None and len(times.digits) <= 2:
            return replace(times, digits=times.digits * number.value, first=at, most=times.most * number.value)
    digits = str(number.value)
    return Figure(digits, at, number.after, len(digits) + (2 if number.apart else 0))


def _past_times(atoms: Sequence[Atom], at: int) -> int:
    """The position after "fois le" or "times", if that is what stands there."""
    if at < len(atoms) and atoms[at].text in ("fois", "times"):
        at += 1
        if at < len(atoms) and atoms[at].text in ("le", "the"):
            at += 1
    return at


def _the(atoms: Sequence[Atom], at: int) -> int:
    """The position after an article."""
    return at + 1 if atoms[at].text in ("le", "the") and at + 1 < len(atoms) else at


def _is_oh(atoms: Sequence[Atom], at: int, reader: Reader | None, after_figure: bool) -> bool:
    """Whether an "oh" is a zero: beside a figure in English, and between two in French, where it is a sigh else."""
    before_figure = _starts(atoms, at + 1, reader)
    return (after_figure or before_figure) if reader is english else (after_figure and before_figure)


def _starts(atoms: Sequence[Atom], at: int, reader: Reader | None) -> bool:
    """Whether a figure, or another "oh", begins at a position."""
    if at >= len(atoms) or not atoms[at].linked:
        return False
    text = atoms[at].text
    named = atoms[at].is_figures or text in ZEROS or text in OH or text in REPEATS
    return named or (reader is not None and reader(atoms, at) is not None)


def _misheard(atoms: Sequence[Atom], found: list[Figure]) -> list[Figure]:
    """With words that sound like a digit, and stand alone between two figures, as figures; and with 2A and 2B."""
    whole: list[Figure] = []
    for figure, following in zip_longest(found, found[1:]):
        whole.append(figure)
        at = figure.after
        if at >= len(atoms):
            continue
        between = following is not None and following.first == at + 1
        if not atoms[at].linked:
            continue
        if between and atoms[at + 1].linked and atoms[at].text in HOMOPHONES:
            digits = HOMOPHONES[atoms[at].text]
            whole.append(Figure(digits, at, at + 1, len(digits)))
        elif figure.digits.endswith("2") and atoms[at].text in ("a", "b") and (between or atoms[at].upper):
            whole.append(Figure(atoms[at].text.upper(), at, at + 1, 1))
    return whole


def _is_article(atoms: Sequence[Atom], found: Sequence[Figure], n: int) -> bool:
    """Whether "un", "une" or "one" is an article or a pronoun: another word follows, and no figure is before it in its
    sentence; or it ends one."""
    figure = found[n]
    if figure.after - figure.first > 1 or atoms[figure.first].text not in ("un", "une", "one", "neuf"):
        return False
    follower = atoms[figure.after] if figure.after < len(atoms) else None
    if _is_pronoun(atoms, found, n) or (follower and follower.text in ("tiret", "espace", "dash", "space")):
        return True
    if follower is None:
        return False
    anew = n > 0 and any(atom.ends for atom in atoms[found[n - 1].after - 1 : figure.first])
    if n and not anew and all(atom.text in FILLERS for atom in atoms[found[n - 1].after : figure.first]):
        return False
    if follower.text in REPEATS or follower.text in OH:
        return False
    return follower.linked and follower.text not in FILLERS and not _is_followed(found, n)


def _is_pronoun(atoms: Sequence[Atom], found: Sequence[Figure], n: int) -> bool:
    """Whether it stands for something: "a new one.", "this one's", "il m'en manque un"."""
    at = found[n].first
    before = atoms[at - 1].text if at and atoms[at].linked else ""
    return (before in _BEFORE_ONE and not _is_followed(found, n)) or (before in _BEFORE_PRONOUNS and atoms[at].ends)


def _is_followed(found: Sequence[Figure], n: int) -> bool:
    return n + 1 < len(found) and found[n + 1].first == found[n].after


def _judged(atoms: Sequence[Atom], found: list[Figure], ended: bool) -> list[Figure]:
    """With the role of each, from the words right before and after it."""
    judged = list(found)
    for n, figure in enumerate(found):
        settled = ended or _past_times(atoms, figure.after) < len(atoms)
        judged[n] = replace(figure, settled=settled, role=_role(atoms, judged, n))
        if judged[n].role is Role.QUANTITY and n and _is_group(atoms, judged, n):
            judged[n - 1] = replace(judged[n - 1], role=Role.QUANTITY)
        if judged[n].role is Role.QUANTITY:
            for other in _range_before(atoms, judged, n):
                judged[other] = replace(judged[other], role=Role.QUANTITY)
    return judged


def _range_before(atoms: Sequence[Atom], found: Sequence[Figure], n: int) -> list[int]:
    """The figures that lead up to a quantity: "deux à" three days, "two to" four of them, where "to" is one as well."""
    if n and found[n - 1].after == found[n].first and atoms[found[n - 1].first].text in _RANGES:
        return [n - 1, *_range_begin(atoms, found, n - 2, found[n - 1].first)]
    at = found[n].first - 1
    between = at > 0 and atoms[at].text in _RANGES and atoms[at].linked
    return _range_begin(atoms, found, n - 1, at) if between else []


def _range_begin(atoms: Sequence[Atom], found: Sequence[Figure], n: int, at: int) -> list[int]:
    """The short figure by itself that ends at a position, if there is one."""
    if n < 0 or found[n].after != at or len(found[n].digits) > _RANGE_DIGITS or _run_before(atoms, found, n):
        return []
    return [n]


def _role(atoms: Sequence[Atom], found: Sequence[Figure], n: int) -> Role:
    figure = found[n]
    before = atoms[figure.first - 1].text if figure.first and atoms[figure.first].linked else ""
    follows = figure.after < len(atoms) and atoms[figure.after].linked
    follower = atoms[figure.after].text if follows else ""
    if len(figure.digits) <= 2 and (follower in MONTHS or before in MONTHS) and not _run_before(atoms, found, n):
        return Role.DATE
    if before in MONTHS and len(figure.digits) <= 4:
        return Role.DATE
    after_day = n > 0 and found[n - 1].role is Role.DATE and found[n - 1].after == figure.first and before != ""
    after_day = after_day and atoms[figure.first].word - atoms[figure.first - 1].word <= _APART_WORDS
    if after_day and len(figure.digits) <= 4:
        return Role.DATE if _is_month_near(atoms, found[n - 1]) else Role.READ
    if figure.digits[:2] in ("19", "20") and len(figure.digits) == 4 and before in BEFORE_YEARS:
        return Role.READ if _is_followed(found, n) else Role.DATE
    counted = follower in UNITS or before in ("€", "$", "£")
    counted = counted and _run_before(atoms, found, n) + len(figure.digits) <= _SUM_DIGITS
    if counted or (before in _CURRENCIES and len(figure.digits) <= 2 and not _is_followed(found, n)):
        return Role.QUANTITY
    small = follower == QUANTITY and len(figure.digits) <= 3
    hexadecimal = (figure.digits == "0" and follower == "x") or (n > 0 and _is_hexadecimal(found[n - 1], before))
    return Role.QUANTITY if small or hexadecimal else Role.READ


def _is_hexadecimal(zero: Figure, before: str) -> bool:
    """Whether a figure follows the "0x" before a hexadecimal number."""
    return before == "x" and zero.digits == "0" and zero.role is Role.QUANTITY


def _is_month_near(atoms: Sequence[Atom], figure: Figure) -> bool:
    """Whether a month is right before a figure: "March 12, 2024"."""
    return figure.first > 0 and atoms[figure.first - 1].text in MONTHS


def _run_before(atoms: Sequence[Atom], found: Sequence[Figure], n: int) -> int:
    """How many digits come right before a figure, without a word, a comma or a pause between."""
    count = 0
    while n and found[n - 1].after == found[n].first and atoms[found[n].first].linked and count <= _SUM_DIGITS:
        n -= 1
        count += len(found[n].digits)
    return count


def _is_group(atoms: Sequence[Atom], found: Sequence[Figure], n: int) -> bool:
    """Whether a figure is the last three digits of a written one: "1 200 euros"."""
    before, figure = found[n - 1], found[n]
    written = atoms[before.first].is_figures and atoms[figure.first].is_figures
    return written and before.after == figure.first and len(figure.digits) == 3 and len(before.digits) <= 3
