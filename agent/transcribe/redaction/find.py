"""Everything in a conversation that not everybody may read: the whole of redaction's recognition, pure.

Numbers read out first (`runs`, `sorts`), then what has a form of its own: e-mail and postal addresses, the end of a
card's
validity. A word belongs to one secret only, the first that claims it.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from agent.model.redaction import Secret, SecretKind, Stretch
from agent.model.text import Said, Transcript
from agent.transcribe.redaction import addresses, emails
from agent.transcribe.redaction.atoms import LINK_S, QUANTITY, atoms
from agent.transcribe.redaction.chunks import Channel, Run, is_neutral
from agent.transcribe.redaction.codes import CODE_S
from agent.transcribe.redaction.figures import Role, figures, pending
from agent.transcribe.redaction.heard import Heard
from agent.transcribe.redaction.lexicon import FILLERS, MONTHS
from agent.transcribe.redaction.nirs import dictated
from agent.transcribe.redaction.phrases import Topic
from agent.transcribe.redaction.runs import runs
from agent.transcribe.redaction.sorts import judged
from agent.transcribe.redaction.topics import mentions

_OF_AN_END = (Topic.CARD, Topic.EXPIRY, Topic.DATE, Topic.NUMBER)
END_WORDS = 14
"""After the word that asks for it, so many words may hold the end of a card's validity."""
AFTER_CARD_S = 12.0
"""So soon after a card's number any date that is asked for is its end."""
END_DIGITS, END_GAP_WORDS = 3, 3
"""What comes more words after a month and a year is no more of it."""
CARD_S, NAMED_WORDS = 120.0, 5
"""The end of validity is that of a card when one was spoken of within this time, or is named right after."""


@dataclass(frozen=True, slots=True)
class Found:
    """Secrets in order of their first words; `numbers`: all words that are figures, or parts of one. What is said next
    can still change anything from the word at `open_from` on, and what is a number from `numbers_open_from` on; the
    number of words, where nothing can."""

    secrets: tuple[Secret, ...]
    numbers: frozenset[int]
    open_from: int
    numbers_open_from: int


def conversation(transcript: Transcript) -> tuple[Said, ...]:
    """All words of a transcript in order of time."""
    said = [Said(s.channel, word) for s in transcript.segments for word in s.words]
    return tuple(sorted(said, key=lambda s: (s.word.start_s, s.channel)))


Languages = Mapping[int, str]
"""Those of channels that speak another language than the conversation."""
NO_OTHERS: Languages = {}


def understood(said: Sequence[Said], language: str, now_s: float | None, others: Languages) -> dict[int, Channel]:
    """Atoms, figures and announcements of each channel; see `find`."""
    channels: dict[int, Channel] = {}
    for number, mine in atoms(said).items():
        ended = not mine or now_s is None or now_s - mine[-1].end_s > LINK_S
        said_in_figures = figures(mine, others.get(number, language), ended)
        open_at = pending(mine, said_in_figures, ended)
        channels[number] = Channel(mine, said_in_figures, mentions(mine), open_at)
    return channels


def find(said: Sequence[Said], language: str, now_s: float | None = None, others: Languages = NO_OTHERS) -> Found:
    """What is secret in a conversation, its words in order of time. `language` (ISO 639-1), and that of `others`:
    numbers in words are read in French and English, in figures in any. `now_s`: more words will come, not before then;
    None: there are no more.
    """
    english = {
        number: others.get(number, language).lower().startswith("en") for number in {one.channel for one in said}
    }
    channels = understood(said, language, now_s, others)
    heard = _heard(channels)
    found = runs(channels, now_s)
    claims: list[_Claim] = []
    cards: list[float] = []
    counted = _counted(said, channels)
    known = judged(found, heard, counted, frozenset(c for c in english if english[c]))
    for one in known:
        if one.kind is not None:
            words = _words(said, channels, one.run, one.kind)
            claims.append(_Claim(one.kind, words, min(one.run.readings(), key=len)))
        if one.kind is SecretKind.CARD:
            cards.append(one.run.end_s)
    claims += _ends(channels, heard, cards)
    for number, channel in channels.items():
        claims += _spelled(channel, heard, english[number])
    nirs = dictated(channels, heard, known, counted, now_s)
    claims += [_Claim(SecretKind.NIR, nir.words, nir.digits) for nir in nirs if nir.is_one]
    numbers = frozenset(w for c in channels.values() for f in c.figures for w in _words_of(c, f.first, f.after))
    numbers |= {word for nir in nirs for word in nir.words}
    numbers_open = min([_numbers_open_from(said, channels, found, now_s), *(min(n.words) for n in nirs if n.open)])
    open_from = min(numbers_open, _mails_open_from(said, channels, heard, now_s))
    return Found(_settled(said, claims), numbers, open_from, numbers_open)


