"""Who takes part in a call: recording metadata (or, without it, the From header) as parties, roles and direction.

RFC 7865 §6.5 and §6.6. A number that matches one of the site's patterns is an agent's; anyone else with a number is a
customer. A party that leaves keeps its entry, with the time it left.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from aiosipua.message import SipRequest

from agent.model.call import Direction, Party, Role
from agent.sip.message import header
from agent.sip.metadata import Metadata
from agent.sip.uri import clean, name_of, number_of
from agent.tap.siprec.forks import Fork, Side

MAX_PARTIES = 64
_DID_HEADERS = ("p-called-party-id", "history-info", "diversion")
_QUEUE_HEADERS = ("x-queue", "x-queue-name", "x-call-queue")


@dataclass(frozen=True, slots=True)
class Numbers:
    """What the headers of the first INVITE say about a call."""

    caller: str = ""
    caller_name: str = ""
    queue: str | None = None
    did: str | None = None


def numbers(invite: SipRequest) -> Numbers:
    """Caller from From; number dialled from P-Called-Party-ID, History-Info or Diversion; queue from X-Queue."""
    dialled = (number_of(_first_item(header(invite, name))) for name in _DID_HEADERS)
    queues = (clean(header(invite, name), 64) for name in _QUEUE_HEADERS)
    sender = header(invite, "from")
    return Numbers(
        number_of(sender),
        name_of(sender),
        next((q for q in queues if q), None),
        next((d for d in dialled if d), None),
    )


def _first_item(value: str) -> str:
    return value[: value.index(">") + 1] if ">" in value else value.split(",", maxsplit=1)[0]


def role_of(number: str, agents: Sequence[str]) -> Role:
    """The role a number has at this site."""
    if not number:
        return Role.OTHER
    return Role.AGENT if any(fnmatchcase(number, pattern) for pattern in agents) else Role.CUSTOMER


def from_headers(found: Numbers, agents: Sequence[str], at_ns: int) -> tuple[Party, ...]:
    """The one party a call without metadata has: who sent the INVITE, if it has a number."""
    if not found.caller:
        return ()
    role = role_of(found.caller, agents)
    return (Party("caller", found.caller, found.caller_name, role, at_ns),)


def from_fork(before: Sequence[Party], fork: Fork, agents: Sequence[str], at_ns: int) -> tuple[Party, ...]:
    """The parties of a forked call, near end first; one whose number is another now has left, and the other joins."""
    parties = list(before)
    for side, number in ((Side.NEAR, fork.near), (Side.FAR, fork.far)):
        now = party_of(parties, side)
        if now is not None and (not number or number == now.number):
            continue
        if now is not None and not now.number:
            parties[parties.index(now)] = replace(now, number=number, role=role_of(number, agents))
            continue
        if now is not None:
            parties[parties.index(now)] = replace(now, left_ns=at_ns)
        if len(parties) < MAX_PARTIES:
            turn = sum(p.participant_id.startswith(side) for p in parties)
            name = f"{side}-{turn + 1}" if turn else side.value
            parties.append(Party(name, number, "", role_of(number, agents), at_ns))
    return tuple(parties)


def party_of(parties: Sequence[Party], side: Side) -> Party | None:
    """Who is at this end of a forked call now."""
    present = (p for p in parties if p.left_ns is None and p.participant_id.split("-")[0] == side)
    return next(present, None)


def from_metadata(before: Sequence[Party], metadata: Metadata, agents: Sequence[str], at_ns: int) -> tuple[Party, ...]:
    """The parties as they stand after metadata came at `at_ns`: new ones join, those no longer named have left."""
    known = {p.participant_id: p for p in before}
    present: dict[str, Party] = {}
    for participant in metadata.participants:
        number = number_of(participant.aor)
        old = known.get(participant.participant_id)
        present[participant.participant_id] = Party(
            participant.participant_id,
            number or (old.number if old else ""),
            clean(participant.name, 128) or (old.name if old else ""),
            role_of(number or (old.number if old else ""), agents),
            old.joined_ns if old else at_ns,
            (old and old.left_ns) or at_ns if participant.left else None,
        )
    if not present:
        return tuple(before)
    gone = [replace(p, left_ns=p.left_ns or at_ns) for p in before if p.participant_id not in present]
    order = {p.participant_id: n for n, p in enumerate(before)}
    everyone = sorted([*gone, *present.values()], key=lambda p: order.get(p.participant_id, len(order)))
    return tuple(everyone[:MAX_PARTIES])


def direction_of(parties: Sequence[Party], caller: str | None) -> Direction:
    """Which way the call went: the caller is the party with the number of the From header, else the first one.

    With None nobody says who called, as in a phone fork, whose From is the phone's own number whoever called it.
    """
    known = [p for p in parties if p.role is not Role.OTHER]
    if not known:
        return Direction.UNKNOWN
    if caller is None:
        internal = len(known) > 1 and all(p.role is Role.AGENT for p in known)
        return Direction.INTERNAL if internal else Direction.UNKNOWN
    first = next((p for p in known if p.number == caller), known[0])
    others = [p.role for p in known if p is not first]
    if first.role is Role.CUSTOMER and Role.AGENT in others:
        return Direction.INBOUND
    if first.role is Role.AGENT and Role.CUSTOMER in others:
        return Direction.OUTBOUND
    return Direction.INTERNAL if others and first.role is Role.AGENT else Direction.UNKNOWN
