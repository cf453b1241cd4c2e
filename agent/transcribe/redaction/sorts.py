"""What kind of secret a number is: by its length, what announces it, and where they help its check digits."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from agent.model.redaction import SecretKind
from agent.transcribe.redaction.checks import hides_card, is_nir, is_siret, looks_like_card
from agent.transcribe.redaction.runs import Run
from agent.transcribe.redaction.topics import Topic

CARD_DIGITS = 13
"""The shortest card number; there are none longer than 19, but with what was misheard and repeated a run may be."""
ANNOUNCED_DIGITS = 8
"""Of a number that was announced as that of a card or an account so many digits are enough."""
IBAN_DIGITS = 10
"""After the country of an IBAN so many digits make it one; the shortest has 13."""
ANNOUNCED_WORDS, ANNOUNCED_S = 60, 60.0
"""How far back an announcement counts."""
EXEMPT_WORDS, MATTER_WORDS = 8, 2
"""An order number is announced right before it as the number of something; the bare thing must be nearer still."""
EXEMPT_DIGITS = 24
CODE_WORDS, CODE_S = 30, 20.0
"""How soon after being asked for a card's code or end is said."""
RETRO_WORDS, RETRO_S = 5, 10.0
_FRENCH_PHONES = re.compile(r"(0[1-9]\d{8})+|0033[1-9]\d{8}")
_ROUGH_PHONE = re.compile(r"0[1-9]\d{7,10}|00\d{7,12}")


@dataclass(frozen=True, slots=True)
class Heard:
    """An announcement in the conversation: its words, and when it began and ended."""

    topic: Topic
    channel: int
    first_word: int
    last_word: int
    end_s: float


def kind_of(run: Run, heard: Sequence[Heard], before: Sequence[Run], english: bool) -> SecretKind | None:
    """The kind of a run, None when it is no secret. `heard` are all announcements of the conversation in order,
    `before`
    the runs before this one."""
    readings = [_digits(text) for text in run.readings()]
    code = _code(run, heard)
    if code is not None:
        return code
    topics = _topics(run, heard)
    carded = any(looks_like_card(r) for r in readings)
    harmless = _is_exempt(run, topics, before) and not carded and not hides_card(_digits(run.once))
    if harmless or (topics.siret and any(is_siret(r) for r in readings)):
        return None
    other = _account(run, topics, carded)
    if other is None and _is_phone(run, topics, readings, english):
        other = SecretKind.PHONE
    if other is not None or _is_counting(run):
        return other
    announced = topics.nearest is Topic.CARD and run.length >= ANNOUNCED_DIGITS
    return SecretKind.CARD if run.length >= CARD_DIGITS or announced or carded else None


def _digits(text: str) -> str:
    """Without the letters of a Corsican department."""
    return "".join(c for c in text if c.isdigit())


@dataclass(frozen=True, slots=True)
class _Topics:
    """What was announced before a run, and how near: `nearest` of all but mere things, and whether these are within
    reach."""

    nearest: Topic | None
    order: bool
    siret: bool
    nir: bool
    bank: bool
    phone: bool


def _topics(run: Run, heard: Sequence[Heard]) -> _Topics:
    near = [
        h
        for h in heard
        if h.last_word < run.figures[0].first_word
        and run.figures[0].first_word - h.last_word <= ANNOUNCED_WORDS
        and run.start_s - h.end_s <= ANNOUNCED_S
    ]
    nearest = max(near, key=lambda h: h.last_word, default=None)
    reach = {Topic.ORDER: EXEMPT_WORDS, Topic.MATTER: MATTER_WORDS}.get(nearest.topic, 0) if nearest else 0
    order = nearest is not None and run.figures[0].first_word - nearest.last_word <= reach
    named = max((h for h in near if h.topic is not Topic.MATTER), key=lambda h: h.last_word, default=None)
    return _Topics(
        named.topic if named else None,
        order,
        _is_among(near, Topic.SIRET),
        _is_among(near, Topic.NIR),
        _is_among(near, Topic.BANK),
        _is_among(near, Topic.PHONE),
    )


def _is_among(near: Sequence[Heard], topic: Topic) -> bool:
    return any(h.topic is topic for h in near)


def _is_exempt(run: Run, topics: _Topics, before: Sequence[Run]) -> bool:
    """Whether it was announced as a number that is no secret, and nothing else was read out since."""
    if not topics.order or run.heard_length > EXEMPT_DIGITS or len(run.lead) == 2:
        return False
    since = run.figures[0].first_word - EXEMPT_WORDS
    return not any(len(r.digits) >= ANNOUNCED_DIGITS and r.last_word >= since for r in before)


def _account(run: Run, topics: _Topics, carded: bool) -> SecretKind | None:
    """A bank account or a NIR, by its form or what announces it."""
    if len(run.lead) == 2 and run.length >= IBAN_DIGITS:
        return SecretKind.IBAN
    if any(is_nir(text) for text in run.readings()):
        return SecretKind.NIR
    shaped = topics.nir and 11 <= run.length <= 18 and run.digits[0] in "123478"
    if shaped and not (carded and run.length == 16):
        return SecretKind.NIR
    announced = topics.bank and topics.nearest is Topic.BANK and run.length >= ANNOUNCED_DIGITS
    return SecretKind.IBAN if announced and not carded else None


def _is_phone(run: Run, topics: _Topics, readings: Sequence[str], english: bool) -> bool:
    """Whether it is a phone number. Never of the length of a card, unless it is whole French numbers in a row."""
    if any(_FRENCH_PHONES.fullmatch(r) for r in readings):
        return True
    length = min(run.heard_length, *map(len, readings))
    if run.heard_length >= CARD_DIGITS:
        return False
    rough = any(_ROUGH_PHONE.fullmatch(r) for r in readings)
    if rough or (run.lead == "+" and length >= 8):
        return True
    announced = topics.phone and topics.nearest is Topic.PHONE and 8 <= length <= 12
    national = english and 10 <= run.heard_length <= 11 and topics.nearest not in (Topic.CARD, Topic.BANK, Topic.ORDER)
    return announced or national


def _is_counting(run: Run) -> bool:
    """Whether somebody counts: each figure is one more than the last. No card begins so."""
    values = [int(p.figure.digits) if p.figure.digits.isdigit() else -1 for p in run.figures]
    return len(values) > 2 and all(b - a == 1 for a, b in pairwise(values))


def _code(run: Run, heard: Sequence[Heard]) -> SecretKind | None:
    """CVV or expiry, asked for shortly before, or a CVV that is named right after."""
    digits = run.length
    if not 2 <= digits <= 6:
        return None
    last = [h for h in heard if h.last_word < run.figures[0].first_word and h.topic is not Topic.CARD]
    if last:
        asked = max(last, key=lambda h: h.last_word)
        near = run.figures[0].first_word - asked.last_word <= CODE_WORDS and run.start_s - asked.end_s <= CODE_S
        if near and asked.topic in (Topic.CVV, Topic.EXPIRY):
            return SecretKind.CVV if asked.topic is Topic.CVV and digits <= 5 else None
    following = [
        h
        for h in heard
        if 0 < h.first_word - run.last_word <= RETRO_WORDS
        and h.end_s - run.end_s <= RETRO_S
        and h.channel == run.channel
    ]
    named = following and min(following, key=lambda h: h.first_word).topic is Topic.CVV
    return SecretKind.CVV if named and 3 <= digits <= 4 else None