@dataclass(frozen=True, slots=True)
class _Claim:
    """Words that a recogniser says are a secret, and what it understood."""

    kind: SecretKind
    words: set[int]
    value: str


def _words_of(channel: Channel, first: int, after: int) -> set[int]:
    """The words of half-open atoms."""
    return {atom.word for atom in channel.atoms[first:after]}


def _heard(channels: Mapping[int, Channel]) -> list[Heard]:
    """All announcements, in the order in which they end."""
    found = [
        Heard(m.topic, number, c.atoms[m.first].word, c.atoms[m.after - 1].word, c.atoms[m.after - 1].end_s)
        for number, c in channels.items()
        for m in c.mentions
    ]
    return sorted(found, key=lambda h: (h.last_word, h.first_word))


def _counted(said: Sequence[Said], channels: Mapping[int, Channel]) -> list[int]:
    """Of each word, and of what follows the last one, how many words before it are no fillers."""
    filled = {a.word for c in channels.values() for at, a in enumerate(c.atoms) if is_neutral(c.atoms, at)}
    said_with_sense = {a.word for c in channels.values() for at, a in enumerate(c.atoms) if not is_neutral(c.atoms, at)}
    return [0, *accumulate(word in said_with_sense or word not in filled for word in range(len(said)))]


def _words(said: Sequence[Said], channels: Mapping[int, Channel], run: Run, kind: SecretKind) -> set[int]:
    """The words of a number: its figures, and the fillers that each party says between its own; of an IBAN all."""
    words: set[int] = set()
    for number, channel in channels.items():
        mine = [p.figure for p in run.figures if p.channel == number]
        for figure in mine:
            words |= _words_of(channel, figure.first, figure.after)
        for before, after in pairwise(mine):
            between = channel.atoms[before.after : after.first]
            filled = all(
                is_neutral(channel.atoms, before.after + n) or between[n].text in FILLERS for n in range(len(between))
            )
            if filled or (kind is SecretKind.IBAN and run.lead):
                words |= {atom.word for atom in between}
    if run.lead:
        first = run.figures[0]
        words |= {w for w in range(run.lead_word, first.first_word) if said[w].channel == first.channel}
    return words


def _ends(channels: Mapping[int, Channel], heard: Sequence[Heard], cards: Sequence[float]) -> list[_Claim]:
    """The ends of cards' validity: asked for, and a card was spoken of. A day of a month is no end of a card."""
    carded = [*cards, *(h.end_s for h in heard if h.topic is Topic.CARD)]
    found: list[_Claim] = []
    asking = [h for h in heard if h.topic is Topic.EXPIRY or (h.topic is Topic.DATE and _is_after(h, cards))]
    for asked in asking:
        first = asked.last_word
        if not any(0 <= asked.end_s - at <= CARD_S for at in carded):
            named = [h.last_word for h in heard if h.topic is Topic.CARD and 0 < h.first_word - first <= NAMED_WORDS]
            if not named:
                continue
            first = named[0]
        others = [h.first_word for h in heard if h.first_word > asked.last_word and h.topic not in _OF_AN_END]
        limit = min([*others, asked.last_word + END_WORDS + 1])
        words: set[int] = set()
        value, last = "", 0
        for begun, (channel, begin, after, text) in _all_dates(channels):
            whole = len(value) >= END_DIGITS and begun - last > END_GAP_WORDS
            if first < begun < limit and channel.atoms[begin].start_s - asked.end_s <= CODE_S and not whole:
                words |= _words_of(channel, begin, after)
                value, last = value + text, channel.atoms[after - 1].word
        if words:
            found.append(_Claim(SecretKind.EXPIRY, words, value))
    return found


def _is_after(asked: Heard, cards: Sequence[float]) -> bool:
    """Whether a date is asked for right after a card's number was said."""
    return any(0 <= asked.end_s - at <= AFTER_CARD_S for at in cards)


