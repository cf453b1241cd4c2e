"""How long a sweep takes in a catalog of a million artifacts: `python -m bench.forgetting [--rows N] --json`.

A tenth of the calls is of numbers under legal hold; one artifact in fifty waits for its destination. Measured are a
sweep that finds a hundred due, one that finds nothing, planning what the centre is told, `retention plan`'s question,
and the deletions a second when everything is due.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from agent.model.hold import LegalHold
from agent.retain.sweep import sweep
from agent.store.catalog import Catalog
from agent.store.journal import Journal

T0 = 1_790_000_000_000_000_000
NS = 1_000_000_000
DUE = 100
NUMBERS, HELD_NUMBERS = 5000, 250
CALL = (
    "INSERT INTO calls (call_id, reference_hash, tap, gateway, direction, started_ns, ended_ns, state, "
    "duration_samples)"
)
PARTY = "INSERT INTO parties (call_id, participant_id, role, number_hash, joined_ns)"
ARTIFACT = (
    "INSERT INTO artifacts (artifact_id, call_id, purpose, kind, path, media_type, size_bytes, plain_sha256, "
    "cipher_sha256, created_ns, local_deadline_ns, central_deadline_ns, destination, delivery, attempts, "
    "next_attempt_ns, detail, sent_ns)"
)


def fill(catalog: Catalog, rows: int) -> None:
    """So many artifacts, four a call."""
    calls = rows // 4
    tables: list[tuple[str, Iterator[tuple[object, ...]]]] = [
        (CALL, ((_id(n), "r", "siprec", "g", "inbound", T0 + n, T0 + n + 5, "finalised", 8000) for n in range(calls))),
        (PARTY, ((_id(n), str(k), "agent", _id((2 * n + k) % NUMBERS), T0) for n in range(calls) for k in range(2))),
        (ARTIFACT, (_artifact(n, rows) for n in range(rows))),
    ]
    with catalog.transaction():
        for insert, values in tables:
            marks = ", ".join("?" * (insert.count(",") + 1))
            catalog._base.db.conn.executemany(f"{insert} VALUES ({marks})", values)
    for number in range(HELD_NUMBERS):
        numbers = frozenset({_id(2 * number)})
        catalog.legal_holds.place(LegalHold(f"case {number}", "bench", "bench", 1, numbers=numbers))


def _id(number: int) -> str:
    return f"{number:032x}"


def _artifact(n: int, rows: int) -> tuple[object, ...]:
    deadline_ns = T0 if n >= rows - DUE else T0 + 10**6 * NS + n * NS
    sent = n % 50 != 0
    where = (_id(n), _id(n // 4), ("evidence", "training")[n % 2], "audio", f"evidence/{_id(n)}.age", "audio/ogg")
    what = (100_000, "p" * 64, "c" * 64, T0 + n, deadline_ns, T0 + 10**8 * NS + n)
    return (*where, *what, "centre", "sent" if sent else "waiting", 0, 0, "", T0 + n if sent else None)


def measure(rows: int, folder: Path) -> dict[str, float]:
    """The figures, in seconds unless they say otherwise."""
    catalog = Catalog(folder / "catalog.sqlite3")
    journal = Journal(folder / "journal", "courier", time.time_ns)
    fill(catalog, rows)

    def sweep_s(now_ns: int) -> tuple[float, int]:
        return _timed(lambda: len(sweep(catalog, journal, folder / "outbox", now_ns).deleted))

    few_s, few = sweep_s(T0 + 1)
    none_s, _ = sweep_s(T0 + 1)
    plan_s, _ = _timed(lambda: catalog.orders.plan(T0, ["centre"]))
    again_s, _ = _timed(lambda: catalog.orders.plan(T0, ["centre"]))
    going_s, _ = _timed(lambda: len(catalog.retained.going(["centre"])))
    all_s, deleted = sweep_s(T0 + 10**9 * NS)
    return {
        "rows": rows,
        "sweep_few_due_s": round(few_s, 3),
        "deleted": few,
        "sweep_none_due_s": round(none_s, 3),
        "plan_orders_s": round(plan_s, 3),
        "plan_again_s": round(again_s, 3),
        "retention_plan_s": round(going_s, 3),
        "deletions_per_s": round(deleted / all_s),
    }


def _timed(act: Callable[[], int]) -> tuple[float, int]:
    begun = time.perf_counter()
    count = act()
    return time.perf_counter() - begun, count


def main() -> None:
    """Print the figures; exit 1 when a sweep with few due takes more than 10 s."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true", help="for programs")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(wanted.rows, Path(folder))
    print(json.dumps(figures, indent=None if wanted.json else 2))
    sys.exit(figures["sweep_few_due_s"] > 10)


if __name__ == "__main__":
    main()
