"""Checkpoints: the site's signature over the heads of all chains, so that no end of a chain can be cut off unseen.

Checkpoints are lines of a chain of their own; `fields` holds `heads` (`PROCESS SEQ HASH`, sorted) and `signature`
(Ed25519, hexadecimal, over a context string and the canonical JSON of `heads` and the line's `seq` and `prev`).
"""

import os
from pathlib import Path

from agent.store.journal import CHECKPOINTS, TAIL_BYTES, Journal, JournalLine, chains, decoded
from agent.vault.chain import canonical
from agent.vault.signing import SiteKey, Trusted, signer

CONTEXT = b"greffier checkpoint 1\n"


def seal(folder: Path, key: SiteKey, at_ns: int) -> None:
    """Sign the heads of all chains as they stand on disk, unless the last checkpoint says the same. Raises OSError."""
    heads = [f"{path.stem} {last.seq} {last.hash}" for path in chains(folder) if (last := _durable_end(path))]
    journal = Journal(folder, CHECKPOINTS, lambda: at_ns)
    try:
        last = _durable_end(folder / f"{CHECKPOINTS}.jsonl")
        if last is not None and last.fields.get("heads") == heads:
            return
        signature = key.sign(_signed(heads, journal.head))
        journal.append("checkpoint", heads=heads, signature=signature.hex())
    finally:
        journal.close()


def newest(folder: Path) -> JournalLine | None:
    """The last checkpoint, if there is one. Raises OSError."""
    path = folder / f"{CHECKPOINTS}.jsonl"
    return _durable_end(path) if path.exists() else None


def holds(line: JournalLine, public: Trusted) -> int | None:
    """The place among the site's keys of the one that signed this checkpoint; None when none did."""
    try:
        signature = bytes.fromhex(str(line.fields["signature"]))
    except (KeyError, ValueError):
        return None
    return signer(public, signature, _signed(line.fields.get("heads"), line.prev))


def sealed_heads(line: JournalLine) -> dict[str, tuple[int, str]]:
    """Process → (seq, hash) as the checkpoint has them. Raises ValueError."""
    found: dict[str, tuple[int, str]] = {}
    for head in line.fields.get("heads") or ():
        process, seq, hash_ = str(head).split(" ")
        found[process] = (int(seq), hash_)
    return found


def _signed(heads: object, prev: str) -> bytes:
    return CONTEXT + canonical({"heads": heads, "prev": prev})


def _durable_end(path: Path) -> JournalLine | None:
    """The last whole line, after making sure that it survives a power cut."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL_BYTES))
        for raw in reversed(file.read().splitlines(keepends=True)):
            if raw.endswith(b"\n"):
                try:
                    return decoded(raw)
                except ValueError:
                    continue
    return None