def _all_dates(channels: Mapping[int, Channel]) -> list[tuple[int, tuple[Channel, int, int, str]]]:
    """What may be an end of validity, by the word with which it begins; nothing that announces something."""
    found = []
    for channel in channels.values():
        said = {at for m in channel.mentions for at in range(m.first, m.after)}
        for begin, after, text in _dates(channel):
            if begin not in said:
                found.append((channel.atoms[begin].word, (channel, begin, after, text)))
    return sorted(found, key=lambda one: (one[0], one[1][1]))


def _dates(channel: Channel) -> list[tuple[int, int, str]]:
    """Half-open atoms that may be an end of validity: short figures, written dates, months without a day."""
    found: list[tuple[int, int, str]] = []
    of_figures = {f.first: f for f in channel.figures}
    days = {f.after for f in channel.figures if f.role is Role.DATE}
    at = 0
    while at < len(channel.atoms):
        figure, text = of_figures.get(at), channel.atoms[at].text
        after = figure.after if figure else at + 1
        follower = channel.atoms[after].text if after < len(channel.atoms) else ""
        if text in MONTHS and at in days:
            after = max([f.after for f in channel.figures if f.first == at + 1], default=after)
        elif text in MONTHS or text == QUANTITY:
            found.append((at, after, text))
        elif figure and figure.role is not Role.QUANTITY and len(figure.digits) <= 6 and follower not in MONTHS:
            found.append((at, after, figure.digits))
        at = after
    return found


def _spelled(channel: Channel, heard: Sequence[Heard], english: bool) -> list[_Claim]:
    """E-mail and postal addresses of a channel."""
    spans = [(SecretKind.EMAIL, span) for span in emails.emails(channel.atoms, channel.figures, _asked(channel, heard))]
    spans += [(SecretKind.ADDRESS, s) for s in addresses.addresses(channel.atoms, channel.figures, english)]
    return [
        _Claim(kind, _words_of(channel, first, after), " ".join(a.text for a in channel.atoms[first:after]))
        for kind, (first, after) in spans
    ]


def _asked(channel: Channel, heard: Sequence[Heard]) -> list[int]:
    """The atoms of a channel that come first after somebody spoke of an e-mail address."""
    words = [atom.word for atom in channel.atoms]
    return [bisect_right(words, h.last_word) for h in heard if h.topic is Topic.EMAIL]


def _settled(said: Sequence[Said], claims: Sequence[_Claim]) -> tuple[Secret, ...]:
    """Each word given to the first that claims it, in order of time, with the stretches of consecutive words."""
    taken: set[int] = set()
    place: dict[int, int] = {}
    counts: dict[int, int] = {}
    for number, one in enumerate(said):
        place[number] = counts[one.channel] = counts.get(one.channel, -1) + 1
    found: list[Secret] = []
    for claim in claims:
        words = sorted(claim.words - taken)
        taken |= claim.words
        stretches: dict[int, list[tuple[int, Stretch]]] = {}
        for number in words:
            word, channel = said[number].word, said[number].channel
            mine = stretches.setdefault(channel, [])
            if mine and mine[-1][0] == place[number] - 1:
                mine[-1] = (place[number], Stretch(channel, mine[-1][1].start_s, max(mine[-1][1].end_s, word.end_s)))
            else:
                mine.append((place[number], Stretch(channel, word.start_s, word.end_s)))
        if words:
            whole = sorted((s for mine in stretches.values() for _, s in mine), key=lambda s: (s.start_s, s.channel))
            found.append(Secret(claim.kind, tuple(words), tuple(whole), claim.value))
    return tuple(sorted(found, key=lambda s: s.words))


def _numbers_open_from(
    said: Sequence[Said], channels: Mapping[int, Channel], found: Sequence[Run], now_s: float | None
) -> int:
    """The first word of a number that what is said next can change."""
    if now_s is None:
        return len(said)
    waiting = [run.first_word for run in found if run.open]
    for channel in channels.values():
        waiting += [channel.atoms[channel.pending].word] if channel.pending < len(channel.atoms) else []
    return min([*waiting, len(said)])


def _mails_open_from(
    said: Sequence[Said], channels: Mapping[int, Channel], heard: Sequence[Heard], now_s: float | None
) -> int:
    """The first word of what may turn out to be an e-mail address."""
    waiting = []
    for channel in channels.values() if now_s is not None else ():
        local = emails.unfinished(channel.atoms, channel.figures, _asked(channel, heard), now_s or 0.0)
        waiting += [] if local is None or local == len(channel.atoms) else [channel.atoms[local].word]
    return min([*waiting, len(said)])
