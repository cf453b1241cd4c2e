"""What a person asked for, done: filed in the catalog, acted upon, recorded and signed, said in the journal.

In this order. Killed in between, nothing was said to be done, and the command is repeated: a drop that was asked for
twice is done once, a number is on a list once, and a second restriction ends with the first.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from agent.config import Settings
from agent.config.purposes import PurposeSection
from agent.model.hold import LegalHold
from agent.model.person import Fate, PersonRequest
from agent.policy.hold import Release
from agent.retain import holds
from agent.retain.dossier import CallDossier, fate
from agent.store.catalog import Catalog
from agent.store.journal import Field, Journal
from agent.store.rows import CorrectionRow
from agent.vault.manifest import sign_manifest
from agent.vault.secretfile import make_folder, write_private
from agent.vault.signing import SiteKey

FORMAT = "greffier-person-1"
CASE = "restriction"


def erase(
    catalog: Catalog,
    journal: Journal,
    request: PersonRequest,
    hashes: Collection[str],
    calls: Sequence[CallDossier],
    purposes: Mapping[str, PurposeSection],
) -> int:
    """Ask the scribe to destroy what may be destroyed of these calls, and from now on send nothing of them. What must
    be kept is asked for as well: the scribe's line says under which basis. Returns how many are asked for."""
    rows = [
        CorrectionRow(call.call.call_id, name, "drop", 0, 0, request.actor, request.reason, request.at_ns)
        for call in calls
        for name in call.purposes(purposes)
        if fate(call, name, purposes.get(name))[0] not in (Fate.NONE, Fate.ERASED) and not _asked(call, name)
    ]
    for row in rows:
        said: dict[str, Field] = {"actor": row.actor, "reason": row.reason, "request": request.number}
        journal.append("drop.asked", call_id=row.call_id, purpose=row.purpose, **said)
    with catalog.transaction():
        catalog.corrections.ask(rows)
        catalog.persons.follow(request.number, hashes, [call.call.call_id for call in calls])
    return len(rows)


def _asked(call: CallDossier, purpose: str) -> bool:
    return any(row.is_open and row.purpose == purpose for row in call.drops)


def restrict(catalog: Catalog, journal: Journal, request: PersonRequest, hashes: Collection[str]) -> LegalHold:
    """From now on nothing of the person's calls is used, sent or deleted, those that come later included."""
    hold = LegalHold(
        case=f"{CASE}-{request.number}",
        actor=request.actor,
        reason=request.reason,
        at_ns=request.at_ns,
        numbers=frozenset(hashes),
    )
    with catalog.transaction():
        placed = holds.place(catalog, journal, hold)
        catalog.persons.restrict(request.number, placed.number)
    return placed


def lift(
    catalog: Catalog, journal: Journal, request: PersonRequest, hashes: Collection[str], *, two_person: bool
) -> dict[Release, int]:
    """End the person's restrictions, or ask for it where a second person must agree."""
    mine = [catalog.legal_holds.numbered(number) for number in catalog.persons.restrictions(hashes)]
    return holds.end(*(catalog, journal, mine, request.actor, request.reason, request.at_ns), two_person=two_person)


def unlink(catalog: Catalog, journal: Journal, now_ns: int, ours: Collection[str]) -> int:
    """Take the number of whoever was erased off calls of which nothing is left. Returns off how many. `ours`:
    destinations where we delete ourselves."""
    empty = catalog.persons.empty(now_ns, ours)
    for request, call_id in empty:
        journal.append("person.unlinked", call_id=call_id, request=request)
        catalog.persons.unlink(request, call_id)
    return len(empty)


def record(
    settings: Settings,
    catalog: Catalog,
    site_key: SiteKey,
    request: PersonRequest,
    calls: Sequence[CallDossier],
    now_ns: int,
    more: Mapping[str, object],
) -> tuple[PersonRequest, Path]:
    """Write the signed record of a request as things stand now; durable when this returns. Returns the request with
    its digest, and where it lies."""
    make_folder(settings.persons_dir)
    path = settings.persons_dir / f"{name_of(request)}.json"
    body = {
        "format": FORMAT,
        "site": settings.site.name,
        "request": request.number,
        "right": request.right.value,
        "number": f"#{request.shown}",
        "actor": request.actor,
        "reason": request.reason,
        "reference": request.reference,
        "asked_ns": request.at_ns,
        "made_ns": now_ns,
        "calls": [_said(call, settings.purpose) for call in calls],
        **more,
    }
    signed = sign_manifest(body, site_key)
    write_private(path, signed)
    digest = hashlib.sha256(signed).hexdigest()
    catalog.persons.recorded(request.number, digest)
    return replace(request, record_sha256=digest), path


def name_of(request: PersonRequest) -> str:
    """How files of a request are called."""
    return f"{request.number:06d}-{request.right.value}"


def _said(call: CallDossier, purposes: Mapping[str, PurposeSection]) -> dict[str, object]:
    return {
        "call": call.call.call_id,
        "started_ns": call.call.started_ns,
        "restricted": call.restricted,
        "purposes": [_purpose(call, name, purposes.get(name)) for name in call.purposes(purposes)],
    }


def _purpose(call: CallDossier, name: str, section: PurposeSection | None) -> dict[str, object]:
    what, why = fate(call, name, section)
    return {
        "purpose": name,
        "basis": section.basis if section else None,
        "fate": what.value,
        "why": why,
        "until_ns": call.until_ns(name),
        "artifacts": [
            {
                "path": p.artifact.path,
                "cipher_sha256": p.artifact.cipher_sha256,
                "here": p.here,
                "destination": p.artifact.destination,
                "sent_ns": p.sent_ns,
                "ended_ns": p.ended_ns,
                "called_back": p.withdrawn and p.left,
            }
            for p in call.of(name)
        ],
    }
