"""The guard of spoken cards: hears a card number begin, in words that may still change, so that the gate is in time.

It looks at guesses, not at what is decided: a decided word is a second late, and the holdback is three. What it takes
for the beginning of a card number and is none costs a call a few seconds of recording; so numbers that are announced as
something else, or begin as no card does, are let grow until they are as long as a card's.

A guess comes twice a second, and all of the last minutes counts; but where nothing of a number and no end of a phrase
is in it, and none was near before it, there is nothing to judge.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from agent.model.text import Said, Word
from agent.transcribe.redaction.atoms import Atom, atoms, fold
from agent.transcribe.redaction.chunks import Channel, Run
from agent.transcribe.redaction.find import understood
from agent.transcribe.redaction.heard import ANNOUNCED_S
from agent.transcribe.redaction.phrases import Topic
from agent.transcribe.redaction.plain import plain_atoms
from agent.transcribe.redaction.runs import CARD_DIGITS, MATTER_WORDS, runs
from agent.transcribe.redaction.topics import endings

FRESH_S = 4.0
"""What was said so long before the last word heard is no reason any more."""
REST_S = 5.0
"""Once something is heard again, so soon the rest of a number begins, if there is one."""
OTHERWISE_WORDS = 14
"""A number may be so far from what it is announced as: it is asked for, looked for, and then read out."""
MEMORY_S = 90.0
MOST_WORDS = 500
"""Of a channel; nobody says so many in `MEMORY_S`."""
_FIRST_DIGITS = frozenset("23456")
"""Of payment cards (ISO/IEC 7812-1, industry identifiers in use: Mastercard 2 and 5, Amex 3, Visa 4, Maestro 5, 6)."""
_SAYS_LITTLE = (Topic.NUMBER, Topic.PAYING, Topic.TAIL, Topic.BACK)
"""What does not say what a number is of: "my card number is"."""
_OTHERWISE: dict[Topic | None, int] = {
    **dict.fromkeys(
        (Topic.ORDER, Topic.THING, Topic.DATE, Topic.SIRET, Topic.PHONE, Topic.NIR, Topic.OTHER), OTHERWISE_WORDS
    ),
    Topic.MATTER: MATTER_WORDS,
}
"""So near what announces something else a number is that: one is paid for, so what it is about says little."""


class Reason(StrEnum):
    """What was heard."""

    DIGITS = "digits"
    CODE = "code"
    PHRASE = "phrase"


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that must not be kept began to be said at `since_s`, seconds from the call's media origin."""

    reason: Reason
    since_s: float


@dataclass(frozen=True, slots=True)
class Rules:
    """`digits` read out raise the alarm (half as many in several figures, once a card was spoken of); so do these
    `phrases`, and being asked for a card's code."""

    digits: int = 4
    phrases: tuple[str, ...] = ()
    hold_s: float = 10.0
    """So long nothing is heard after an alarm."""


@dataclass(slots=True)
class _Line:
    """What was heard of one channel: decided words, and the guess after them."""

    decided: list[Word] = field(default_factory=list)
    guess: tuple[Word, ...] = ()


