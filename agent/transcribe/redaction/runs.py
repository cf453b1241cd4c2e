"""Numbers that are read out: figures joined over hesitation, pauses, turns and both parties' repeating them.

Figures that only fillers part are a chunk. Chunks of some length are joined over a few other words as well, unless
what is between announces another number. How long a run is decides most of what it is: engines mishear single digits.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from agent.transcribe.redaction.checks import (
    IBAN_LENGTHS,
    NIR_DIGITS,
    NIR_WITH_KEY,
    begins_as_nir,
    is_nir,
    looks_like_card,
    luhn,
)
from agent.transcribe.redaction.chunks import ECHO_DIGITS, OTHERS_WORDS, WHOLE_DIGITS, Channel, Gap, Placed, Run, events
from agent.transcribe.redaction.phrases import PASSING, Topic

LONGEST_GAP_S = 30.0
"""A number goes on after a silence, or another's words, of at most this length."""
_JOINS = ((3, 3, 0, OTHERS_WORDS), (8, 3, 1, OTHERS_WORDS), (8, 1, 0, 2))
_ANNOUNCED_JOINS = (*_JOINS, (3, 3, 5, OTHERS_WORDS), (5, 2, 3, OTHERS_WORDS), (8, 1, 2, OTHERS_WORDS))
"""Digits before, digits after, and the most words between them that are no fillers, of whom said either and of the
other party; and of a number that was announced as a secret."""
_ANNOUNCING = frozenset({Topic.CARD, Topic.NIR})
"""After these a number goes on over other words as well. An account's does only while its country says that digits are
missing: much else is said of money."""
_CODES = (Topic.CVV, Topic.EXPIRY)
_HARMLESS = (Topic.ORDER, Topic.THING, Topic.MATTER, Topic.OTHER, Topic.DATE, Topic.SIRET)
MATTER_WORDS = 2
"""A bare thing must be so near a number that is its own."""
IBAN_LETTERS = 8
"""So many characters of an IBAN are letters at most, of the countries' where numbers are read so, the first two too."""
CODE_LETTERS = 2
"""So many letters in a row are part of a code, and only accounts have such."""
ASKED_WORDS = 30
"""So many words after it an announcement still says how a number goes on: that of a thing over fillers only."""
CARD_DIGITS = 13
"""The shortest card number."""
CODE_DIGITS = range(3, 5)
"""So many digits right after a card's code or end was asked for are whole."""
ANNOUNCED_WORDS = 60
OWN_WORDS = 5
ANCHOR_DIGITS = 3
_PHONE = re.compile(r"0[1-9]\d{8,9}")
_AMERICAN_PHONE = re.compile(r"1?[2-9]\d{9}")
_END = re.compile(r"(0[1-9]|1[0-2])\d{2}")
_SUMS = re.compile(r"([1-9]\d{0,2} )*[1-9]\d? \d{3}( [1-9]\d{0,2}( \d{3})?)*")
SHORT_DIGITS = 6
AFTERWARDS, AFTERWARDS_ATOMS, AFTERWARDS_S = 8, 4, 10.0
"""What a short number was may still be said in so many words after it, its own party's atoms, and seconds."""


def runs(channels: Mapping[int, Channel], now_s: float | None) -> list[Run]:
    """All numbers, in order of their first figures. `now_s`: the conversation goes on from there; None: it has
    ended."""
    found: list[Run] = []
    anchor: Run | None = None
    anchor_gap = Gap()
    gap = Gap()
    chunk: Run | None = None
    lead, lead_word = "", 0
    joined, carded = True, False
    announced: list[int] = []
    asked, asked_word = None, -1
    undecided = min((c.atoms[c.pending].word for c in channels.values() if c.pending < len(c.atoms)), default=None)
    for event in events(channels):
        placed = event.placed
        if placed is None:
            if undecided is not None and event.atom.word >= undecided:
                continue
            if event.topic in _ANNOUNCING:
                announced.append(event.atom.word)
            if event.topic is not None and event.topic not in PASSING:
                asked, asked_word = event.topic, event.atom.word
            lead = lead if gap.hear(event) else ""
            if event.lead:
                lead, lead_word = event.lead, event.atom.word
            continue
        carded |= chunk is not None and _is_of_card(chunk)
        if chunk is not None and _goes_on(chunk, gap, placed, lead, carded):
            chunk.figures.append(_corrected(placed, gap))
        else:
            if chunk is not None:
                anchor, anchor_gap = (anchor, gap) if joined else _anchored(anchor, anchor_gap, chunk, gap)
            chunk = Run([_corrected(placed, gap)], lead, lead_word)
            reach = MATTER_WORDS if asked is Topic.MATTER else ASKED_WORDS
            chunk.asked = asked if placed.first_word - asked_word <= reach else None
            found.append(chunk)
            joined = False
        lead, gap = "", Gap(parts=channels[placed.channel].atoms[placed.figure.after - 1].ends)
        if anchor is not None and not joined and _joins(anchor, anchor_gap, chunk, announced):
            anchor.figures += chunk.figures
            found.remove(chunk)
            chunk, joined = anchor, True
        if anchor is None and not joined and _is_anchor(chunk):
            anchor, joined = chunk, True
    if now_s is not None:
        now_s = min([now_s, *(c.atoms[c.pending].start_s for c in channels.values() if c.pending < len(c.atoms))])
        _open(channels, found, anchor if not joined else None, anchor_gap, chunk, gap, now_s)
    return found


