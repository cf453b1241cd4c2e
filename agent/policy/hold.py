"""What a legal hold covers, and who may end it. Pure.

A hold is looked up anew each time something is about to be deleted, so that it covers calls that come later, or whose
parties become known later, as well.
"""

from enum import StrEnum

from agent.model.hold import HeldMatter, LegalHold

RELEASE_WINDOW_NS = 86_400 * 1_000_000_000
"""A second person confirms within a day, or the first asks again."""


class Release(StrEnum):
    """What comes of somebody's wish to end a hold."""

    DONE = "done"
    ASKED = "asked"
    SAME_PERSON = "same person"


def covers(hold: LegalHold, matter: HeldMatter) -> bool:
    """Whether nothing of `matter` may be deleted because of `hold`."""
    if not hold.is_open:
        return False
    if hold.call_id not in (None, matter.call_id) or hold.purpose not in (None, matter.purpose):
        return False
    if hold.numbers and not hold.numbers & matter.numbers:
        return False
    return _took_place(hold, matter)


def _took_place(hold: LegalHold, matter: HeldMatter) -> bool:
    """A call of which a part lies in the hold's time is covered whole."""
    if hold.from_ns is None and hold.to_ns is None:
        return True
    if matter.started_ns is None:
        return False
    begun = hold.to_ns is None or matter.started_ns < hold.to_ns
    going_on = hold.from_ns is None or matter.ended_ns is None or matter.ended_ns >= hold.from_ns
    return begun and going_on


def release(hold: LegalHold, actor: str, now_ns: int, *, two_person: bool) -> Release:
    """What `actor`'s wish to end the hold does: where two persons are needed, the first only asks."""
    if not two_person:
        return Release.DONE
    if hold.asked_ns is None or not 0 <= now_ns - hold.asked_ns < RELEASE_WINDOW_NS:
        return Release.ASKED
    return Release.SAME_PERSON if actor == hold.asked_by else Release.DONE
