"""Social security numbers (NIR) as people dictate them: bit by bit, explained, the key asked for at the end.

"Un pour homme, l'année quatre-vingt-cinq, le mois zéro cinq …": no bit of it is long enough to be told by itself, and
other words are between. So where a NIR was spoken of, what is read out next is taken for it, bit by bit, until it is
whole, something else is spoken of, or no figure comes for long. It is one if together the bits begin as a NIR does.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from agent.model.redaction import SecretKind
from agent.transcribe.redaction.bits import Bit, bits, words_of
from agent.transcribe.redaction.checks import NIR_DIGITS, NIR_WITH_KEY, begins_as_nir, is_nir
from agent.transcribe.redaction.chunks import KEYS, Channel
from agent.transcribe.redaction.heard import Heard, Judged
from agent.transcribe.redaction.lexicon import CORRECTIONS, RESTARTS
from agent.transcribe.redaction.phrases import Topic
from agent.transcribe.redaction.tables import table

GAP_WORDS, GAP_S, FIRST_WORDS = 14, 30.0, 25
"""So many words that are no fillers, and seconds, may part two bits, and the first one from what announced it."""
SURE_DIGITS = 9
"""Of so many digits one may have been misheard."""
CUTS, OTHER_CUTS = (1, 3, 5), (3, 7)
"""Where sex, year and month end, in which bits end as well; or what is said with them."""
NEXT_WORDS = 3
"""Once all but the key was said, what goes on so soon is part of it."""
ALONE_DIGITS = 11
"""So many digits are known for a NIR by themselves, where one was spoken of (`agent.transcribe.redaction.sorts`)."""
KEY_WORDS, KEY_S, NAMED_WORDS = 60, 60.0, 12
"""So long after that its key may be asked for, and so soon after the word for it comes the key."""
YEAR_DIGITS = 4
INSURED_WORDS = 6
"""So soon before the insurance is named its number may be asked for."""
ONE_WORDS = 10
"""So many words at most part "un", where it is no article, from what follows: "un pour homme, l'année …"."""
_LAST = KEYS | table("dernier derniers derniere fin bout reste manque restent encore aussi")
_AGAIN = CORRECTIONS | RESTARTS
_BORN = table("annee ne nee naissance mois")
_NUMBERED = table(
    """numero numeros nir chiffre chiffres dictez dicter dictes lisez lire donner donnez redonner redonnez rappeler
    rappelez confirmer confirmez ecoute ecoutez coeur matricule immatriculation"""
)
"""Who says so asks for the number, and does not only speak of the insurance."""
_ANOTHER = table(
    "celui celle conjoint conjointe epoux epouse mari femme fils fille enfant bebe sien sienne mien mienne"
)
"""Soon after one was spoken of, this announces another."""
_LONGEST_PHRASE = 20
"""So many words of all parties at most lie between the first and the last one of an announcement."""
_COUNTS = (str(NIR_DIGITS), str(NIR_WITH_KEY))
_PASSING = frozenset(
    {Topic.NUMBER, Topic.PAYING, Topic.TAIL, Topic.BACK, Topic.CODE, Topic.DATE, Topic.MATTER, Topic.EXPIRY}
)
"""What is said of a NIR while it is dictated, and of much else."""


@dataclass(slots=True)
class Dictated:
    """What was said of one: its digits and their words so far, and after how many digits a bit ended (`cuts`). `known`:
    it is one, whatever its digits; `open`: it may go on."""

    word: int
    end_s: float
    """The last word of it, or of what announced it."""
    announced_word: int
    """The first word of what announced it."""
    channel: int = -1
    digits: str = ""
    words: set[int] = field(default_factory=set)
    cuts: set[int] = field(default_factory=set)
    last: Bit | None = None
    known: bool = False
    open: bool = False

    @property
    def is_one(self) -> bool:
        """Whether it is a NIR, or enough of one."""
        if self.known:
            return True
        if len(self.digits) >= SURE_DIGITS and self.cuts.issuperset(CUTS):
            return True
        return begins_as_nir(self.digits) and (CUTS[-1] in self.cuts or self.cuts.issuperset(OTHER_CUTS))

    @property
    def is_whole(self) -> bool:
        """Whether its key was said and is right."""
        return any(is_nir(self.digits[at : at + NIR_WITH_KEY]) for at in range(len(self.digits) - NIR_WITH_KEY + 1))

    def add(self, bit: Bit) -> None:
        """Another bit. Where it is only said again, its words are added and no digits."""
        if self.last is not None and self.last.article and self.digits == "1" and not _is_after_one(self.last, bit):
            self.words.clear()
            self.cuts.clear()
            self.channel, self.digits = -1, ""
        self.channel = bit.channel if self.channel < 0 else self.channel
        if not self.repeats(bit):
            self.digits += bit.digits
            self.cuts.add(len(self.digits))
        self.words |= set(bit.words)
        self.word, self.end_s, self.last = max(bit.words), bit.end_s, bit

    def is_of_other(self, bit: Bit) -> bool:
        """Whether the other party says it, nothing of the number, while that is not known for one."""
        return self.digits != "" and bit.channel != self.channel and not (self.is_one or self.repeats(bit))

    def repeats(self, bit: Bit) -> bool:
        """Whether a bit says again what was said: the other party any of it, the same one what it said last."""
        if bit.channel != self.channel:
            return bit.digits in self.digits
        again = self.last is not None and self.last.digits == bit.digits and bit.words[0] - self.word > 1
        return again and len(bit.digits) > 1


@dataclass(frozen=True, slots=True)
class _Talk:
    """What was said: all bits, those words of them that are known to be of a NIR, and all announcements; of each word
    its text, and how many words before it are no fillers."""

    bits: Sequence[Bit]
    of_nirs: frozenset[int]
    heard: Sequence[Heard]
    texts: Mapping[int, str]
    counted: Sequence[int]

    def between(self, after: int, before: int) -> Iterator[Heard]:
        """What was announced between two words, begun after the one and before the other."""
        at = bisect_left(self.heard, after, key=_last_word)
        while at < len(self.heard) and self.heard[at].last_word < before + _LONGEST_PHRASE:
            if after < self.heard[at].first_word < before:
                yield self.heard[at]
            at += 1

    def said(self, after: int, before: int) -> list[str]:
        """The texts of what lies between two words, the last KEY_WORDS of them."""
        return [self.texts.get(word, "") for word in range(max(after + 1, before - KEY_WORDS), before)]


def dictated(
    channels: Mapping[int, Channel],
    heard: Sequence[Heard],
    known: Sequence[Judged],
    counted: Sequence[int],
    now_s: float | None,
) -> list[Dictated]:
    """Those of a conversation, in order. `heard`: all announcements; `known`: what its numbers are; `counted`: of each
    word, how many words before it are no fillers; `now_s`: it goes on from there; None: it has ended."""
    nirs = [one for one in known if one.kind is SecretKind.NIR and one.run.length >= ALONE_DIGITS]
    begun = [Dictated(h.last_word, h.end_s, h.first_word) for h in heard if h.topic is Topic.NIR]
    begun += [Dictated(n.run.first_word - 1, n.run.start_s, n.run.first_word - 1, known=True) for n in nirs]
    if not begun:
        return []
    begun += _others(channels, sorted(one.word for one in begun))
    of_nirs = frozenset(word for one in nirs for word in words_of(one))
    texts = {atom.word: atom.text for channel in channels.values() for atom in channel.atoms}
    talk = _Talk(bits(channels, known), of_nirs, heard, texts, counted)
    found: list[Dictated] = []
    for one in sorted(begun, key=lambda one: one.word):
        if found and one.word < found[-1].word:
            continue
        _follow(one, talk)
        if now_s is not None and not one.is_one:
            one.open |= _is_near(one, len(counted) - 1, now_s, counted)
        found.append(one)
    return [one for one in found if one.words and (one.open or one.is_one)]


def _others(channels: Mapping[int, Channel], begun: Sequence[int]) -> list[Dictated]:
    """What may be more of them, of somebody else: "et celui du conjoint ?" `begun`: where each begins, in order."""
    found = []
    for channel in channels.values():
        for atom in channel.atoms:
            last = bisect_left(begun, atom.word) - 1
            if atom.text in _ANOTHER and last >= 0 and atom.word - begun[last] <= KEY_WORDS:
                found.append(Dictated(atom.word, atom.end_s, begun[last]))
    return found


def _follow(one: Dictated, talk: _Talk) -> None:
    """Add what is said of one, until it ends."""
    before: Bit | None = None
    for bit in talk.bits[bisect_right(talk.bits, one.word, key=_first_word) :]:
        first = bit.words[0]
        near = _is_near(one, first, bit.start_s, talk.counted)
        if not (near or one.digits):
            return
        if (bit.doubtful and one.digits) or (bit.dated and len(one.digits) != CUTS[-1]):
            continue
        if not bit.settled:
            one.open = bool(one.words)
            return
        if not one.digits and not (_may_begin(bit, before) and _is_asked(one, first, talk)):
            before = bit
            continue
        ended = one.is_whole or any(_ends(h, one, talk) for h in talk.between(one.word, first))
        if ended or not (near if len(one.digits) < NIR_DIGITS else _is_rest(one, bit, near, talk)):
            return
        if one.is_of_other(bit):
            continue
        one.add(bit)
        one.known |= talk.of_nirs.issuperset(bit.words)


def _last_word(heard: Heard) -> int:
    return heard.last_word


def _first_word(bit: Bit) -> int:
    return bit.words[0]


def _is_near(one: Dictated, word: int, at_s: float, counted: Sequence[int]) -> bool:
    """Whether what begins with a word, at a time, may go on with one, or be the first of it."""
    words = counted[word] - counted[one.word + 1]
    return words <= (GAP_WORDS if one.digits else FIRST_WORDS) and at_s - one.end_s <= GAP_S


def _is_rest(one: Dictated, bit: Bit, near: bool, talk: _Talk) -> bool:
    """Whether a bit goes on with one that may lack no more than its key."""
    said = talk.said(one.word, bit.words[0])
    is_key = len(bit.digits) <= NIR_WITH_KEY - NIR_DIGITS
    if near:
        mine = bit.channel == one.channel
        follows = talk.counted[bit.words[0]] - talk.counted[one.word + 1] <= NEXT_WORDS
        goes_on = len(bit.digits) < YEAR_DIGITS and follows and (mine or one.repeats(bit))
        anew = mine and not _AGAIN.isdisjoint(said)
        if goes_on or anew or (is_key and not _LAST.isdisjoint(said[-NAMED_WORDS:])):
            return True
    return is_key and bit.start_s - one.end_s <= KEY_S and not KEYS.isdisjoint(said[-NAMED_WORDS:])


def _is_asked(one: Dictated, first: int, talk: _Talk) -> bool:
    """Whether what was said until a word asks for the number of somebody, or announces it."""
    said = (talk.texts.get(word, "") for word in range(max(0, one.announced_word - INSURED_WORDS), first))
    return one.known or any(text in _NUMBERED for text in said)


def _ends(heard: Heard, one: Dictated, talk: _Talk) -> bool:
    """Whether an announcement is of something else. The year and month of birth explain a number to who dictates it,
    and are another question of who does not; and it may stand on a card."""
    if heard.topic is Topic.OTHER:
        words = {talk.texts.get(word, "") for word in range(heard.first_word, heard.last_word + 1)}
        return heard.channel != one.channel or _BORN.isdisjoint(words)
    if heard.topic is Topic.CARD and heard.channel == one.channel:
        return False
    return heard.topic is not Topic.NIR and heard.topic not in _PASSING


def _is_after_one(one: Bit, bit: Bit) -> bool:
    """Whether "un" was the first digit of what goes on with a bit, and no article."""
    anew = bit.digits[0] in "12" and len(bit.digits) != 2
    return bit.channel == one.channel and bit.words[0] - one.words[-1] <= ONE_WORDS and not anew


def _may_begin(bit: Bit, before: Bit | None) -> bool:
    """Whether a number may begin with a bit: it goes on with no other, is no year, and not how many digits it has."""
    if before is not None and bit.channel == before.channel and bit.words[0] - before.words[-1] <= 1:
        return False
    return bit.digits[0] in "12" and len(bit.digits) != YEAR_DIGITS and bit.digits not in _COUNTS