def _goes_on(chunk: Run, gap: Gap, placed: Placed, lead: str, carded: bool) -> bool:
    """Whether a figure belongs to the chunk before it: fillers only are between, and no country of an account.
    `carded`: a card's number has been said, so that what was asked for can be its code."""
    if gap.letters >= CODE_LETTERS and len(chunk.lead) < 2 and chunk.asked not in (Topic.BANK, Topic.NIR):
        return False
    if gap.parts and placed.counts and _is_told(chunk, gap):
        return False
    last = chunk.figures[-1]
    if chunk.asked in _HARMLESS and placed.channel != last.channel and _is_another(chunk, placed):
        return False
    whole = chunk.asked is Topic.CVV and len(chunk.digits) in CODE_DIGITS and len(placed.figure.digits) in CODE_DIGITS
    if whole and gap.heard and carded:
        return False
    if gap.heard and _is_ended(chunk, placed):
        return False
    keyed = gap.keyed and _is_before_key(chunk, placed)
    near = (keyed or not gap.words) and not gap.broken and placed.start_s - chunk.end_s <= LONGEST_GAP_S
    return near and (len(lead) < 2 or len(chunk.lead) == 2)


def _is_of_card(run: Run) -> bool:
    """Whether a number is as long as a card's."""
    return len(run.digits) >= CARD_DIGITS


def _is_ended(chunk: Run, placed: Placed) -> bool:
    """Whether another figure is of something else for certain: after the end of a card's validity, or a whole NIR of
    which it says nothing again."""
    if chunk.asked is Topic.NIR and placed.figure.digits not in chunk.digits:
        return any(is_nir(text) for text in chunk.readings())
    return chunk.asked is Topic.EXPIRY and _END.fullmatch(chunk.digits) is not None


def _is_before_key(chunk: Run, placed: Placed) -> bool:
    """Whether a number may be a NIR, and a figure after it the key."""
    whole = chunk.heard_length == NIR_DIGITS and begins_as_nir(chunk.once)
    return len(placed.figure.digits) <= NIR_WITH_KEY - NIR_DIGITS and (whole or chunk.asked is Topic.NIR)


def _is_another(chunk: Run, placed: Placed) -> bool:
    """Whether a written figure of some length repeats nothing of a number."""
    digits = placed.figure.digits
    return len(digits) >= WHOLE_DIGITS and digits[:ECHO_DIGITS] not in chunk.digits


def _is_told(chunk: Run, gap: Gap) -> bool:
    """Whether what counts something after a number is told apart from it."""
    return gap.heard > 0 or len(chunk.figures[-1].figure.digits) >= WHOLE_DIGITS


def _corrected(placed: Placed, gap: Gap) -> Placed:
    return replace(placed, corrects=gap.corrects, restarts=gap.restarts)


def _is_anchor(run: Run) -> bool:
    """Whether a number is long enough to go on after other words."""
    return len(run.digits) >= ANCHOR_DIGITS or len(run.lead) == 2


def _anchored(anchor: Run | None, before: Gap, chunk: Run, after: Gap) -> tuple[Run | None, Gap]:
    """What the next chunk may be joined to, once a chunk has ended that was not joined."""
    if _is_anchor(chunk) or anchor is None:
        return (chunk, after) if _is_anchor(chunk) else (None, Gap())
    return anchor, before.plus(after, len(chunk.figures), chunk.channel)


