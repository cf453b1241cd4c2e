"""What kind of secret a number is: by its length, what announces it, and where they help its check digits."""

import re
from collections.abc import Sequence, Set
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise

from agent.model.redaction import SecretKind
from agent.transcribe.redaction.checks import (
    IBAN_LENGTHS,
    IBAN_OF_DIGITS,
    NIR_DIGITS,
    NIR_WITH_KEY,
    begins_as_nir,
    hides_card,
    is_gtin,
    is_nir,
    is_nir_shape,
    is_siret,
    looks_like_card,
    luhn,
)
from agent.transcribe.redaction.chunks import Run
from agent.transcribe.redaction.codes import code_of
from agent.transcribe.redaction.heard import ANNOUNCED_S, ANNOUNCED_WORDS, Heard, Judged
from agent.transcribe.redaction.phrases import PASSING, Topic
from agent.transcribe.redaction.runs import CARD_DIGITS, IBAN_LETTERS, MATTER_WORDS, is_sum

LONG_DIGITS = 14
"""So long a number is a card's though nothing speaks for it; there are none longer than 19, but with what was misheard
and repeated a run may be."""
ANNOUNCED_DIGITS = 8
"""Of a number that was announced as that of a card or an account so many digits are enough."""
OTHER_ACCOUNTS = range(11, 13)
"""What English calls an "account number" and has so many digits is no bank's: those have eight, with their sort code
14."""
SORT_CODE_DIGITS, BANKED_WORDS = 6, 6
"""A British branch has so many digits, said so soon."""
IBAN_DIGITS = 10
"""After the country of an IBAN so many digits make it one; the shortest has 13."""
EXEMPT_WORDS = 8
"""An order number is announced right before it as the number of something; the bare thing must be nearer still, unless
it was said that a number follows."""
EXEMPT_FILLED_WORDS = 20
"""… fillers not counted, but with them no farther than this."""
ANSWER_WORDS, PAYING_WORDS = 12, 30
"""The answer of the other party may come later; and what is paid is not what a number is of."""
NO_CARD = "01789"
"""No card begins so; with a digit misheard, one of more than 13 digits still may."""
AGAIN_SHARE = 0.8
AGAIN_DIGITS = 5
"""A number of so many digits is known again."""
EXEMPT_DIGITS = 24
SIRET_DIGITS = (9, 14, 18, 28)
"""A SIREN, a SIRET, or it and its correction: no card has so many digits any more. Asked for, it is one though a digit
was misheard."""
PART_DIGITS, TAIL_WORDS = 4, 3
"""So many digits of a secret are known for a part of it; and so soon after it is spoken of its end is said."""
_OF_NUMBERS = (SecretKind.CARD, SecretKind.IBAN, SecretKind.NIR, SecretKind.PHONE)
_OF_A_CARD = (Topic.CARD, Topic.CVV, Topic.EXPIRY)
_OF_THINGS = (Topic.MATTER, Topic.ORDER, Topic.THING)
_FRENCH_PHONES = re.compile(r"(0[1-79]\d{8})+|0033[1-9]\d{8}")
"""Numbers with 08 are no person's."""
_WHOLE_PHONE = re.compile(r"0[1-79]\d{8,9}|00(33|44)[1-9]\d{8,9}")
_ANSWER_PHONE = re.compile(rf"{_WHOLE_PHONE.pattern}|1?[2-9]\d{{9}}")
_BRITISH_PHONE = re.compile(r"0[1237]\d{9}|0[17]\d{8}")
_AMERICAN_PHONE = re.compile(r"1?([2-9]\d{2}){2}\d{4}")
_AMERICAN_GROUPS = ("334", "343", "3322", "31111111", "3331")
"""The North American numbering plan, and how such numbers are read out."""
_ROUGH_PHONE = re.compile(r"0[1-79]\d{7,9}")
_ABROAD_PHONE = re.compile(r"00[1-9]\d{8,12}")
_PAIRED = 0.6
"""A number that nobody announced is a phone's if it was read out as most French phone numbers are, in pairs."""


def judged(found: Sequence[Run], heard: Sequence[Heard], counted: Sequence[int], english: Set[int]) -> list[Judged]:
    """What each number of a conversation is. `heard`: all announcements in order; `counted`: of each word, how many
    words before it are no fillers; `english`: the channels that speak English."""
    known: list[Judged] = []
    for run in found:
        known.append(_judge(run, _topics(run, heard, counted, known), heard, known, run.channel in english))
    return known


