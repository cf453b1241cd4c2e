"""Conversations in plain files whose secrets are marked: `C: my card is {card 4532 …} thanks A: right`.

A turn begins with `C:` (customer) or `A:` (agent); a line of its own, or several on one line. What is in braces has
to be
hidden as the kind that is named first, everything else has to stay; `(3)` is a silence of so many seconds.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.model.redaction import SecretKind
from agent.model.text import Said, Word

WORD_S, BETWEEN_S, TURN_S = 0.3, 0.05, 0.4
_TOKEN = re.compile(r"\(\d+(?:\.\d+)?\)|[{}]|[^\s{}]+")
_CHANNELS = {"C:": 0, "A:": 1}


@dataclass(frozen=True, slots=True)
class Marked:
    """A conversation, and by position the kind of each word that has to be hidden."""

    language: str
    text: str
    said: tuple[Said, ...]
    secret: dict[int, SecretKind]


def marked(text: str, language: str) -> Marked:
    """One conversation from its text."""
    said: list[Said] = []
    secret: dict[int, SecretKind] = {}
    channel, now_s = 0, 0.0
    kind: SecretKind | None = None
    named = True
    for token in _TOKEN.findall(text):
        if token in _CHANNELS:
            channel, now_s = _CHANNELS[token], now_s + TURN_S
        elif token == "{":
            named = False
        elif token == "}":
            kind = None
        elif not named:
            kind, named = SecretKind(token), True
        elif token[0] == "(" and token[1].isdigit() and token.endswith(")"):
            now_s += float(token[1:-1])
        else:
            if kind is not None:
                secret[len(said)] = kind
            said.append(Said(channel, Word(token, round(now_s, 3), round(now_s + WORD_S, 3), 0.9)))
            now_s += WORD_S + BETWEEN_S
    return Marked(language, text, tuple(said), secret)


def cases(path: Path) -> Iterator[Marked]:
    """A file of one conversation a line, `fr` or `en` first; empty lines and those with `#` are passed over."""
    for line in path.read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            language, text = line.split(maxsplit=1)
            yield marked(text, language)


def calls(path: Path, language: str) -> Iterator[Marked]:
    """A file of whole calls, parted by empty lines."""
    for text in path.read_text().split("\n\n"):
        if text.strip():
            yield marked(text, language)
