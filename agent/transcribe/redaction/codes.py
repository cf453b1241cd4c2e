"""A card's security code and end of validity, by what asked for them: they are too short to be known by themselves."""

import re
from collections.abc import Sequence
from dataclasses import replace

from agent.model.redaction import SecretKind
from agent.transcribe.redaction.chunks import Run
from agent.transcribe.redaction.heard import ANNOUNCED_S, Heard, Judged
from agent.transcribe.redaction.phrases import PASSING, Topic
from agent.transcribe.redaction.runs import CARD_DIGITS, CODE_DIGITS

CODE_WORDS, CODE_S = 30, 20.0
"""How soon after being asked for a card's code or end is said."""
END_TO_CODE_WORDS = 40
"""How soon after a card's end was asked for its code is said, though no word asks for it."""
INSTEAD_WORDS = 6
"""A code so soon after another takes its place: "non pardon, c'est effacé, …"."""
ASKED_TOGETHER_WORDS = 8
"""So near each other a card's end and code are asked for together."""
_END = re.compile(r"(0[1-9]|1[0-2])\d{2}")
RETRO_WORDS, RETRO_S = 5, 10.0
_SAYING_NOTHING = PASSING - {Topic.OTHER_CODE} | {Topic.CARD, Topic.THING, Topic.TAIL}


def code_of(run: Run, heard: Sequence[Heard], known: Sequence[Judged]) -> SecretKind | None:
    """CVV or expiry, asked for shortly before, or a CVV that is named right after."""
    digits = run.length
    if _follows_end(run, heard, known):
        return SecretKind.CVV
    if not 2 <= digits <= 6:
        return None
    last = [
        h
        for h in heard
        if h.last_word < run.figures[0].first_word
        and h.topic not in (Topic.CARD, Topic.NUMBER)
        and (h.topic not in (Topic.BACK, Topic.CODE) or _is_carded(h, known))
    ]
    if last:
        asked = _asked_for(last)
        near = run.figures[0].first_word - asked.last_word <= CODE_WORDS and run.start_s - asked.end_s <= CODE_S
        back = asked.topic in (Topic.CVV, Topic.BACK, Topic.CODE)
        if near and back and _is_told(asked, run, known):
            return None
        if near and back and _END.fullmatch(run.once) and _is_dated(asked, heard):
            return SecretKind.EXPIRY
        if near and (back or asked.topic is Topic.EXPIRY):
            sized = digits <= 5 if asked.topic is Topic.CVV else 3 <= digits <= 5
            return SecretKind.CVV if back and sized else None
    following = [
        h
        for h in heard
        if 0 < h.first_word - run.last_word <= RETRO_WORDS
        and h.end_s - run.end_s <= RETRO_S
        and h.channel == run.channel
    ]
    named = following and min(following, key=lambda h: h.first_word).topic is Topic.CVV
    return SecretKind.CVV if named and 3 <= digits <= 4 else None


def _is_told(asked: Heard, run: Run, known: Sequence[Judged]) -> bool:
    """Whether a code was said since it was asked for, and this is not that again, nor said in its place."""
    since = [one.run for one in known if one.kind is SecretKind.CVV and one.run.first_word > asked.last_word]
    instead = run.figures[0].corrects and run.length in CODE_DIGITS
    if instead and any(run.first_word - one.last_word <= INSTEAD_WORDS for one in since):
        return False
    return any(len(one.once) in CODE_DIGITS and run.once not in one.digits for one in since)


def _is_dated(asked: Heard, heard: Sequence[Heard]) -> bool:
    """Whether a card's end was asked for in the same breath as its code."""
    return any(
        h.topic in (Topic.EXPIRY, Topic.DATE) and 0 <= asked.first_word - h.last_word <= ASKED_TOGETHER_WORDS
        for h in heard
    )


def _is_carded(asked: Heard, known: Sequence[Judged]) -> bool:
    """Whether a card's number was said not long before."""
    return any(one.kind is SecretKind.CARD and 0 <= asked.end_s - one.run.end_s <= ANNOUNCED_S for one in known)


def _follows_end(run: Run, heard: Sequence[Heard], known: Sequence[Judged]) -> bool:
    """Whether it is said after a card's number and its end, and nothing else was spoken of since: however it was asked
    for, that is the code."""
    cards = [one.run for one in known if one.kind is SecretKind.CARD and len(one.run.once) >= CARD_DIGITS]
    first = run.figures[0].first_word
    before = [h for h in heard if h.last_word < first and h.topic not in _SAYING_NOTHING]
    sized = any(len(reading) in CODE_DIGITS and not _END.fullmatch(reading) for reading in run.readings())
    if not (cards and before and sized):
        return False
    asked, card = max(before, key=lambda h: h.last_word), cards[-1]
    since = [one.run.once for one in known if one.run.first_word > asked.last_word and one.kind is not SecretKind.CARD]
    told = any(len(digits) in CODE_DIGITS and not _END.fullmatch(digits) for digits in since)
    ended = asked.topic in (Topic.EXPIRY, Topic.DATE) and asked.last_word > card.first_word
    near = first - asked.last_word <= END_TO_CODE_WORDS and run.start_s - card.end_s <= ANNOUNCED_S
    return ended and near and not told


def _asked_for(heard: Sequence[Heard]) -> Heard:
    """What was asked for last; where that is only called a code, what was asked for right before."""
    asked = max(heard, key=lambda h: h.last_word)
    if asked.topic is Topic.CODE:
        for one in heard:
            if one.topic is Topic.CVV and asked.last_word - one.last_word <= CODE_WORDS:
                return replace(asked, topic=Topic.CVV)
    return asked
