"""All that is kept about one person, gathered from the catalog: calls, what there is of each, where, and until when."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from agent.config.purposes import PurposeSection
from agent.model.events import CallContext
from agent.model.gate import GateMark
from agent.model.person import Fate
from agent.model.purpose import ArtifactKind, Decision
from agent.store.catalog import Catalog
from agent.store.persons import Place
from agent.store.rows import CallRow, CorrectionRow, PartyRow

NS = 1_000_000_000
FOREVER_NS = 1 << 62
MARGIN_S = 1.0
"""A line that another party had before or after is the person's so long after coming, and so long before the other
comes: who speaks is told later than heard."""


@dataclass(frozen=True, slots=True)
class Presence:
    """When the person was on a channel, in seconds of the call. `alone`: nobody else was ever on it."""

    channel: int
    from_s: float
    to_s: float
    alone: bool


@dataclass(frozen=True, slots=True)
class CallDossier:
    """One call of the person. `held` are purposes under a legal hold that is no restriction of this call."""

    call: CallRow
    roles: tuple[str, ...]
    presence: tuple[Presence, ...]
    highest_channel: int
    decisions: tuple[Decision, ...]
    marks: tuple[GateMark, ...]
    contexts: tuple[CallContext, ...]
    places: tuple[Place, ...]
    drops: tuple[CorrectionRow, ...]
    key_until_ns: int | None
    held: frozenset[str]
    restricted: bool

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to be made of it."""
        return self.call.state in ("finalised", "forgotten")

    def of(self, purpose: str) -> list[Place]:
        """What there is, or was, of a purpose, without the tombstones that call it back."""
        mine = [p for p in self.places if p.artifact.purpose == purpose]
        return [p for p in mine if p.artifact.kind is not ArtifactKind.TOMBSTONE]

    def kept(self, purpose: str) -> list[Place]:
        """What there is of it now, here or at the centre."""
        return [p for p in self.of(purpose) if not p.withdrawn and (p.here or p.at_centre)]

    def purposes(self, configured: Mapping[str, PurposeSection]) -> list[str]:
        """Those that keep something of it, kept something, or may come to."""
        names = {p.artifact.purpose for p in self.places} | {row.purpose for row in self.drops}
        if not self.is_over:
            names |= {name for name, section in configured.items() if section.artifacts}
        return sorted(names)

    def until_ns(self, purpose: str) -> int | None:
        """When the last of it goes (UTC); None when nothing says, or nothing is left."""
        here = [p.artifact.local_deadline_ns for p in self.kept(purpose) if p.here]
        sent = [p.artifact.central_deadline_ns for p in self.kept(purpose) if p.artifact.destination is not None]
        return None if 0 in sent else max([*here, *sent], default=None)


def gather(catalog: Catalog, hashes: Collection[str]) -> list[CallDossier]:
    """The person's calls, oldest first. `hashes` are those of every writing of the number."""
    found = {row.call_id: row for row in map(catalog.find_call, catalog.persons.calls_of(hashes))}
    return [dossier_of(catalog, row, hashes) for row in found.values()]


def dossier_of(catalog: Catalog, row: CallRow, hashes: Collection[str]) -> CallDossier:
    call_id = row.call_id
    parties = catalog.parties(call_id)
    mine = [p for p in parties if p.number_hash in hashes]
    places = tuple(catalog.persons.places(call_id))
    names = {p.artifact.purpose for p in places}
    is_restricted = catalog.persons.is_restricted(call_id)
    return CallDossier(
        call=row,
        roles=tuple(dict.fromkeys(p.role for p in mine)),
        presence=presence(row, parties, mine),
        highest_channel=max((p.channel for p in parties if p.channel is not None), default=-1),
        decisions=tuple(catalog.decisions(call_id)),
        marks=tuple(catalog.marks(call_id)),
        contexts=tuple(catalog.contexts(call_id)),
        places=places,
        drops=tuple(r for r in catalog.corrections.of_call(call_id) if r.verb == "drop"),
        key_until_ns=catalog.corrections.kept_until(call_id),
        held=frozenset() if is_restricted else frozenset(n for n in names if catalog.legal_holds.is_held(call_id, n)),
        restricted=is_restricted,
    )


def presence(row: CallRow, parties: Sequence[PartyRow], mine: Sequence[PartyRow]) -> tuple[Presence, ...]:
    """Where in the call the person is heard. What may be another's is left out."""
    end_s = max(row.duration_samples / 8000, ((row.ended_ns or row.started_ns) - row.started_ns) / NS) + MARGIN_S
    found = []
    for party in mine:
        if party.channel is None:
            continue
        # who has no channel of their own is heard on anybody's
        others = [p for p in parties if p.channel in (party.channel, None) and p not in mine]
        if not others and party.left_ns is None:
            found.append(Presence(party.channel, 0.0, end_s, alone=True))
            continue
        if any(p.channel is None and p.joined_ns <= party.joined_ns < (p.left_ns or FOREVER_NS) for p in others):
            continue
        come_s = (party.joined_ns - row.started_ns) / NS
        before = any(p.joined_ns <= party.joined_ns for p in others)
        ends = [end_s] if party.left_ns is None else [(party.left_ns - row.started_ns) / NS - MARGIN_S]
        ends += [(p.joined_ns - row.started_ns) / NS - MARGIN_S for p in others if p.joined_ns > party.joined_ns]
        begin_s = come_s + MARGIN_S if before else 0.0
        if begin_s < min(ends):
            found.append(Presence(party.channel, begin_s, min(ends), alone=False))
    return tuple(dict.fromkeys(found))


def fate(call: CallDossier, purpose: str, section: PurposeSection | None) -> tuple[Fate, str]:
    """What became of a purpose that was to be erased, or is to become of it now, and why."""
    last = next((row for row in reversed(call.drops) if row.purpose == purpose), None)
    if last is not None and last.is_open:
        return (Fate.HELD, _first(call)) if last.detail else (Fate.PENDING, "")
    if not call.kept(purpose) and call.is_over:
        return (Fate.ERASED if last is not None else Fate.NONE), ""
    return outlook(call, purpose, section)


def outlook(call: CallDossier, purpose: str, section: PurposeSection | None) -> tuple[Fate, str]:
    """What an erasure would come to."""
    if section is None:
        return Fate.UNKNOWN, ""
    if not section.may_be_withdrawn:
        return Fate.KEPT, section.basis
    if purpose in call.held or call.restricted:
        return Fate.HELD, _first(call)
    return Fate.STAYS, section.basis


def _first(call: CallDossier) -> str:
    return "restriction" if call.restricted else "legal hold"
