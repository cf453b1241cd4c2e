"""Postal addresses by rule: a number and a kind of way, its name, and the postal code and town that follow.

French: "12 bis rue de la Paix 75002 Paris"; English: "12 Baker Street, London NW1 6XE". A town or a postal code alone
is
no address, and a way without a number is none.
"""

import re
from collections.abc import Mapping, Sequence

from agent.transcribe.redaction.atoms import QUANTITY, Atom
from agent.transcribe.redaction.figures import Figure, Role
from agent.transcribe.redaction.tables import table

Words = tuple[int, int]

_WAYS = table(
    """rue avenue boulevard bd place chaussee chemin impasse allee allees quai route cours square residence lotissement
    passage faubourg sentier hameau promenade esplanade villa cite ruelle"""
)
_ENGLISH_WAYS = table(
    """street road avenue lane drive close court square way boulevard crescent terrace place gardens grove hill row
    parade mews highway circle"""
)
_ORDINAL_PARTS = frozenset({"bis", "ter", "quater", "a", "b", "c"})
_PARTICLES = table("de des du la le les l en sur sous aux au et saint sainte st ste d lez the of")
_ENDS = table(
    """je j tu il elle on nous vous ils elles c est et euh alors donc voila oui non merci mais parce que qui quand avec
    pour dans ou accord ok a ai avez avons y puis au code i you he she we they it is and um so yes no thank but
    because with for in or okay that apartment flat appartement bonjour depuis numero my mon ma mes votre
    monday tuesday wednesday thursday friday saturday sunday lundi mardi mercredi jeudi vendredi samedi dimanche"""
)
_FLATS = frozenset({"flat", "apartment", "unit", "apt"})
_TITLES = table("madame mademoiselle monsieur docteur maitre")
_PLACES = table("appartement appt batiment bat lieu-dit lieu dit residence escalier etage porte hall")
_SEATED = table("voiture wagon rang moins heure heures h")
"""Beside these a figure is that of a car, of a floor, or of minutes."""
_DISTRICTS = table(
    """premier deuxieme troisieme quatrieme cinquieme sixieme septieme huitieme neuvieme dixieme onzieme douzieme
    treizieme quatorzieme quinzieme seizieme vingtieme"""
)
_LONGEST_NAME = 6
_WITHOUT_BREAK = 3
_TO_POSTCODE = 6
_TOWN = 3
_POSTCODE = re.compile(r"[a-z]{1,2}\d[a-z\d]?\d[a-z]{2}")
_COMMON = frozenset({"un", "une"})


def addresses(atoms: Sequence[Atom], figures: Sequence[Figure], english: bool) -> list[Words]:
    """Half-open atoms of each address of a channel, without what is said between its parts."""
    by_first = {f.first: f for f in figures}
    found: list[Words] = []
    for figure in figures:
        if figure.role is Role.DATE or len(figure.digits) > 5 or atoms[figure.first].text in _COMMON:
            continue
        street = _street(atoms, figure, english)
        if street is None or _is_seat(atoms, figure, street[0], by_first):
            continue
        found.append((_flat(atoms, figure.first, by_first) if english else figure.first, street[1]))
        if english:
            found += _english_town(atoms, street[1])
            continue
        town = _town(atoms, street, by_first)
        named = _named_town(atoms, street[1])
        if town is not None:
            whole = named or _is_told(atoms, street[1], town[0])
            found.append((min(street[1], town[0]) if whole else town[0], town[1]))
        elif named:
            found.append((street[1], named))
    return found


def _is_seat(atoms: Sequence[Atom], figure: Figure, at: int, by_first: Mapping[int, Figure]) -> bool:
    """Whether it is no number of a house, and a numbered seat or place follows: "voiture 12, place 86"."""
    place = by_first.get(at) if atoms[at - 1].text == "place" else None
    if place is None or place.role is not Role.READ:
        return False
    if place.after in by_first and atoms[place.after].linked:
        return False
    return any(atom.text in _SEATED for atom in atoms[max(0, figure.first - 2) : figure.first])


def _flat(atoms: Sequence[Atom], first: int, by_first: Mapping[int, Figure]) -> int:
    """Where an English address begins whose number is at `first`: at the flat that is said before ("Flat 3, 48 …")."""
    for at in range(max(0, first - 3), first):
        figure = by_first.get(at + 1)
        if atoms[at].text in _FLATS and figure is not None and figure.after == first:
            return at
    return first


