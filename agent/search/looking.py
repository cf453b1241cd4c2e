"""Searching the index of one purpose: shards opened one after the other, in RAM, and closed again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from agent.search.cabinet import Cabinet
from agent.search.shard import Hit, find
from agent.store.catalog import Catalog
from agent.store.rows import IndexedRow

MOST_LINES = 3
"""So many lines of a call are shown, its best."""
TRIES = 5
"""A shard that was replaced meanwhile is looked for anew."""


@dataclass(frozen=True, slots=True)
class Found:
    """A call that has all that was searched for, and its best lines in order of time."""

    call_id: str
    lines: tuple[Hit, ...]
    rank: float


def search(
    cabinet: Cabinet,
    catalog: Catalog,
    purpose: str,
    terms: Sequence[str],
    *,
    now_ns: int,
    since_ns: int = 0,
    fits: Callable[[str], bool] = lambda _: True,
) -> list[Found]:
    """Calls begun since then (UTC ns) whose id `fits`, best first. Raises OSError, and LookupError if shards
    keep moving."""
    for _ in range(TRIES):
        rows = [r for r in catalog.indexed.shown(purpose, now_ns, since_ns) if fits(r.call_id)]
        try:
            hits = _hits(cabinet, rows, terms)
        except LookupError:
            continue
        return _by_call(hits)
    raise LookupError("the index is being written, or keys of it are gone; try again")


def _hits(cabinet: Cabinet, rows: Sequence[IndexedRow], terms: Sequence[str]) -> list[Hit]:
    wanted = {row.entry for row in rows}
    return [
        hit
        for shard, _ in groupby(rows, key=lambda row: row.shard)
        for hit in find(cabinet.get(shard), terms)
        if hit.entry in wanted
    ]


def _by_call(hits: Sequence[Hit]) -> list[Found]:
    calls: dict[str, list[Hit]] = {}
    for hit in sorted(hits, key=lambda h: h.rank):
        calls.setdefault(hit.call_id, []).append(hit)
    return [
        Found(call_id, tuple(sorted(mine[:MOST_LINES], key=lambda h: h.start_s)), mine[0].rank)
        for call_id, mine in calls.items()
    ]