def _judge(run: Run, topics: "_Topics", heard: Sequence[Heard], known: Sequence[Judged], english: bool) -> Judged:
    readings = [_digits(text) for text in run.readings()]
    code = code_of(run, heard, known)
    if code is not None:
        return Judged(run, code)
    carded = any(looks_like_card(r) for r in readings)
    part = None if carded and run.heard_length >= CARD_DIGITS else _said_before(run, heard, known)
    if part is SecretKind.NIR and (len(run.lead) == 2 or topics.nearest in _OF_A_CARD):
        part = None
    if part is SecretKind.CARD or (part is not None and topics.nearest is not Topic.CARD):
        return Judged(run, part)
    if len(run.lead) < 2 and not carded and any(_is_keyed_nir(text) for text in run.readings()):
        return Judged(run, SecretKind.NIR)
    if not carded and not hides_card(_digits(run.once)) and _is_harmless(run, topics, readings, known):
        return Judged(run, None, harmless=True)
    other = _account(run, topics, carded, english)
    if other is None and _is_phone(run, topics, readings, english):
        other = SecretKind.PHONE
    if other is not None or _is_counting(run):
        return Judged(run, other)
    announced = topics.nearest in _OF_A_CARD and run.length >= ANNOUNCED_DIGITS and not _is_other(run, known)
    return Judged(run, SecretKind.CARD if announced or carded or _is_long(run, topics) else None)


def _is_keyed_nir(text: str) -> bool:
    """Whether it is a whole NIR, by its key, of which something may be said again."""
    whole, rest = text[:NIR_WITH_KEY], text[NIR_WITH_KEY:]
    return is_nir(whole) and (not rest or _is_part(rest, whole))


def _said_before(run: Run, heard: Sequence[Heard], known: Sequence[Judged]) -> SecretKind | None:
    """What a few digits are a part of that was said whole not long before, and is asked for again: "the third group?"
    The end of a card that is called so is no secret."""
    first = run.first_word
    parts = [part for part in map(_digits, (*run.turns(), *run.spoken())) if len(part) >= PART_DIGITS]
    if not parts or any(h.topic is Topic.TAIL and 0 < first - h.last_word <= TAIL_WORDS for h in heard):
        return None
    for one in reversed(known):
        if first - one.run.last_word > ANNOUNCED_WORDS or run.start_s - one.run.end_s > ANNOUNCED_S:
            continue
        if one.kind in _OF_NUMBERS and any(_is_part(part, _digits(one.run.digits)) for part in parts):
            return one.kind
    return None


def _is_part(digits: str, whole: str) -> bool:
    """Whether digits are a part of a number, or so many of them are nearly one that they were misheard."""
    if digits in whole or len(digits) < ANNOUNCED_DIGITS:
        return digits in whole
    blocks = SequenceMatcher(None, whole, digits, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks if block.size > 1) >= AGAIN_SHARE * len(digits)


def _is_other(run: Run, known: Sequence[Judged]) -> bool:
    """Whether a number that is too short for a card begins as none does, and is not the rest of one, or is a sum."""
    if run.length >= CARD_DIGITS:
        return False
    rest = any(one.kind is SecretKind.CARD and len(one.run.once) < LONG_DIGITS for one in known)
    return is_sum(run) or (run.digits[0] in NO_CARD and not rest)


def _is_long(run: Run, topics: "_Topics") -> bool:
    """Whether a number is one by its length alone. It must begin as a card does where it may be a thing's; and cards of
    13 digits there are no more, but very many articles (GTIN-13): so nothing else may be said of it."""
    digits = _digits(run.once)
    begins = digits[:1] not in NO_CARD
    if run.length == CARD_DIGITS:
        return begins and not (topics.thing or topics.nearest or is_gtin(digits))
    return run.length >= LONG_DIGITS and (begins or not topics.thing)


def _digits(text: str) -> str:
    """Without the letters of a Corsican department."""
    return "".join(c for c in text if c.isdigit())


@dataclass(frozen=True, slots=True)
class _Topics:
    """What was announced before a run, and how near: `nearest` of all that say what a number is, `harmless` of what
    is no secret where it is within reach."""

    nearest: Topic | None
    harmless: Topic | None
    siret: bool
    siret_asked: bool
    """It was asked for last, right before, and has not been said."""
    nir: bool
    bank: bool
    phone: bool
    banked: bool
    """An account was spoken of right before it."""
    thing: bool
    """A thing that has a number was spoken of last, not far away."""


