"""The words of a transcript as the recognisers read them: folded, taken apart at hyphens, apostrophes and figures.

Engines write the same thing in many ways ("quatre-vingt-dix-sept", "97", "4532-1234", "06.12.34.56.78", "c'est"); an
atom
is the smallest piece that means something, and remembers the word that it came from.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from agent.model.text import Said

QUANTITY = "#"
"""Text of an atom that is a written date, time, sum or ordinal, whole: its figures are no part of a number read out."""
PLUS = "+"
_OF_A_DICTIONARY = 24
_LONGEST = 400
"""Characters of one word that are looked at; no engine writes so many."""

_MARKS = ' \t\n.,;:!?…"«»()[]{}¿¡“”*_'
_STOPS = (".", "!", "?", "…", ";")
_DATE = r"\d{1,2}[/.-]\d{1,2}[/.-](?:19|20)\d{2}|(?:19|20)\d{2}-\d{2}-\d{2}"
_QUANTITY = re.compile(
    rf"{_DATE}|\d{{1,2}}/\d{{1,2}}|\d{{1,2}}h(?:\d{{2}})?|\d{{1,2}}:\d{{2}}(?::\d{{2}})?|\d{{1,6}}[.,]\d{{1,2}}"
    r"|\d{1,3}(?:,\d{3}){1,2}(?:\.\d{1,2})?"
    r"|[€$£]?\d{1,9}(?:[.,]\d{1,3})*(?:[€$£%]|eur|km|kg|cm|mm|go|mo|ml|kw|kwh|m2|am|pm)|[€$£]\d{1,9}(?:[.,]\d{1,3})*"
    r"|\d{1,2}(?:\.\d{1,3}){2}|\d{3}\.\d{1,3}\.\d{1,2}\.\d{1,3}|\d{1,4}(?:er|ere|e|eme|nd|nde|st|rd|th|s)"
)
_ADDRESS = re.compile(r"(?!(?:\d\d\.){3}\d\d$)(?:(?:0|[1-9]\d|1\d\d|2[0-4]\d|25[0-5]|[1-9])(?:\.(?!$)|$)){4}")
"""An address of the Internet protocol, in which not all four figures are pairs: those may be read out."""
_PIECE = re.compile(r"\+(?=\d)|[0-9]+|[a-z]+(?:'[a-z]+)*|[€$£%@]")
_DECIMAL = re.compile(r"\d+(?:[.,]\d+)+")
_FIGURES = re.compile(r"\d[\d.,-]*")
_TAILS = frozenset({"s", "t", "m", "re", "ll", "ve", "d"})
"""What an English apostrophe leaves behind; a French one leaves it in front."""


@dataclass(frozen=True, slots=True)
class Atom:
    """A piece of the word at `word` in the conversation.

    `linked`: nothing, no comma and no pause, parts it from the atom before it on its channel; `hyphen`: it is even
    written as one word with it. `ends`: a sentence ends with it; `asks`: a question.
    """

    text: str
    word: int
    channel: int
    start_s: float
    end_s: float
    linked: bool = True
    hyphen: bool = False
    capital: bool = False
    upper: bool = False
    ends: bool = False
    asks: bool = False
    comma: bool = False
    decimal: bool = False
    """It is a QUANTITY as long as no figure is before or after it: engines put points and commas between any digits."""

    @property
    def is_figures(self) -> bool:
        """Whether it is written in figures."""
        return self.text[0] in "0123456789"


LINK_S = 2.0
"""A longer silence parts the words of one number: "quatre" … "vingt" are then 4 and 20."""


def atoms(conversation: Sequence[Said]) -> dict[int, list[Atom]]:
    """The atoms of each channel, in the order of the conversation (which is that of time)."""
    found: dict[int, list[Atom]] = {}
    read_out = _decimals_read_out(conversation)
    for number, said in enumerate(conversation):
        mine = found.setdefault(said.channel, [])
        word = said.word
        before = mine[-1] if mine else None
        together = before is not None and not before.ends and not before.comma and word.start_s - before.end_s <= LINK_S
        bare = word.text.strip()
        parts = pieces(bare, is_sum=number not in read_out)
        if before is not None and not parts and bare in _STOPS:
            mine[-1] = replace(before, ends=True, asks=bare == "?")
        for at, (text, hyphen) in enumerate(parts):
            last = at == len(parts) - 1
            mine.append(
                Atom(
                    text,
                    number,
                    said.channel,
                    word.start_s,
                    word.end_s,
                    linked=at > 0 or together,
                    hyphen=hyphen,
                    upper=bare.isupper(),
                    capital=bare.lstrip("\"«(“'")[:1].isupper(),
                    ends=last and bare.endswith(_STOPS),
                    asks=last and bare.endswith("?"),
                    comma=last and bare.endswith((",", ":")),
                    decimal=text == QUANTITY and _is_decimal(fold(bare).strip(_MARKS)),
                )
            )
    return found


def fold(text: str) -> str:
    """Lower case, without accents, with plain apostrophes and hyphens."""
    plain = text[:_LONGEST].lower().replace("œ", "oe").replace("æ", "ae")
    for fancy, simple in (("’", "'"), ("‘", "'"), ("‑", "-"), ("–", "-"), ("—", "-"), ("\u202f", " "), ("\u00a0", " ")):
        plain = plain.replace(fancy, simple)
    return "".join(c for c in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(c))


def _decimals_read_out(conversation: Sequence[Said]) -> set[int]:
    """The words that look like sums and stand right beside other figures: "49.70 10.12" is read out, digit by digit."""
    found: set[int] = set()
    last: dict[int, tuple[int, str]] = {}
    for number, said in enumerate(conversation):
        figures = any(letter.isdigit() for letter in said.word.text)
        bare = fold(said.word.text).strip(_MARKS) if figures else ""
        before, text = last.get(said.channel, (-1, ""))
        if _FIGURES.fullmatch(bare) and _FIGURES.fullmatch(text):
            found |= {n for n, one in ((before, text), (number, bare)) if _is_decimal(one)}
        last[said.channel] = (number, bare)
    return found


def _is_decimal(bare: str) -> bool:
    """Whether it is figures with points or commas between them, that engines put between any digits."""
    return _DECIMAL.fullmatch(bare) is not None and _ADDRESS.fullmatch(bare) is None


def pieces(text: str, *, is_sum: bool = True) -> Sequence[tuple[str, bool]]:
    """Texts of the atoms of a word, and whether each hangs by a hyphen on what is before it. `is_sum`: what looks like
    a quantity is one."""
    if len(text) > _OF_A_DICTIONARY or any(letter.isdigit() for letter in text):
        return tuple(_pieces(text, is_sum=is_sum))
    return _known(text)


@lru_cache(8192)
def _known(text: str) -> Sequence[tuple[str, bool]]:
    """The same of a word without figures: of a dictionary, so that keeping it keeps nothing of a call."""
    return tuple(_pieces(text, is_sum=True))


def _pieces(text: str, *, is_sum: bool) -> Iterator[tuple[str, bool]]:
    folded = fold(text)
    bare = folded.strip(_MARKS)
    if "@" in bare and len(bare) > 1:
        yield bare, False
        return
    if _ADDRESS.fullmatch(bare) or (_QUANTITY.fullmatch(bare) and (is_sum or not _is_decimal(bare))):
        yield QUANTITY, False
        return
    for match in _PIECE.finditer(folded):
        at = match.start()
        hyphen = folded[at - 1 : at] == "-" and (at == 1 or folded[at - 2] != " ")
        yield _unapostrophed(match[0]), hyphen


def _unapostrophed(text: str) -> str:
    """What an apostrophe was put to: "l'arobase" is "arobase", "it's" is "it"."""
    head, apostrophe, tail = text.rpartition("'")
    if not apostrophe:
        return text
    return head.split("'")[0] if tail in _TAILS else tail
