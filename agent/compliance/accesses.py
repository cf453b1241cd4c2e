"""Who had access, and who changed what may be had: from the journal, by act, by whom, how often, since when."""

from collections.abc import Iterable
from dataclasses import dataclass

from agent.store.journal import JournalLine

ACTS = frozenset(
    {
        *("searched", "fetched", "exported", "delivered", "transcribe.asked", "mask.asked", "drop.asked"),
        *("hold", "hold.release.asked", "hold.lifted", "person.find", "person.access", "person.erase"),
        *("person.restrict", "person.lift", "person.object", "reader.added", "reader.revoked", "readers"),
        *("token.added", "token.revoked", "token.imported", "agents.added", "agents.removed", "refused"),
        *("site_key.rotated", "identity.asked", "keys.protected", "list.added", "list.removed"),
    }
)
_BY = ("actor", "by", "reader", "destination")


@dataclass(slots=True)
class Access:
    """One act by one person, token or destination: how often, and when first and last (UTC ns)."""

    act: str
    by: str
    purpose: str
    count: int
    first_ns: int
    last_ns: int


def accesses(lines: Iterable[JournalLine], since_ns: int) -> list[Access]:
    """All there were since then, the newest first."""
    found: dict[tuple[str, str, str], Access] = {}
    for line in lines:
        if line.kind not in ACTS or line.at_ns < since_ns:
            continue
        by = next((str(line.fields[name]) for name in _BY if line.fields.get(name)), line.process)
        purpose = line.purpose or ""
        one = found.setdefault((line.kind, by, purpose), Access(line.kind, by, purpose, 0, line.at_ns, line.at_ns))
        one.count += 1
        one.first_ns, one.last_ns = min(one.first_ns, line.at_ns), max(one.last_ns, line.at_ns)
    return sorted(found.values(), key=lambda one: (-one.last_ns, one.act, one.by))