def _street(atoms: Sequence[Atom], figure: Figure, english: bool) -> Words | None:
    """The name of the way whose number is this figure, if it is one."""
    at = figure.after
    number = atoms[at - 1].word
    if at < len(atoms) and atoms[at].text in _ORDINAL_PARTS:
        at += 1
    if (
        at < len(atoms)
        and atoms[at].word - number <= _WITHOUT_BREAK
        and atoms[at].text in _WAYS
        and (atoms[at].linked or atoms[at - 1].comma)
        and not english
    ):
        return at + 1, _name_end(atoms, at + 1)
    if not english or figure.role is not Role.READ:
        return None
    for way in range(at + 1, min(at + 4, len(atoms))):
        between = atoms[way - 1]
        parted = not (between.linked or atoms[way - 2].comma) or not atoms[way].linked
        if between.text in _ENDS | _PARTICLES or between.is_figures or parted:
            return None
        if atoms[way].word - number > _WITHOUT_BREAK:
            return None
        if atoms[way].text in _ENGLISH_WAYS:
            return way + 1, way + 1
    return None


def _name_end(atoms: Sequence[Atom], at: int) -> int:
    """Where the name of a way ends: at a word that is none of a name, a figure, a stop, or its longest length."""
    begin = at
    while at < len(atoms) and at - begin < _LONGEST_NAME:
        text = atoms[at].text
        stops = atoms[at - 1].ends or not (atoms[at].linked or atoms[at - 1].comma)
        if stops or (text in _ENDS and text not in _PARTICLES) or atoms[at].is_figures or text == QUANTITY:
            break
        at += 1
        if atoms[at - 1].comma:
            break
    return _trimmed(atoms, begin, at)


def _trimmed(atoms: Sequence[Atom], begin: int, end: int) -> int:
    """The end of a name without particles that no name follows."""
    while end > begin and atoms[end - 1].text in _PARTICLES | _ENDS:
        end -= 1
    return end


def _named_town(atoms: Sequence[Atom], at: int) -> int | None:
    """Where the town ends that follows a French way without a postal code: "à Meylan", or after a comma "Lyon
    septième"."""
    end = at + 1 if at < len(atoms) and atoms[at].text == "a" and not atoms[at - 1].ends else at
    begin = end
    while end < len(atoms) and end - begin < _TOWN and not atoms[end - 1].ends:
        named = atoms[end].capital and not atoms[end].is_figures and atoms[end].text not in _ENDS | _TITLES
        parted = end == at and not atoms[end - 1].comma
        if parted or not (named or (end > begin and atoms[end].text in _PARTICLES | _DISTRICTS and atoms[end].linked)):
            break
        end += 1
    end = _trimmed(atoms, begin, end)
    return end if end > begin else None


def _is_told(atoms: Sequence[Atom], first: int, after: int) -> bool:
    """Whether what lies between a way and its postal code says more of the place: a flat, a locality."""
    return any(atom.text in _PLACES for atom in atoms[first:after])


def _english_town(atoms: Sequence[Atom], at: int) -> list[Words]:
    """What follows the name of an English way: after a comma the town, and its postcode ("BS3 1DN", "94123")."""
    end = at
    while (
        end < len(atoms) and end - at < _TOWN and not atoms[end - 1].ends and atoms[end - 1].word >= atoms[at - 1].word
    ):
        named = atoms[end].capital and not atoms[end].is_figures and atoms[end].text not in _ENDS
        if not (named and (atoms[end - 1].comma or end > at)):
            break
        end += 1
    for first in range(at, min(at + _TOWN + 1, len(atoms))):
        after = _postcode(atoms, first)
        if after is not None:
            return [(at, after)] if end >= first else [(first, after)]
        if atoms[first].ends:
            break
    return [(at, end)] if end > at else []


def _postcode(atoms: Sequence[Atom], at: int) -> int | None:
    """Where a British postcode ends that begins at a position: "BS3 1DN" in the words in which engines write it."""
    words: list[str] = []
    after = at
    while after < len(atoms) and len(words) < 2:
        word, text = atoms[after].word, ""
        while after < len(atoms) and atoms[after].word == word:
            text += atoms[after].text
            after += 1
        words.append(text)
        if _POSTCODE.fullmatch("".join(words)) and atoms[at].upper:
            return after
    return None


def _town(atoms: Sequence[Atom], street: Words, by_first: Mapping[int, Figure]) -> Words | None:
    """The postal code (spoken, it may have been taken for part of the name) within some atoms of a way, and the
    town."""
    for first in range(street[0], min(street[1] + _TO_POSTCODE, len(atoms))):
        figure, digits = by_first.get(first), ""
        while figure is not None and len(digits) < 5:
            digits += figure.digits
            after = figure.after
            figure = by_first.get(figure.after)
        abroad = len(digits) == 4 and first == street[1] and after < len(atoms) and atoms[after].capital
        if not (len(digits) == 5 or abroad) or figure is not None:  # a longer number is no postal code
            continue
        end = after
        while end < len(atoms) and end - after < _TOWN:
            text = atoms[end].text
            stops = atoms[end - 1].ends or not atoms[end].linked
            if stops or (text in _ENDS and text not in _PARTICLES) or end in by_first:
                break
            end += 1
        return first, _trimmed(atoms, after, end)
    return None
