"""The journal as checking finds it: which lines hold, what they say was made, and which checkpoint seals them.

A checkpoint that has a timestamp vouches, by another's word, for every line and checkpoint before it.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from agent.store.checkpoint import holds, sealed_heads
from agent.store.journal import CHECKPOINTS, JournalLine, Position, chains, decoded, hash_of
from agent.store.report import Report
from agent.store.timestamps import FOLDER, StampRow
from agent.vault.chain import GENESIS
from agent.vault.signing import Trusted
from agent.vault.timestamp import BadToken, Stamp, Trust, check

_DIGEST_OF = {"derived": "cipher_sha256", "timestamped": "token_sha256"}
"""Kinds of lines that say that a file was made, and which field has its SHA-256."""


@dataclass(frozen=True, slots=True)
class Seal:
    """A checkpoint that holds: its number, when it was made (UTC ns), its hash, and how far it seals each chain."""

    seq: int
    at_ns: int
    hash: str
    heads: dict[str, int]


@dataclass(slots=True)
class Sealed:
    """What was found. `made`: where the journal says that a file, by path and SHA-256, was made."""

    hashes: dict[str, dict[int, str]] = field(default_factory=dict)
    seals: list[Seal] = field(default_factory=list)
    made: dict[tuple[str, str], tuple[str, int]] = field(default_factory=dict)
    delivered: set[str] = field(default_factory=set)
    """Paths of files that reached their destination."""
    stamps: dict[int, Stamp] = field(default_factory=dict)
    """Of checkpoints, by their number; only those whose authority is believed."""

    def hear(self, line: JournalLine) -> None:
        """Remember a good line."""
        self.hashes.setdefault(line.process, {})[line.seq] = line.hash
        if (name := _DIGEST_OF.get(line.kind)) is not None:
            self.made[str(line.fields.get("path")), str(line.fields.get(name))] = (line.process, line.seq)
        elif line.kind == "delivered":
            self.delivered.add(str(line.fields.get("path")))

    def paths(self) -> set[str]:
        """Paths of all files that were made."""
        return {path for path, _ in self.made}

    def has(self, position: Position) -> bool:
        """Whether this very line is in the journal."""
        if position.seq == 0:
            return position.hash == GENESIS
        return self.hashes.get(position.process, {}).get(position.seq) == position.hash

    def sealing(self, process: str, seq: int) -> Seal | None:
        """The first checkpoint that seals a line."""
        at = bisect_left(self.seals, seq, key=lambda seal: seal.heads.get(process, 0))
        return self.seals[at] if at < len(self.seals) else None

    def stamped_after(self, seal: Seal) -> tuple[int, Stamp] | None:
        """The first checkpoint from `seal` on that has a timestamp, and what that says."""
        number = min((n for n in self.stamps if n >= seal.seq), default=None)
        return None if number is None else (number, self.stamps[number])


def check_journal(
    folder: Path, public: Trusted, report: Report, hear: Callable[[JournalLine], None] = lambda _: None
) -> Sealed:
    """Every line and checkpoint in `folder`; what is wrong is reported, good lines are heard."""
    found = Sealed()
    for path in chains(folder):
        count = 0
        for line in _chain(path, report):
            count += 1
            found.hear(line)
            hear(line)
        report.count("journal lines", count)
    seals = folder / f"{CHECKPOINTS}.jsonl"
    if not seals.exists():
        if found.hashes:
            report.bad(seals.name, "there is no checkpoint: nothing seals the journal")
        return found
    newest = 0
    for seal in _chain(seals, report):
        where = f"{seals.name} line {seal.seq}"
        report.count("checkpoints")
        if (by := holds(seal, public)) is None:
            report.bad(where, "the signature does not hold")
            continue
        if by < newest:
            report.bad(where, "is signed by a key that the site had given up by then")
            continue
        newest = by
        heads = sealed_heads(seal)
        found.seals.append(Seal(seal.seq, seal.at_ns, seal.hash, {p: seq for p, (seq, _) in heads.items()}))
        for process, (seq, hash_) in heads.items():
            if found.hashes.get(process, {}).get(seq) != hash_:
                report.bad(f"{process}.jsonl line {seq}", f"is not the line that {where} sealed")
    return found


def check_stamps(folder: Path, found: Sealed, trust: Trust | None, report: Report, known: list[StampRow]) -> None:
    """Timestamps of checkpoints; `known`: those that the catalog has."""
    hashes = {seal.seq: seal.hash for seal in found.seals}
    there = {p.stem: p for p in (folder / FOLDER).glob("*.tsr")}
    for row in known:
        if str(row.seq) not in there:
            report.bad(row.path, f"the timestamp of checkpoint {row.seq} is missing")
    for name, path in sorted(there.items()):
        where = f"{FOLDER}/{path.name}"
        if not name.isdigit() or int(name) not in hashes:
            report.bad(where, "is the timestamp of a checkpoint that is not there")
        elif trust is None:
            report.count("timestamps of checkpoints left unchecked (give the authority's certificate with --tsa-ca)")
        else:
            report.count("timestamps of checkpoints")
            try:
                found.stamps[int(name)] = check(path.read_bytes(), bytes.fromhex(hashes[int(name)]), trust)
            except BadToken as error:
                report.bad(where, str(error))


def _chain(path: Path, report: Report) -> Iterator[JournalLine]:
    """The good lines of a chain; each that is spoiled, missing or out of place is reported."""
    seq, head = 0, GENESIS
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            where = f"{path.name} line {number}"
            if not raw.endswith(b"\n"):
                break  # being written, or torn: never acknowledged
            try:
                line = decoded(raw)
            except ValueError:
                report.bad(where, "is not a journal line: it was changed")
                continue
            if hash_of(line) != line.hash or line.process != path.stem:
                report.bad(where, "was changed: its hash is another")
                continue
            if line.seq != seq + 1 or line.prev != head:
                report.bad(where, f"does not follow line {seq}: lines before it were changed, removed or moved")
            seq, head = line.seq, line.hash
            yield line
