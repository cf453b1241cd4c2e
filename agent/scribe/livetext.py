"""One call's live text as it leaves this process: redacted, numbered anew, and taken back where a pause reached.

Events for the desk are objects for JSON lines (docs/desk.md, "Live text"). A guess shows nothing of a number.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from agent.control.takenback import without_words
from agent.model.call import CLOCK_RATE, Role
from agent.model.text import UNDETERMINED, Said, Word
from agent.transcribe.live.events import LiveText
from agent.transcribe.redaction.live import LiveRedactor

News = dict[str, Any]
T = TypeVar("T")


def newest_guesses(waiting: Sequence[T]) -> list[T]:
    """What waits to be told, in order, without guesses that something later of the same channel takes the place of:
    whoever is behind reads the newest only."""
    kept: list[T] = []
    later: set[tuple[str, int]] = set()
    for event in reversed(waiting):
        if isinstance(event, LiveText):
            if not event.stable and (event.call, event.channel) in later:
                continue
            later.add((event.call, event.channel))
        kept.append(event)
    return kept[::-1]


class CallText:
    """One call, as its live purpose may read it. Not for several threads."""

    def __init__(self, call_id: str, purpose: str, redactor: LiveRedactor) -> None:
        self._call_id, self._purpose, self._redactor = call_id, purpose, redactor
        self._parties: dict[int, Role] = {}
        self._seq: dict[int, int] = {}
        self._rev: dict[int, int] = {}
        self._guessed: set[int] = set()
        """Channels of which a guess is shown."""

    def hear(self, event: LiveText, until_s: float | None = None) -> list[News]:
        """What leaves after an event. Words that end after `until_s` are as good as never said."""
        self._parties[event.channel] = event.party
        self._redactor.speaks(event.channel, event.language or UNDETERMINED)
        words = [Said(event.channel, w) for w in event.words if until_s is None or w.end_s <= until_s]
        if event.stable:
            told = self._decided(self._redactor.feed(words) if words else [])
            return told + self._guess(event.channel, [])
        return self._guess(event.channel, self._redactor.preview(words))

    def forget(self, position: int) -> tuple[Callable[[News], News], News]:
        """What was said from a media position on is known no more, neither here nor where it was told: how news that
        waits is changed by it, and what is told of it."""
        from_s = position / CLOCK_RATE
        self.wipe(from_s)
        self._guessed.clear()
        told = {"news": "forgotten", "call_id": self._call_id, "from_s": from_s}
        return partial(without_words, call_id=self._call_id, from_s=from_s), told

    def wipe(self, from_s: float) -> None:
        """Words that end after this moment are not known any more; that is not told yet."""
        self._redactor.forget(from_s)

    def age(self, now_s: float) -> list[News]:
        """What leaves because time goes on: no word to come begins before `now_s`."""
        return self._decided(self._redactor.feed([], now_s)) if self._redactor.held else []

    def end(self) -> list[News]:
        """The call is over: what still waited."""
        return self._decided(self._redactor.flush())

    def switched(self, on: bool, why: str) -> News:
        """The box gives up the live text of this call, or takes it up again."""
        return {"news": "live", "call_id": self._call_id, "on": on, "why": why}

    def _decided(self, words: Sequence[Said]) -> list[News]:
        told: list[News] = []
        at = 0
        while at < len(words):
            channel, end = words[at].channel, at
            while end < len(words) and words[end].channel == channel:
                end += 1
            told.append(self._text(channel, [one.word for one in words[at:end]], stable=True))
            self._seq[channel] = self._seq.get(channel, 0) + 1
            self._rev[channel] = 0
            self._guessed.discard(channel)
            at = end
        return told

    def _guess(self, channel: int, words: Sequence[Said]) -> list[News]:
        if not words and channel not in self._guessed:
            return []
        told = self._text(channel, [one.word for one in words], stable=False)
        self._rev[channel] = self._rev.get(channel, 0) + 1
        (self._guessed.add if words else self._guessed.discard)(channel)
        return [told]

    def _text(self, channel: int, words: Sequence[Word], *, stable: bool) -> News:
        return {
            "news": "text",
            "call_id": self._call_id,
            "purpose": self._purpose,
            "channel": channel,
            "party": self._parties[channel].value,
            "seq": self._seq.get(channel, 0),
            "rev": self._rev.get(channel, 0),
            "stable": stable,
            "start_s": words[0].start_s if words else None,
            "end_s": words[-1].end_s if words else None,
            "words": [{"text": word.text, "start_s": word.start_s, "end_s": word.end_s} for word in words],
        }
