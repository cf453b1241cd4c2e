"""LocalAgreement-2: words that two windows in succession agree on, from the first on, are decided for good.

The policy is that of Liu et al. (Interspeech 2020) as applied to Whisper by Macháček et al. (2023, arXiv:2307.14743).
Agreement is of words, not of their punctuation or capitals: those are as the later window has them.
"""

from collections.abc import Sequence

from agent.model.text import Word

Words = tuple[Word, ...]


def plain(text: str) -> str:
    """A word without capitals and without what is no letter or digit at its ends."""
    letters = [at for at, letter in enumerate(text) if letter.isalnum()]
    return text[letters[0] : letters[-1] + 1].casefold() if letters else ""


class Agreement:
    """The undecided words of one channel."""

    def __init__(self) -> None:
        self._before: Words = ()

    def offer(self, words: Words) -> tuple[Words, Words]:
        """Take what a window has after all that is decided; return what is decided now, and what is still a guess."""
        agreed = 0
        for old, new in zip(self._before, words, strict=False):
            if plain(old.text) != plain(new.text):
                break
            agreed += 1
        self._before = words[agreed:]
        return words[:agreed], words[agreed:]

    def settle(self) -> None:
        """All that there was is decided, or wiped."""
        self._before = ()


def in_order(words: Sequence[Word], since_s: float, until_s: float) -> Words:
    """The words with times that never run backwards and lie within `since_s`..`until_s`."""
    ordered: list[Word] = []
    at = since_s
    for word in words:
        start = min(max(word.start_s, at), until_s)
        at = min(max(word.end_s, start), until_s)
        ordered.append(Word(word.text, round(start, 3), round(at, 3), word.confidence))
    return tuple(ordered)
