"""Figures that are read out, in order: chunks that only fillers part, what lies between them, and what they say.

A run is a number as far as it was read; how runs are joined is `agent.transcribe.redaction.runs`.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import groupby

from agent.transcribe.redaction.atoms import PLUS, Atom
from agent.transcribe.redaction.checks import IBAN_LENGTHS, looks_like_card
from agent.transcribe.redaction.figures import Figure, Role
from agent.transcribe.redaction.lexicon import CORRECTIONS, FILLERS, RESTARTS
from agent.transcribe.redaction.phrases import Topic
from agent.transcribe.redaction.tables import table
from agent.transcribe.redaction.topics import Mention

OTHERS_WORDS = 12
"""… and after so many words of the other party that are no fillers."""
_NOT_BREAKING = (
    *(None, Topic.CARD, Topic.NUMBER, Topic.PAYING, Topic.THING, Topic.MATTER),
    *(Topic.CODE, Topic.OTHER_CODE),
)
WHOLE_DIGITS, COUNTED_DIGITS = 5, 2
"""After a figure of so many digits, or after other words, so few that count something are no part of the number."""
ASKING_WORDS, ASKING_WORDS_ANNOUNCED = 2, 5
"""A question of the other party of so many words that are no fillers asks for something else; of a number that was
announced as a secret it is one only if it does not speak of figures."""
_OF_FIGURES = table(
    "chiffre chiffres numero numeros suite reste dernier derniers digit digits number numbers rest last figures"
)
LEAD_ATOMS = 5
_NO_LETTERS = frozenset("aiy")
"""Single letters that are words as well."""
KEYS = table("cle clef cles")
"""What the last two figures of a NIR are called."""
ECHO_SHARE, ECHO_DIGITS, WHOLE_ECHO_DIGITS = 0.75, 3, 5


@dataclass(frozen=True, slots=True)
class Channel:
    """What is known of one channel: atoms, figures, announcements, and from which atom on
    it is not known yet whether there are figures."""

    atoms: Sequence[Atom]
    figures: Sequence[Figure]
    mentions: Sequence[Mention]
    pending: int


@dataclass(frozen=True, slots=True)
class Placed:
    """A figure in the conversation: half-open `words`. `corrects`: it takes the place of the last one; `restarts`: of
    all."""

    figure: Figure
    channel: int
    first_word: int
    last_word: int
    start_s: float
    end_s: float
    corrects: bool = False
    restarts: bool = False
    counts: bool = False
    """It is short, and a word follows that it may count."""


@dataclass(slots=True)
class Run:
    """Figures of one number, in order of time. `lead`: the word with which it begins, before the first figure: a plus
    or
    the country of an IBAN. `open`: what is said next can still change it."""

    figures: list[Placed] = field(default_factory=list)
    lead: str = ""
    lead_word: int = 0
    open: bool = False
    asked: Topic | None = None
    """What was announced last before it, by either party, not long ago."""

    @property
    def digits(self) -> str:
        """All of them, of both parties."""
        return "".join(p.figure.digits for p in self.figures)

    @property
    def first_word(self) -> int:
        """Where it begins, its lead included."""
        return self.lead_word if self.lead else self.figures[0].first_word

    @property
    def last_word(self) -> int:
        """Its last word."""
        return max(p.last_word for p in self.figures)

    @property
    def start_s(self) -> float:
        """When it begins."""
        return self.figures[0].start_s

    @property
    def end_s(self) -> float:
        """When it ends."""
        return max(p.end_s for p in self.figures)

    @property
    def channel(self) -> int:
        """The party that said most of it."""
        said: dict[int, int] = {}
        for p in self.figures:
            said[p.channel] = said.get(p.channel, 0) + len(p.figure.digits)
        return max(said, key=lambda c: said[c])

    @property
    def length(self) -> int:
        """How many digits the number may have at most: what the other party only repeats is not counted."""
        return sum(p.figure.most for p in self._said_once())

    @property
    def heard_length(self) -> int:
        """How many digits were heard of it, repetitions by the other party not counted."""
        return sum(len(p.figure.digits) for p in self._said_once())

    @property
    def once(self) -> str:
        """The digits, without what the other party only repeats."""
        return "".join(p.figure.digits for p in self._said_once())

    def turns(self) -> list[str]:
        """The digits that each party said in a row."""
        grouped = groupby(self.figures, key=lambda p: p.channel)
        return ["".join(p.figure.digits for p in figures) for _, figures in grouped]

    def spoken(self) -> list[str]:
        """The digits of each figure."""
        return [p.figure.digits for p in self.figures]

    def _said_once(self) -> list[Placed]:
        """The figures of the party whose digits the others only repeat after it, or of the party that repeats all that
        was said and more; or the first half of what was said twice; else all."""
        half = len(self.figures) // 2
        first, second = ("".join(p.figure.digits for p in part) for part in (self.figures[:half], self.figures[half:]))
        if first == second and len(set(first)) > 2 and not looks_like_card(first + second):
            return self.figures[:half]
        for main in {p.channel: 0 for p in self.figures}:
            said, echo, strange = "", 0, 0
            for channel, group in groupby(self.figures, key=lambda p: p.channel):
                digits = "".join(p.figure.digits for p in group)
                if channel == main:
                    said += digits
                    continue
                blocks = SequenceMatcher(None, said, digits, autojunk=False).get_matching_blocks()
                same = sum(block.size for block in blocks if block.size >= min(ECHO_DIGITS, len(digits)))
                echo += same
                strange += len(digits) - same
            others = "".join(p.figure.digits for p in self.figures if p.channel != main)
            if echo + strange and echo >= ECHO_SHARE * (echo + strange):
                return [p for p in self.figures if p.channel == main]
            if len(said) >= WHOLE_ECHO_DIGITS and said in others:
                return [p for p in self.figures if p.channel != main]
        return self.figures

    def readings(self) -> list[str]:
        """What the number may be: all that was said, or what one party said most of, with and without corrections."""
        found: list[str] = []
        once = self._said_once()
        whole = self.figures if len(once) == len(self.figures) else once
        mine = [p for p in whole if p.channel == self.channel]
        for part in (whole, mine or whole):
            plain, corrected, anew = "", "", ""
            for p in part:
                plain += p.figure.digits
                kept = corrected[: -len(p.figure.digits)] if p.corrects else corrected
                corrected = kept + p.figure.digits
                anew = p.figure.digits if p.restarts else anew + p.figure.digits
            found += [text for text in (plain, corrected, anew) if text not in found]
        return found


@dataclass(slots=True)
class Gap:
    """What was said since the last figure."""

    words: dict[int, int] = field(default_factory=dict)
    heard: int = 0
    """Atoms, fillers too."""
    parts: bool = False
    """A sentence, or a part of one, ended."""
    broken: bool = False
    letters: int = 0
    named: bool = False
    """Some thing's number was announced, and asked for something: that ends a number which no secret announced."""
    corrects: bool = False
    restarts: bool = False
    carded: bool = False
    """A card was spoken of."""
    keyed: bool = False
    """The key of a number was spoken of, and nothing else."""
    asking: dict[int, int] = field(default_factory=dict)
    """Words of the sentence of each channel that goes on, fillers not counted."""
    asks: dict[int, int] = field(default_factory=dict)
    """The most words of a question of each channel, and of one that does not speak of figures."""
    asks_else: dict[int, int] = field(default_factory=dict)
    of_figures: bool = False

    def add(self, channel: int) -> None:
        self.words[channel] = self.words.get(channel, 0) + 1

    def hear(self, event: "Event") -> bool:
        """Another atom; whether a lead before it still leads to what comes."""
        self.heard += 1
        self.parts |= event.atom.ends or event.atom.comma
        self.broken |= event.topic not in _NOT_BREAKING
        self.letters += len(event.atom.text) == 1 and event.atom.text.isalpha() and event.atom.text not in _NO_LETTERS
        self.carded |= event.topic is Topic.CARD
        self._follow(event)
        self.named |= event.topic in (Topic.THING, Topic.MATTER)
        self.corrects |= event.atom.text in CORRECTIONS
        self.restarts |= event.atom.text in RESTARTS
        if event.neutral or event.atom.text == PLUS:
            return True
        self.keyed = event.atom.text in KEYS and (self.keyed or not self.words)
        self.add(event.atom.channel)
        return False

    def _follow(self, event: "Event") -> None:
        """Count the words of sentences, and see which are questions."""
        channel = event.atom.channel
        if not event.neutral:
            self.asking[channel] = self.asking.get(channel, 0) + 1
        self.of_figures |= event.atom.text in _OF_FIGURES
        if event.atom.asks:
            self.asks[channel] = max(self.asks.get(channel, 0), self.asking.get(channel, 0))
            if not self.of_figures:
                self.asks_else[channel] = max(self.asks_else.get(channel, 0), self.asking.get(channel, 0))
        if event.atom.ends:
            self.asking[channel] = 0
            self.of_figures = False

    def asks_otherwise(self, speakers: Container[int], known: bool) -> bool:
        """Whether who does not say a number asks for something else."""
        asks, least = (self.asks_else, ASKING_WORDS_ANNOUNCED) if known else (self.asks, ASKING_WORDS)
        return any(count >= least for channel, count in asks.items() if channel not in speakers)

    def plus(self, other: "Gap", figures: int, channel: int) -> "Gap":
        """This gap, then a number that is none of it, then another gap."""
        words = {c: self.words.get(c, 0) + other.words.get(c, 0) for c in {**self.words, **other.words}}
        words[channel] = words.get(channel, 0) + figures
        both = Gap(words, broken=self.broken or other.broken, named=self.named or other.named)
        both.letters = self.letters + other.letters
        both.carded = self.carded or other.carded
        both.asks = {c: max(self.asks.get(c, 0), other.asks.get(c, 0)) for c in words}
        both.asks_else = {c: max(self.asks_else.get(c, 0), other.asks_else.get(c, 0)) for c in words}
        return both

    def allows(self, speakers: Container[int], own: int, others: int = OTHERS_WORDS) -> bool:
        """Whether a number may go on over it, that these channels say."""
        mine = sum(n for c, n in self.words.items() if c in speakers)
        theirs = sum(n for c, n in self.words.items() if c not in speakers)
        return not self.broken and mine <= own and theirs <= others


