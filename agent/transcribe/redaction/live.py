"""Redaction of words while they are said: what leaves is redacted, and a number waits until it is known what it is.

Words leave in the order in which they came. From a number that can still become a secret on, all waits; one that has
waited for long leaves as `[CHIFFRES]`, for a digit that is out can never be taken back. So no digit leaves that the
transcript of the whole call would hide, however the words are cut into events.

To know what a number is, all that was said of late is read again. Where no number is open and nothing of one is in the
next words, nothing can be decided by that, and it is left out: most sentences cost next to nothing.
"""

from collections.abc import Sequence
from dataclasses import replace

from agent.model.redaction import Policy, SecretKind
from agent.model.text import Said
from agent.transcribe.redaction.apply import label, labels
from agent.transcribe.redaction.find import Found, find
from agent.transcribe.redaction.plain import is_plain, plain_atoms

PATIENCE_S = 10.0
"""A number leaves after so long, hidden if nobody knows yet what it is."""
MOST_HELD = 80
"""… or when so many words wait."""
MEMORY_S, MEMORY_WORDS = 150.0, 90
"""What was said so long ago, and so many words, says nothing of what is said now."""
CLOSE_WORDS = 20
"""Among so many words the last one of each party is looked at: what follows it may be read together with it."""
_SPELLED = frozenset({SecretKind.EMAIL, SecretKind.ADDRESS})
"""What may be made of plain words alone."""


class LiveRedactor:
    """The words of one call, of all its channels. Not for several threads."""

    def __init__(self, policy: Policy, language: str, key: bytes = b"") -> None:
        """`key`: that of pseudonyms, which are the same as in the final transcript where as much was understood."""
        self._policy = policy
        self._language = language
        self._key = key
        self._said: list[Said] = []
        self._left = 0
        self._last: dict[int, str] = {}
        self._speaking: dict[int, str] = {}
        self._others: dict[int, str] = {}
        """The same, as far as it counts already."""
        self._calm = True
        """When all was read last, nothing in it could become anything else."""

    def speaks(self, channel: int, language: str) -> None:
        """A channel speaks another language than was said. A number that waits is read to its end as before."""
        if self._speaking.get(channel, self._language) != language:
            self._speaking[channel] = language
            self._calm = False

    @property
    def held(self) -> int:
        """How many words wait."""
        return len(self._said) - self._left

    def feed(self, words: Sequence[Said], now_s: float | None = None) -> list[Said]:
        """Stable words, in order of time, and what may leave now. `now_s`: no word to come begins before it (seconds
        from the call's media origin); without it, that is the beginning of the last word."""
        if not self.held:
            self._others = dict(self._speaking)
        passes = self._says_nothing(words)
        self._said += words
        now_s = max([now_s or 0.0, *(one.word.start_s for one in words)])
        if not passes:
            return self._leave(now_s, ended=False)
        self._left = len(self._said)
        self._last |= dict.fromkeys((one.channel for one in words), "")
        self._let_go(now_s)
        return list(words)

    def flush(self) -> list[Said]:
        """The end of the call: all that still waits."""
        return self._leave(0.0, ended=True)

    def preview(self, words: Sequence[Said]) -> list[Said]:
        """What may be shown of a guess, of words of one channel that follow its stable ones: nothing of a number, and
        nothing after one; nothing at all while a stable word waits."""
        if self.held or not words:
            return []
        if self._says_nothing(words):
            return list(words)
        first = len(self._said)
        found = find([*self._said, *words], self._language, words[-1].word.start_s, self._others)
        hidden = [*found.numbers, *(n for secret in found.secrets for n in secret.words)]
        hidden += [first + n for n, one in enumerate(words) if any(c.isdigit() for c in one.word.text)]
        end = min([n for n in hidden if n >= first], default=first + len(words))
        return list(words[: max(0, min(end, self._open_from(found)) - first)])

    def forget(self, from_s: float) -> None:
        """What ends after this moment was never said, as far as this is concerned."""
        kept = [n for n, one in enumerate(self._said) if one.word.end_s <= from_s]
        if len(kept) < len(self._said) and self.held:  # what waits of a number will never be decided
            numbers = find(self._said, self._language, self._said[-1].word.end_s, self._others).numbers
            for n in range(self._left, len(self._said)):
                if n in numbers:
                    one = self._said[n]
                    self._said[n] = Said(one.channel, replace(one.word, text=label(None, self._language)))
        self._left = sum(n < self._left for n in kept)
        self._said = [self._said[n] for n in kept]
        self._last.clear()
        self._calm = False

    def _says_nothing(self, words: Sequence[Said]) -> bool:
        """Whether nothing that is said in these words can be a secret, or part of one."""
        if not words or not self._calm or self.held or self._policy.hidden & _SPELLED:
            return False
        before = {one.channel: one for one in self._said[-CLOSE_WORDS:] if plain_atoms(one.word.text) != ()}
        return all(is_plain(one.word.text) for one in (*before.values(), *words))

    def _leave(self, now_s: float, ended: bool) -> list[Said]:
        found = find(self._said, self._language, None if ended else now_s, self._others)
        open_from = max(self._open_from(found), self._left)
        hidden = labels(found.secrets, self._policy, self._language, self._key)
        until = open_from
        while until < len(self._said) and self._is_overdue(until, now_s):
            until += 1
        out: list[Said] = []
        for number in range(self._left, until):
            text = hidden.get(number)
            if text is None and number >= open_from and number in found.numbers:
                text = label(None, self._language)
            out += self._out(self._said[number], text)
        self._left = until
        self._calm = self._open_from(found) >= len(self._said)
        self._let_go(now_s)
        return out

    def _open_from(self, found: Found) -> int:
        """The word that has to wait first. Nobody waits for an address that is not hidden."""
        return found.open_from if SecretKind.EMAIL in self._policy.hidden else found.numbers_open_from

    def _is_overdue(self, number: int, now_s: float) -> bool:
        return now_s - self._said[number].word.end_s > PATIENCE_S or len(self._said) - number > MOST_HELD

    def _out(self, one: Said, text: str | None) -> list[Said]:
        """A word as it leaves; nothing for another word of what has just left as one."""
        last = self._last.get(one.channel)
        self._last[one.channel] = text or ""
        if text is None:
            return [one]
        return [] if text == last else [Said(one.channel, replace(one.word, text=text))]

    def _let_go(self, now_s: float) -> None:
        drop = 0
        most = min(self._left, len(self._said) - MEMORY_WORDS)
        while drop < most and now_s - self._said[drop].word.end_s > MEMORY_S:
            drop += 1
        if drop > MEMORY_WORDS:
            del self._said[:drop]
            self._left -= drop
