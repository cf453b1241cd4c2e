"""Words in which nothing of a number is, of nearly every sentence: they need not be read again with all that was said.

A plain word is no part of a figure and begins none, neither in French nor in English; it is no date, sum or month. It
may well announce a number, or go on over one: so a word is let by only where no number is open (see who asks).
"""

from agent.transcribe.redaction.atoms import QUANTITY, pieces
from agent.transcribe.redaction.figures import OH, REPEATS, ZEROS
from agent.transcribe.redaction.lexicon import MONTHS
from agent.transcribe.redaction.spoken import WORDS

_TELLING = WORDS | ZEROS | OH | frozenset(REPEATS) | frozenset(MONTHS) | {QUANTITY}


def plain_atoms(text: str) -> tuple[str, ...] | None:
    """The atoms of a word, as they are read; None where anything of a number is in it."""
    if any(letter.isdigit() for letter in text):
        return None
    found = tuple(atom for atom, _ in pieces(text))
    return None if any(atom in _TELLING or atom[0].isdigit() for atom in found) else found


def is_plain(text: str) -> bool:
    """Whether nothing of a number is in a word."""
    return plain_atoms(text) is not None