@dataclass(frozen=True, slots=True)
class Event:
    """An atom that is no part of a figure, or a figure."""

    atom: Atom
    placed: Placed | None = None
    topic: Topic | None = None
    neutral: bool = False
    lead: str = ""


def events(channels: Mapping[int, Channel]) -> list[Event]:
    """Figures and other atoms of all channels, in order of time."""
    found: list[tuple[int, int, Event]] = []
    for number, channel in channels.items():
        topics = {at: m.topic for m in channel.mentions for at in range(m.first, m.after)}
        reading = {f.first: f for f in channel.figures if f.role is Role.READ}
        at = 0
        while at < len(channel.atoms):
            atom = channel.atoms[at]
            figure = reading.get(at)
            if figure is not None:
                last = channel.atoms[figure.after - 1]
                placed = Placed(
                    figure,
                    number,
                    atom.word,
                    last.word,
                    atom.start_s,
                    last.end_s,
                    counts=_counts(channel.atoms, figure),
                )
                found.append((atom.word, at, Event(atom, placed)))
                at = figure.after
                continue
            lead, length = _lead(channel.atoms, at, reading)
            topic = topics.get(at)
            neutral = topic in (None, Topic.CARD, Topic.NUMBER, Topic.PAYING) and is_neutral(channel.atoms, at)
            found.append((atom.word, at, Event(atom, None, topic, neutral, lead)))
            at += length
    found.sort(key=lambda entry: entry[:2])
    return [event for _, _, event in found]


