"""Names in what was said, as a model marks them in running text: the words they are, of one party each.

A model reads text, not a conversation: so it gets what a party said, without what the other said between, in stretches
that are cut where the party pauses longest. A word that is hidden as something else stays that.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol

from agent.model.redaction import Secret, SecretKind, Stretch
from agent.model.text import Said
from agent.transcribe.redaction.atoms import fold

LEAST_WORDS, MOST_WORDS = 100, 200
"""Of a stretch of one party's words that goes on: it is cut at the longest pause in its second half."""


@dataclass(frozen=True, slots=True)
class Entity:
    """Half-open characters of a text that are a name."""

    kind: SecretKind
    start: int
    after: int


class Entities(Protocol):
    """A model, or several of several languages."""

    def __call__(self, texts: Sequence[str], language: str) -> Sequence[Sequence[Entity]]:
        """The names in each text, not overlapping."""


def named(
    said: Sequence[Said],
    language: str,
    others: Mapping[int, str],
    entities: Entities,
    kinds: Set[SecretKind],
    taken: Set[int],
) -> tuple[Secret, ...]:
    """The names of these kinds in a conversation, in order of their first words, without the words that are `taken`.

    `language` is that of the conversation, `others` those of channels that speak another (ISO 639-1).
    """
    found: list[Secret] = []
    free = {n for n, one in enumerate(said) if n not in taken and one.word.text.strip()}
    for channel in sorted({one.channel for one in said}):
        mine = [n for n, one in enumerate(said) if one.channel == channel and one.word.text.strip()]
        stretches = _stretches(said, mine)
        texts = [" ".join(said[n].word.text.strip() for n in numbers) for numbers in stretches]
        marked = entities(texts, others.get(channel, language))
        for numbers, text, names in zip(stretches, texts, marked, strict=True):
            places = _places(said, numbers)
            for name in names:
                words = [n for n, (start, after) in places.items() if start < name.after and after > name.start]
                left = tuple(n for n in words if n in free)
                if name.kind in kinds and left:
                    value = _spoken(text[name.start : name.after])
                    found.append(Secret(name.kind, left, _heard(said, words, free), value))
                    free.difference_update(left)
    return tuple(sorted(found, key=lambda s: s.words))


def _stretches(said: Sequence[Said], mine: Sequence[int]) -> list[Sequence[int]]:
    """One channel's words as stretches that a model reads at once."""
    found: list[Sequence[int]] = []
    while len(mine) > MOST_WORDS:
        cut = max(
            range(LEAST_WORDS, MOST_WORDS + 1),
            key=lambda at: said[mine[at]].word.start_s - said[mine[at - 1]].word.end_s,
        )
        found.append(mine[:cut])
        mine = mine[cut:]
    return [*found, mine] if mine else found


def _places(said: Sequence[Said], numbers: Sequence[int]) -> dict[int, tuple[int, int]]:
    """Half-open characters of each word in the text of its stretch."""
    found: dict[int, tuple[int, int]] = {}
    at = 0
    for number in numbers:
        after = at + len(said[number].word.text.strip())
        found[number] = (at, after)
        at = after + 1
    return found


def _heard(said: Sequence[Said], words: Sequence[int], free: Set[int]) -> tuple[Stretch, ...]:
    """Where a party says those of these consecutive words of its own that are free."""
    spans = [[said[n] for n in group] for is_free, group in groupby(words, key=free.__contains__) if is_free]
    return tuple(Stretch(s[0].channel, s[0].word.start_s, max(one.word.end_s for one in s)) for s in spans)


def _spoken(text: str) -> str:
    """A name as the same name is always written: "Éric DUPONT," and "Eric Dupont" have one pseudonym."""
    return " ".join("".join(c if c.isalnum() else " " for c in fold(text)).split())