class Guard:
    """One call. Not for several threads."""

    def __init__(self, rules: Rules, language: str) -> None:
        self._rules = rules
        self._language = language
        self._phrases = tuple(tuple(a.text for a in _atoms_of(phrase)) for phrase in rules.phrases)
        self._endings = endings(Topic.CVV) | {phrase[-1] for phrase in self._phrases if phrase}
        """With any of these words an alarm may be due."""
        self._lines: dict[int, _Line] = {}
        self._judged_s = self._stirred_s = -math.inf
        """What was heard when all was judged last, and where the last number or code was in it."""
        self._alarmed_s = -math.inf
        """When what was heard last was a reason; it is known still when the words are not."""
        self._others: dict[int, str] = {}

    def speaks(self, channel: int, language: str) -> None:
        """A channel speaks another language than was said."""
        if self._others.get(channel) != language:
            self._others[channel] = language
            self._judged_s = math.inf

    def hear(self, channel: int, words: Sequence[Word], *, stable: bool) -> Alarm | None:
        """The next decided words of a channel, or the guess that now follows them; an alarm where they are a reason."""
        line = self._lines.setdefault(channel, _Line())
        near = (*line.decided[-1:], *line.guess, *words)
        if stable:
            line.decided += words
            line.guess = ()
        else:
            line.guess = tuple(words)
        if not words:
            return None
        heard_s = words[-1].end_s
        if not self._is_idle(heard_s, near):
            return self._judge(heard_s)
        if len(line.decided) > MOST_WORDS:
            self._let_go(heard_s)
        return None

    def forget(self, from_s: float) -> None:
        """What was said from there on is not known any more."""
        for line in self._lines.values():
            line.decided = [word for word in line.decided if word.end_s <= from_s]
            line.guess = tuple(word for word in line.guess if word.end_s <= from_s)
        self._judged_s = math.inf

    def _is_idle(self, heard_s: float, words: Sequence[Word]) -> bool:
        """Whether words heard until then cannot be a reason, nor make one of what was heard before."""
        if heard_s < self._judged_s or heard_s - FRESH_S <= self._stirred_s:
            return False
        return all((found := plain_atoms(word.text)) is not None and self._endings.isdisjoint(found) for word in words)

    def _judge(self, heard_s: float) -> Alarm | None:
        """`heard_s`: the end of what was heard just now; the other party may have been heard further."""
        said = [Said(number, word) for number, line in self._lines.items() for word in (*line.decided, *line.guess)]
        said.sort(key=lambda one: (one.word.start_s, one.channel))
        now_s = max(one.word.end_s for one in said)
        self._let_go(now_s)
        channels = understood(said, self._language, now_s, self._others)
        numbers = runs(channels, now_s)
        digits = self._digits(channels, numbers, heard_s)
        found = [self._phrase(channels, heard_s), _code(channels, heard_s), digits]
        alarm = min((one for one in found if one), key=lambda one: one.since_s, default=None)
        self._alarmed_s = self._alarmed_s if alarm is None else now_s
        self._judged_s = heard_s
        self._stirred_s = max([run.end_s for run in numbers] + [one.since_s for one in found if one], default=-math.inf)
        return alarm

    def _let_go(self, now_s: float) -> None:
        for line in self._lines.values():
            line.decided = [word for word in line.decided if word.end_s > now_s - MEMORY_S]

    def _digits(self, channels: dict[int, Channel], numbers: Sequence[Run], heard_s: float) -> Alarm | None:
        for run in reversed(numbers):
            if run.end_s >= heard_s - FRESH_S and run.length >= self._enough(channels, run):
                return Alarm(Reason.DIGITS, run.start_s)
        return None

    def _enough(self, channels: dict[int, Channel], run: Run) -> int:
        """How many digits of a run raise the alarm."""
        first = run.figures[0]
        alone = len(run.figures) == 1
        few = self._rules.digits if alone else max(2, self._rules.digits // 2)
        near = [
            (channel.atoms[mention.after - 1].word, mention.topic)
            for channel in channels.values()
            for mention in channel.mentions
            if mention.topic not in _SAYS_LITTLE
            and channel.atoms[mention.first].word < first.first_word
            and run.start_s - channel.atoms[mention.after - 1].end_s <= ANNOUNCED_S
        ]
        last_word, topic = max(near, default=(-1, None), key=lambda one: one[0])
        if topic is Topic.CARD:
            return few
        if alone and not first.figure.settled:
            return CARD_DIGITS  # it may turn out to be a sum
        if 0 <= run.start_s - self._alarmed_s <= self._rules.hold_s + REST_S:  # the rest of the number, after a pause
            return few
        if first.first_word - last_word <= _OTHERWISE.get(topic, 0):
            return CARD_DIGITS
        return self._rules.digits if run.digits[0] in _FIRST_DIGITS else CARD_DIGITS

    def _phrase(self, channels: dict[int, Channel], heard_s: float) -> Alarm | None:
        for channel in channels.values():
            texts = [atom.text for atom in channel.atoms]
            for phrase in self._phrases:
                for at in range(len(texts) - len(phrase), -1, -1):
                    last = channel.atoms[at + len(phrase) - 1]
                    if last.end_s < heard_s - FRESH_S:
                        break
                    if tuple(texts[at : at + len(phrase)]) == phrase:
                        return Alarm(Reason.PHRASE, last.end_s)
        return None


def _code(channels: dict[int, Channel], heard_s: float) -> Alarm | None:
    """A card's code is asked for: it is said before its three digits could be recognised."""
    asked = [
        channel.atoms[m.after - 1].end_s
        for channel in channels.values()
        for m in channel.mentions
        if m.topic is Topic.CVV and channel.atoms[m.after - 1].end_s >= heard_s - FRESH_S
    ]
    return Alarm(Reason.CODE, max(asked)) if asked else None


def _atoms_of(phrase: str) -> list[Atom]:
    return atoms([Said(0, Word(text, 0.0, 0.0, 1.0)) for text in fold(phrase).split()]).get(0, [])