def _counts(atoms: Sequence[Atom], figure: Figure) -> bool:
    """Whether a short figure may count what the word after it says."""
    if len(figure.digits) > COUNTED_DIGITS or figure.after >= len(atoms):
        return False
    follower = atoms[figure.after]
    return follower.linked and len(follower.text) > 1 and follower.text.isalpha() and follower.text not in FILLERS


def is_neutral(atoms: Sequence[Atom], at: int) -> bool:
    """Whether a number goes on over an atom: fillers, single letters, and "comme François" after one."""
    text = atoms[at].text
    if text in ("et", "and"):  # right before a figure it parts two numbers
        return at + 1 == len(atoms) or atoms[at + 1].text in FILLERS
    if text in FILLERS or (len(text) == 1 and text.isalpha() and text not in _NO_LETTERS):
        return True
    if text in ("comme", "as", "for"):
        return at > 0 and len(atoms[at - 1].text) == 1
    return at > 1 and atoms[at - 1].text in ("comme", "as", "for") and len(atoms[at - 2].text) == 1


def _lead(atoms: Sequence[Atom], at: int, reading: Container[int]) -> tuple[str, int]:
    """The plus of a phone number, or the country of an IBAN, right before a figure, some fillers between; and its
    atoms."""
    text = atoms[at].text
    if text in (PLUS, "plus"):
        return (PLUS, 1) if at + 1 in reading or at + 2 in reading else ("", 1)
    after = _past_fillers(atoms, at + 1)
    if len(text) == 1 and text.isalpha() and after < len(atoms):
        text, after = text + atoms[after].text, after + 1
    elif not atoms[at].upper:
        return "", 1
    spelled = len(atoms[at].text) == 1 and len(text) == 2
    known = text.upper() in IBAN_LENGTHS and (spelled or len(atoms[at].text) == 2)
    if known and _past_fillers(atoms, after) in reading:
        return text.upper(), after - at
    return "", 1


def _past_fillers(atoms: Sequence[Atom], at: int) -> int:
    """The first atom from a position on that is no filler ("comme François"), or the last one that is looked at."""
    end = min(at + LEAD_ATOMS, len(atoms))
    while at < end and len(atoms[at].text) > 1 and is_neutral(atoms, at):
        at += 1
    return at