def _joins(anchor: Run, gap: Gap, chunk: Run, announced: Sequence[int]) -> bool:
    """Whether a chunk goes on with a number after other words. `announced`: the words that announced secrets so far."""
    ended = _is_whole(anchor) and not _is_rest(anchor, gap, chunk)
    if len(chunk.lead) == 2 or chunk.figures[0].start_s - anchor.end_s > LONGEST_GAP_S or ended:
        return False
    before, after = max(len(anchor.digits), 3 if anchor.lead else 0), len(chunk.digits)
    if is_sum(chunk) or (anchor.asked in _HARMLESS and len(anchor.lead) < 2):
        return False
    known = any(0 <= anchor.first_word - word <= ANNOUNCED_WORDS for word in reversed(announced))
    if not known and len(anchor.lead) < 2 and (gap.named or gap.carded or is_sum(anchor)):
        return False
    if gap.letters >= CODE_LETTERS and len(anchor.lead) < 2 and anchor.asked not in (Topic.BANK, Topic.NIR):
        return False
    joins = _ANNOUNCED_JOINS if known or len(anchor.lead) == 2 else _JOINS
    speakers = {anchor.figures[-1].channel, chunk.figures[0].channel}
    if gap.asks_otherwise(speakers, known or len(anchor.lead) == 2):
        return False
    return any(before >= b and after >= a and gap.allows(speakers, own, others) for b, a, own, others in joins)


def _is_rest(anchor: Run, gap: Gap, chunk: Run) -> bool:
    """Whether a chunk is the end of an account that has no letters where others have, all but at once after it."""
    ends = len(anchor.lead) == 2 and len(anchor.digits) + len(chunk.digits) == IBAN_LENGTHS[anchor.lead] - 2
    return ends and anchor.figures[-1].channel == chunk.channel and gap.allows({chunk.channel}, 1)


def _is_whole(run: Run) -> bool:
    """Whether nothing is missing of a number: it is a phone number, a card's or a NIR by its check digits, or a card's
    code that was asked for."""
    if run.asked in _CODES and len(run.digits) in CODE_DIGITS:
        return True
    if run.asked is Topic.PHONE and any(_AMERICAN_PHONE.fullmatch(text) for text in run.readings()):
        return True
    if len(run.lead) == 2 and len(run.digits) >= IBAN_LENGTHS[run.lead] - IBAN_LETTERS:
        return True
    return any(_is_complete(text) for text in run.readings())


def _is_complete(digits: str) -> bool:
    """Whether so many digits are a phone number, or a card's or a NIR by their check digits."""
    carded = len(digits) == 16 and looks_like_card(digits) and luhn(digits)
    return carded or is_nir(digits) or _PHONE.fullmatch(digits) is not None


def is_sum(run: Run) -> bool:
    """Whether it is nothing but numbers of thousands as engines write them, "33 870", and others below a thousand."""
    return _SUMS.fullmatch(" ".join(p.figure.digits for p in run.figures)) is not None


def _may_join(anchor: Run, gap: Gap, until_s: float) -> bool:
    """Whether a chunk that grows, or comes, could be joined to a number."""
    near = until_s - anchor.end_s <= LONGEST_GAP_S
    return near and _is_anchor(anchor) and gap.allows({anchor.figures[-1].channel}, OWN_WORDS)


def _open(
    channels: Mapping[int, Channel],
    found: Sequence[Run],
    anchor: Run | None,
    anchor_gap: Gap,
    chunk: Run | None,
    gap: Gap,
    now_s: float,
) -> None:
    """Mark the runs that what is said next can change."""
    if chunk is not None:
        strong = not gap.words and not gap.broken and now_s - chunk.end_s <= LONGEST_GAP_S
        chunk.open = strong or _may_join(chunk, gap, now_s)
        if anchor is not None:
            whole = anchor_gap if strong else anchor_gap.plus(gap, len(chunk.figures), chunk.channel)
            anchor.open |= _may_join(anchor, whole, chunk.start_s if strong else now_s)
    for run in found:
        last = run.figures[-1]
        run.open |= any(not p.figure.settled for p in run.figures)
        if not run.open and now_s - run.end_s <= AFTERWARDS_S:
            own = len(channels[last.channel].atoms) - last.figure.after
            since = max(c.atoms[-1].word for c in channels.values() if c.atoms) - run.last_word
            run.open = own < AFTERWARDS_ATOMS or (len(run.digits) <= SHORT_DIGITS and since < AFTERWARDS)
