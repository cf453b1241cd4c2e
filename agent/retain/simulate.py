"""What another configuration would change about forgetting, said before it is saved. Pure.

Deadlines are fixed when an artifact is made, so a change of retention is for new calls. What does act on what there is:
a purpose that is not searchable any more, a destination that is gone or where others delete from then on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from agent.config import Settings
from agent.config.purposes import PurposeSection
from agent.store.retained import Standing

DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Change:
    """One purpose before and after: retentions in seconds (None: the purpose is not there), how what new calls leave
    goes, and how many bytes lie here in the long run (at the pace of the last days)."""

    purpose: str
    here_s: tuple[int | None, int | None]
    centre_s: tuple[int | None, int | None]
    here: str
    centre: str
    bytes_here: tuple[int, int]


def changes(now: Settings, new: Settings, bytes_a_day: dict[str, float]) -> list[Change]:
    """What becomes of each purpose that either configuration has."""
    found = []
    for name in dict.fromkeys((*now.purpose, *new.purpose)):
        before, after = now.purpose.get(name), new.purpose.get(name)
        here_s = (_here_s(before), _here_s(after))
        centre_s = (_centre_s(before), _centre_s(after))
        pace = bytes_a_day.get(name, 0.0)
        volumes = tuple(int(pace * (s or 0) / DAY_S) for s in here_s)
        found.append(
            Change(
                name,
                here_s,
                centre_s,
                _moves(here_s, before, after),
                _moves(centre_s, before, after),
                (volumes[0], volumes[1]),
            )
        )
    return found


def at_once(now: Settings, new: Settings, standing: Sequence[Standing]) -> list[str]:
    """What the change does to what there is as soon as it is in force, in sentences."""
    said = []
    for one in standing:
        before, after = now.purpose.get(one.purpose), new.purpose.get(one.purpose)
        if one.searchable and before is not None and before.searchable and not (after and after.searchable):
            said.append(f"{one.purpose}: {one.searchable} texts leave the search index at once; their files stay")
        if after is None and before is not None and one.here:
            said.append(f"{one.purpose}: masks and drops of its {one.here} artifacts here are refused from then on")
        if one.destination is None or one.destination not in now.destination:
            continue
        ours = now.destination[one.destination].deleted_by_us
        if one.destination not in new.destination:
            if one.unsent:
                said.append(f"{one.purpose}: {one.unsent} artifacts wait for {one.destination}, and would not leave")
            if one.centre and ours:
                said.append(f"{one.purpose}: nobody deletes its {one.centre} artifacts at {one.destination} any more")
        elif one.centre and ours is not new.destination[one.destination].deleted_by_us:
            who = "not deleted by us any more" if ours else "deleted by us from then on, when their time is over"
            said.append(f"{one.purpose}: {one.centre} artifacts at {one.destination} are {who}")
    return said


def stays(standing: Sequence[Standing]) -> list[str]:
    """Until when what there is stays, whatever retention is configured, in sentences."""
    said = []
    for one in standing:
        places = [(one.here, one.here_until_ns, "here")]
        places += [(one.centre, one.centre_until_ns, f"at {one.destination}")] if one.centre_until_ns else []
        said += [f"{one.purpose}: {n} artifacts {where}, the last until {_day(ns)}" for n, ns, where in places if n]
    return said


def _here_s(section: PurposeSection | None) -> int | None:
    return None if section is None or not section.artifacts else section.local_retention


def _centre_s(section: PurposeSection | None) -> int | None:
    return (
        None if section is None or not section.artifacts or section.destination is None else section.central_retention
    )


def _moves(spans: tuple[int | None, int | None], before: PurposeSection | None, after: PurposeSection | None) -> str:
    old, new = spans
    if before is None or after is None:
        return "new" if before is None else "gone"
    if old == new:
        return "same"
    if not old or not new:  # nothing is kept there, or (at the centre) without an end
        return "changes"
    return "earlier" if new < old else "later"


def _day(ns: int) -> str:
    return datetime.fromtimestamp(ns / 1e9, UTC).strftime("%Y-%m-%d")
