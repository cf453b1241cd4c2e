"""Placing and ending legal holds: the journal says so, then the catalog does. docs/retention.md says what a hold stops.

Killed between the two, the line is there and the hold is not: the command did not say that it was done, and is
repeated.
"""

from collections.abc import Sequence

from agent.model.artifact import Artifact
from agent.model.hold import LegalHold
from agent.policy.hold import Release, release
from agent.store.catalog import Catalog
from agent.store.journal import Field, Journal

SHOWN_DIGITS = 10


def is_held(catalog: Catalog, artifact: Artifact) -> bool:
    """Whether a legal hold covers an artifact, here and at its destination."""
    return catalog.legal_holds.is_held(artifact.call_id, artifact.purpose)


def place(catalog: Catalog, journal: Journal, hold: LegalHold) -> LegalHold:
    """Place a hold. Returns it with its number."""
    journal.append("hold", call_id=hold.call_id, purpose=hold.purpose, actor=hold.actor, **_said(hold))
    return catalog.legal_holds.place(hold)


def end(
    catalog: Catalog,
    journal: Journal,
    holds: Sequence[LegalHold],
    actor: str,
    reason: str,
    now_ns: int,
    *,
    two_person: bool,
) -> dict[Release, int]:
    """End these holds, or ask for it where a second person must agree. Returns how many of each."""
    outcome: dict[Release, int] = {}
    for hold in holds:
        verdict = release(hold, actor, now_ns, two_person=two_person)
        outcome[verdict] = outcome.get(verdict, 0) + 1
        if verdict is Release.SAME_PERSON:
            continue
        who: dict[str, Field] = {"actor": actor, "reason": reason, **_said(hold, reason=False)}
        if verdict is Release.ASKED:
            journal.append("hold.release.asked", call_id=hold.call_id, purpose=hold.purpose, **who)
            catalog.legal_holds.ask_release(hold.number, actor, now_ns)
        else:
            first: dict[str, Field] = {"first_actor": hold.asked_by} if two_person else {}
            journal.append("hold.lifted", call_id=hold.call_id, purpose=hold.purpose, **who, **first)
            catalog.legal_holds.end(hold.number, now_ns)
    return outcome


def end_past(catalog: Catalog, journal: Journal, now_ns: int) -> list[LegalHold]:
    """End holds whose own time is over (UTC as it is believed)."""
    past = catalog.legal_holds.past(now_ns)
    for hold in past:
        why: dict[str, Field] = {"actor": "courier", "reason": "its time is over"}
        journal.append("hold.lifted", call_id=hold.call_id, purpose=hold.purpose, **why, **_said(hold, reason=False))
        catalog.legal_holds.end(hold.number, now_ns)
    return past


def _said(hold: LegalHold, *, reason: bool = True) -> dict[str, Field]:
    """What a line says of a hold: of numbers the first digits of their hashes."""
    said: dict[str, Field] = {"case": hold.case}
    if reason:
        said["reason"] = hold.reason
    if hold.numbers:
        said["numbers"] = sorted(f"#{one[:SHOWN_DIGITS]}" for one in hold.numbers)
    for name in ("from_ns", "to_ns", "until_ns"):
        if (value := getattr(hold, name)) is not None:
            said[name] = value
    return said
