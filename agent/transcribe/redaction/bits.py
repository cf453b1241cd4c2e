"""What is read out bit by bit: each figure by itself, where it may be a part of a number that is being dictated.

What people say beside a figure may explain it ("l'année 85", "02 pour février"), which counts something elsewhere; and
"un" is a digit, or an article.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from agent.model.redaction import SecretKind
from agent.transcribe.redaction.atoms import Atom
from agent.transcribe.redaction.chunks import Channel
from agent.transcribe.redaction.figures import Figure, Role
from agent.transcribe.redaction.heard import Judged
from agent.transcribe.redaction.lexicon import MONTHS
from agent.transcribe.redaction.phrases import Topic
from agent.transcribe.redaction.tables import table

_ONE, _ONES = "un", ("un", "une")
"""What may be a digit though it was read as an article; and an article though it was read as a digit."""
_EXPLAINING = table("annee mois pour")
"""What says which part of the number it is, and elsewhere what figures count."""
_OF_DIGITS = table("par dernier derniers premier premiers")
"""Beside figures that say how many digits there are, or are said in one go."""


@dataclass(frozen=True, slots=True)
class Bit:
    """Digits that were said in one go, the words that say them, and when. `article`: "un", which may be no digit;
    `doubtful`: by what is around it, it is none; `dated`: right after a month. `settled`: nothing that is said
    later can change it."""

    digits: str
    channel: int
    words: tuple[int, ...]
    start_s: float
    end_s: float
    article: bool = False
    doubtful: bool = False
    dated: bool = False
    settled: bool = True


def bits(channels: Mapping[int, Channel], known: Sequence[Judged]) -> list[Bit]:
    """All that was read out and is of no other number, and each "un" that may be a digit, in order of time."""
    others = [one for one in known if _is_other(one)]
    of_others = {word for one in others if not one.run.open for word in words_of(one)}
    perhaps = {word for one in others if one.run.open for word in words_of(one)}
    found = [bit for number, channel in channels.items() for bit in _of_channel(number, channel)]
    found = [replace(bit, settled=False) if perhaps & set(bit.words) else bit for bit in found]
    return sorted((b for b in found if of_others.isdisjoint(b.words)), key=lambda bit: bit.words)


def _is_other(one: Judged) -> bool:
    """Whether a number is known to be none of a NIR; one that was asked for as one may only be long."""
    return one.harmless or (one.kind not in (None, SecretKind.NIR) and one.run.asked is not Topic.NIR)


def _of_channel(number: int, channel: Channel) -> Iterator[Bit]:
    figures = {f.first: f for f in channel.figures}
    at = 0
    while at < len(channel.atoms):
        figure, atom = figures.get(at), channel.atoms[at]
        after = at + 1 if figure is None else figure.after
        if figure is not None and (bit := _of_figure(figure, number, channel.atoms)) is not None:
            yield bit
        elif figure is None and atom.text == _ONE:
            yield Bit("1", number, (atom.word,), atom.start_s, atom.end_s, article=True, doubtful=True)
        at = after


def _of_figure(figure: Figure, number: int, atoms: Sequence[Atom]) -> Bit | None:
    """A figure as a bit, where it may be one: what counts may be explained, and what follows a month may be the
    department."""
    mine = atoms[figure.first : figure.after]
    before = _next(atoms, figure.first, -1)
    follower = _next(atoms, figure.after - 1, 1)
    dated = figure.role is Role.DATE and before in MONTHS and len(figure.digits) == 2
    explained = figure.role is Role.QUANTITY and not _EXPLAINING.isdisjoint((before, follower))
    if not (figure.role is Role.READ or dated or explained) or not _OF_DIGITS.isdisjoint((before, follower)):
        return None
    words = tuple(sorted({atom.word for atom in mine}))
    article = figure.digits == "1" and mine[0].text in _ONES
    return Bit(
        figure.digits,
        number,
        words,
        mine[0].start_s,
        mine[-1].end_s,
        article=article,
        dated=dated,
        settled=figure.settled,
    )


def _next(atoms: Sequence[Atom], at: int, step: int) -> str:
    """The atom before or after a position, where the other party said nothing between."""
    beside = at + step
    if not 0 <= beside < len(atoms) or abs(atoms[beside].word - atoms[at].word) > 1:
        return ""
    return atoms[beside].text


def words_of(one: Judged) -> Iterator[int]:
    """The first and the last word of each figure of a number."""
    for placed in one.run.figures:
        yield placed.first_word
        yield placed.last_word