def _topics(run: Run, heard: Sequence[Heard], counted: Sequence[int], known: Sequence[Judged]) -> _Topics:
    first = run.figures[0].first_word
    near = [
        h
        for h in heard
        if h.last_word < first and first - h.last_word <= ANNOUNCED_WORDS and run.start_s - h.end_s <= ANNOUNCED_S
    ]
    plain = [h for h in near if h.topic not in PASSING and h.topic is not Topic.TAIL]
    nearest = max(plain, key=lambda h: h.last_word, default=None)
    harmless = nearest.topic if nearest is not None and _reaches(nearest, run, near, counted) else None
    named = max((h for h in plain if h.topic is not Topic.MATTER), key=lambda h: h.last_word, default=None)
    topic = None if named is None or _is_answered(named, run, known) else named.topic
    return _Topics(
        topic,
        harmless,
        _is_among(near, Topic.SIRET),
        topic is Topic.SIRET and named is not None and _is_asked(named, first, near, counted),
        any(h.topic is Topic.NIR and (begins_as_nir(run.digits) or not _is_answered(h, run, known)) for h in near),
        _is_among(near, Topic.BANK),
        _is_among(near, Topic.PHONE),
        any(h.topic is Topic.BANK and first - h.last_word <= BANKED_WORDS for h in near),
        nearest is not None and _is_of_thing(nearest, near, first),
    )


def _is_of_thing(nearest: Heard, near: Sequence[Heard], first: int) -> bool:
    """Whether a number that begins at a word may be that of the thing which was spoken of last."""
    if nearest.topic not in _OF_THINGS or first - nearest.last_word > ANSWER_WORDS:
        return False
    return nearest.topic is not Topic.MATTER or not any(h.topic is Topic.PAYING for h in near)


def _reaches(nearest: Heard, run: Run, near: Sequence[Heard], counted: Sequence[int]) -> bool:
    """Whether what was announced last is a thing that is no secret, and the number is near enough to be its own."""
    first = run.figures[0].first_word
    far, between = first - nearest.last_word, counted[first] - counted[nearest.last_word + 1]
    if nearest.topic is Topic.MATTER:
        paying = any(h.topic in (Topic.PAYING, Topic.CARD) and first - h.last_word <= PAYING_WORDS for h in near)
        numbered = any(h.topic is Topic.NUMBER and h.last_word > nearest.last_word for h in near)
        filled = not paying and between < (EXEMPT_WORDS if numbered else 1) and far <= EXEMPT_FILLED_WORDS
        return far <= MATTER_WORDS or filled
    reach = EXEMPT_WORDS if nearest.channel == run.channel else ANSWER_WORDS
    return nearest.topic in (Topic.ORDER, Topic.THING) and between < reach and far <= EXEMPT_FILLED_WORDS


def _is_asked(asked: Heard, first: int, near: Sequence[Heard], counted: Sequence[int]) -> bool:
    """Whether a number that begins at a word may be the answer to what was asked for, and paying is not spoken of."""
    paid = any(h.topic is Topic.PAYING and h.last_word > asked.last_word for h in near)
    return not paid and counted[first] - counted[asked.last_word + 1] < ANSWER_WORDS


def _is_among(near: Sequence[Heard], topic: Topic) -> bool:
    return any(h.topic is topic for h in near)


def _is_answered(asked: Heard, run: Run, known: Sequence[Judged]) -> bool:
    """Whether the number that was announced has been said, whole, and this is another one."""
    for one in known:
        if one.run.first_word < asked.last_word or _digits(run.once) in _digits(one.run.digits):
            continue
        readings = [_digits(text) for text in one.run.readings()]
        if asked.topic is Topic.PHONE and one.kind is SecretKind.PHONE:
            return any(_ANSWER_PHONE.fullmatch(r) for r in readings)
        if asked.topic is Topic.CARD and one.kind is SecretKind.CARD:
            return any(len(r) == 16 and luhn(r) for r in readings)
        if asked.topic is Topic.SIRET and one.harmless:
            return any(len(r) in SIRET_DIGITS for r in readings)
        if asked.topic is Topic.NIR and one.kind is SecretKind.NIR:
            return len(readings[0]) >= NIR_DIGITS
    return False


def _is_harmless(run: Run, topics: _Topics, readings: Sequence[str], known: Sequence[Judged]) -> bool:
    """Whether it is known to be no secret: a SIRET with its word, a number that was announced as another thing's, or
    one that was, said again."""
    if topics.siret and any(is_siret(r) for r in readings):
        return True
    if topics.siret_asked and not run.lead and any(len(r) in SIRET_DIGITS for r in readings):
        return not any(_ROUGH_PHONE.fullmatch(r) for r in readings)
    if len(run.lead) == 2 or run.heard_length > EXEMPT_DIGITS:
        return False
    mine = _digits(run.once)
    again = any(one.harmless and _is_same(mine, _digits(one.run.once)) for one in known)
    if again and len(mine) >= AGAIN_DIGITS and topics.nearest not in (Topic.CARD, Topic.BANK, Topic.NIR):
        return True
    if topics.harmless is None or (
        topics.harmless is not Topic.ORDER and any(_WHOLE_PHONE.fullmatch(r) for r in readings)
    ):
        return False
    since = run.figures[0].first_word - EXEMPT_WORDS
    return not any(
        len(one.run.digits) >= ANNOUNCED_DIGITS and one.run.last_word >= since and _digits(one.run.once) != mine
        for one in known
        if not (one.harmless or one.kind)
    )


