"""How fast custody is checked: `verify` of `python -m bench.custody`.

A journal of 100,000 lines of four processes, sealed every fifty lines (a busy site's minute), checked as
`greffier verify` does: each line's form, hash and place, each seal's signature and heads. `floor_s` is what reading,
parsing and hashing the same lines takes with nothing checked; `ratio` is how many times that. Afterwards one bit is
changed: `found` says in how many places that is named (a line that is another, and what sealed it).
"""

import hashlib
import json
import time
from pathlib import Path

from agent.store import checkpoint
from agent.store.journal import Journal, chains
from agent.store.verify import verify_journal
from agent.vault.signing import SiteKey

LINES = 100_000
A_MINUTE = 50
T0 = 1_790_000_000_000_000_000
PROCESSES = ("scribe", "scribe", "courier", "desk", "cli")
"""Who writes a line, in turn: the scribe most."""


def fill(folder: Path, key: SiteKey, lines: int) -> None:
    """A journal of so many lines."""
    now_ns = T0
    journals = {name: Journal(folder, name, lambda: now_ns) for name in PROCESSES}
    for begun in range(0, lines, A_MINUTE):
        for number in range(begun, min(begun + A_MINUTE, lines)):
            now_ns = T0 + number * 1_200_000_000
            journal = journals[PROCESSES[number % len(PROCESSES)]]
            journal._grouped = True  # one sync for all: what is measured is reading
            call, digest = f"{number // 8:032x}", hashlib.sha256(str(number).encode()).hexdigest()
            journal.append(
                "derived",
                call_id=call,
                purpose="evidence",
                artifact="audio",
                path=f"evidence/{call}.{number}.audio.flac.age",
                cipher_sha256=digest,
                plain_sha256=digest[::-1],
                size_bytes=number,
            )
        checkpoint.seal(folder, key, now_ns)
    for journal in journals.values():
        journal.close()


def measure_verify(lines: int, folder: Path) -> dict[str, float]:
    """The figures of `verify`, in seconds unless they say otherwise."""
    key = SiteKey.create(folder / "site.pem")
    journal = folder / "journal"
    fill(journal, key, lines)
    begun = time.perf_counter()
    whole = verify_journal(journal, key.public)
    verified_s = time.perf_counter() - begun
    floor_s = _floor_s(journal)
    target = journal / "scribe.jsonl"
    data = bytearray(target.read_bytes())
    data[len(data) // 2] ^= 1
    target.write_bytes(data)
    seals = (journal / "checkpoints.jsonl").read_bytes().count(b"\n")
    return {
        "lines": lines,
        "checkpoints": seals,
        "seconds": round(verified_s, 3),
        "lines_per_s": round(lines / verified_s),
        "floor_s": round(floor_s, 3),
        "ratio": round(verified_s / floor_s, 2),
        "problems": len(whole),
        "found": len(verify_journal(journal, key.public)),
    }


def _floor_s(folder: Path) -> float:
    begun = time.perf_counter()
    for path in [*chains(folder), folder / "checkpoints.jsonl"]:
        with path.open("rb") as file:
            for raw in file:
                json.loads(raw)
                hashlib.sha256(raw).digest()
    return time.perf_counter() - begun
