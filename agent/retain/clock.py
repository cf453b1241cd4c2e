"""Whether a deadline has passed: UTC says so, and UTC is plausible. Pure.

UTC is compared with the monotonic clock (the time since the machine was started, sleep included). A clock that jumped
ahead of it is doubted: time then goes on from what was believed before, until NTP says that the clock is right, a
person does (`greffier retention clock --confirm`), or it has gone steadily for `Rules.doubt_ns`. A clock that jumped
back is believed at once: deadlines come later by it, never earlier. After a restart of the machine nobody knows how
long it was off, so a clock that is ahead is doubted then as well.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Reading:
    """The clocks as they stand: UTC, time since the machine was started, which start that was, and whether NTP says
    that UTC is right."""

    utc_ns: int
    boot_ns: int
    boot_id: str
    synchronised: bool = False


@dataclass(frozen=True, slots=True)
class Doubt:
    """A clock that is ahead: since when (time since start) and by how much UTC and that time differ."""

    since_ns: int
    offset_ns: int


@dataclass(frozen=True, slots=True)
class Anchor:
    """A moment at which UTC was believed, from which time is counted; `last_ns` is the UTC believed last."""

    utc_ns: int
    boot_ns: int
    boot_id: str
    last_ns: int
    doubt: Doubt | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """How far ahead is too far, and how long a doubt lasts."""

    jump_ns: int
    doubt_ns: int


class Verdict(StrEnum):
    """What became of a reading: believed, doubted, behind what was believed, or believed after a doubt or a jump."""

    GOOD = "good"
    DOUBTED = "doubted"
    BACK = "back"
    ACCEPTED = "accepted"


@dataclass(frozen=True, slots=True)
class Judged:
    """`utc_ns` is what deadlines are compared with, never after what the clock says; `ahead_ns` is how far the clock is
    ahead of what was expected; `anchor` is for the next reading."""

    utc_ns: int
    ahead_ns: int
    verdict: Verdict
    anchor: Anchor


def judge(anchor: Anchor | None, reading: Reading, newest_ns: int, rules: Rules) -> Judged:
    """Believe a reading or not. `newest_ns`: where nothing was believed before, the newest time that is known."""
    if anchor is None:
        begun_ns = newest_ns or reading.utc_ns
        anchor = Anchor(begun_ns, reading.boot_ns, reading.boot_id, begun_ns)
    expected_ns = _expected_ns(anchor, reading)
    ahead_ns = reading.utc_ns - expected_ns
    if reading.synchronised:
        verdict = _moved(anchor, ahead_ns, rules)
        return Judged(reading.utc_ns, ahead_ns, verdict, anchored(reading))
    if ahead_ns > rules.jump_ns:
        return _doubt(anchor, reading, expected_ns, rules)
    if ahead_ns < -rules.jump_ns:
        return Judged(reading.utc_ns, ahead_ns, Verdict.BACK, anchored(reading))
    if anchor.boot_id != reading.boot_id:
        return Judged(reading.utc_ns, ahead_ns, Verdict.GOOD, anchored(reading))
    return Judged(reading.utc_ns, ahead_ns, Verdict.GOOD, replace(anchor, last_ns=reading.utc_ns, doubt=None))


def anchored(reading: Reading) -> Anchor:
    """Time is counted from this reading."""
    return Anchor(reading.utc_ns, reading.boot_ns, reading.boot_id, reading.utc_ns)


def _expected_ns(anchor: Anchor, reading: Reading) -> int:
    """What UTC must have reached: by the monotonic clock, or, after a restart, what it was at least."""
    if anchor.boot_id != reading.boot_id:
        return anchor.last_ns
    return anchor.utc_ns + max(0, reading.boot_ns - anchor.boot_ns)


def _moved(anchor: Anchor, ahead_ns: int, rules: Rules) -> Verdict:
    if ahead_ns < -rules.jump_ns:
        return Verdict.BACK
    return Verdict.ACCEPTED if anchor.doubt is not None or ahead_ns > rules.jump_ns else Verdict.GOOD


def _doubt(anchor: Anchor, reading: Reading, expected_ns: int, rules: Rules) -> Judged:
    ahead_ns = reading.utc_ns - expected_ns
    offset_ns = reading.utc_ns - reading.boot_ns
    doubt = anchor.doubt
    if doubt is None or anchor.boot_id != reading.boot_id or abs(offset_ns - doubt.offset_ns) > rules.jump_ns:
        doubt = Doubt(reading.boot_ns, offset_ns)
    if reading.boot_ns - doubt.since_ns >= rules.doubt_ns:
        return Judged(reading.utc_ns, ahead_ns, Verdict.ACCEPTED, anchored(reading))
    if anchor.boot_id != reading.boot_id:
        anchor = Anchor(expected_ns, reading.boot_ns, reading.boot_id, expected_ns)
    return Judged(expected_ns, ahead_ns, Verdict.DOUBTED, replace(anchor, last_ns=expected_ns, doubt=doubt))