def _is_same(digits: str, before: str) -> bool:
    """Whether a number is one that was said before, but for what was misheard."""
    if digits == before or len(digits) < AGAIN_DIGITS:
        return digits == before
    blocks = SequenceMatcher(None, before, digits, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks if block.size > 1) >= AGAIN_SHARE * max(len(digits), len(before))


def _account(run: Run, topics: _Topics, carded: bool, english: bool) -> SecretKind | None:
    """A bank account, by its form or what announces it, or a NIR that was announced."""
    if len(run.lead) == 2 and run.length >= (IBAN_DIGITS if topics.bank else _least_digits(run.lead)):
        return SecretKind.IBAN
    shaped = topics.nir and 11 <= run.length <= 18 and run.digits[0] in "123478"
    shaped = shaped and (begins_as_nir(run.digits) or is_nir_shape(run.digits[:NIR_DIGITS]) or not is_sum(run))
    shaped = shaped and topics.nearest not in _OF_A_CARD
    if shaped and not (carded and run.length == 16):
        return SecretKind.NIR
    least = SORT_CODE_DIGITS if english and topics.banked else ANNOUNCED_DIGITS
    announced = topics.bank and topics.nearest is Topic.BANK and run.length >= least
    other = english and not run.lead and len(_digits(run.once)) in OTHER_ACCOUNTS
    return SecretKind.IBAN if announced and not (carded or other) else None


def _least_digits(country: str) -> int:
    """How many digits an IBAN has at least that nobody announced, two of them missed."""
    letters = 0 if country in IBAN_OF_DIGITS else IBAN_LETTERS - 2
    return max(IBAN_DIGITS, IBAN_LENGTHS[country] - 2 - letters - 2)


def _is_phone(run: Run, topics: _Topics, readings: Sequence[str], english: bool) -> bool:
    """Whether it is a phone number. Never of the length of a card, unless it is whole French numbers in a row."""
    if any(_FRENCH_PHONES.fullmatch(r) for r in readings) and not english:
        return topics.phone or not (topics.thing and _is_spelt(run))
    length = min(run.heard_length, *map(len, readings))
    if run.heard_length >= CARD_DIGITS:
        return False
    if (topics.phone and topics.nearest is Topic.PHONE and 8 <= length <= 12) or (run.lead == "+" and length >= 8):
        return True
    if english:
        return topics.harmless is None and _is_foreign(run, topics, readings)
    abroad = any(_ABROAD_PHONE.fullmatch(r) for r in readings)
    return abroad or (_is_paired(run) and any(_ROUGH_PHONE.fullmatch(r) for r in readings))


def _is_foreign(run: Run, topics: _Topics, readings: Sequence[str]) -> bool:
    """Whether it is a whole British phone number, or an American one that is read out as one."""
    if topics.nearest in (Topic.CARD, Topic.BANK):
        return False
    grouped = "".join(str(len(p.figure.digits)) for p in run.figures).removeprefix("1")
    american = (
        (topics.nearest not in (Topic.ORDER, Topic.OTHER) and grouped in _AMERICAN_GROUPS)
        or len(run.figures) == 1
        or (_is_spelt(run) and not topics.thing)
    )
    return any(
        _BRITISH_PHONE.fullmatch(r) or _ABROAD_PHONE.fullmatch(r) or (american and _AMERICAN_PHONE.fullmatch(r))
        for r in readings
    )


def _is_paired(run: Run) -> bool:
    """Whether most of its digits were said or written two by two, or all as one."""
    sizes = [len(p.figure.digits) for p in run.figures]
    zeros = sum(2 for p, size in zip(run.figures, sizes[1:], strict=False) if p.figure.digits == "0" and size == 1)
    return len(sizes) == 1 or 2 * sizes.count(2) + zeros >= _PAIRED * len(run.digits)


def _is_spelt(run: Run) -> bool:
    """Whether it was said digit by digit, as everything but phone numbers is."""
    return all(len(p.figure.digits) == 1 for p in run.figures if p.channel == run.channel)


def _is_counting(run: Run) -> bool:
    """Whether somebody counts: each figure is one more than the last. No card begins so."""
    values = [int(p.figure.digits) if p.figure.digits.isdigit() else -1 for p in run.figures]
    return len(values) > 2 and all(b - a == 1 for a, b in pairwise(values))
