"""Call keys: 32 random bytes, kept once, wrapped to the working identity (age v1, X25519) in a file of their own.

Forgetting a call is destroying its files; the key bytes themselves are never written. A recorder that starts again
does not hold the old key and takes a new one: the epochs of a call.
"""

import os
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agent.capture.format import call_id_bytes
from agent.vault import age
from agent.vault.secretfile import write_private

KEY_BYTES = 32
_HIGHEST_EPOCH = 0xFFFF
_SUFFIX = ".age"
_NAME = re.compile(r"([0-9a-f]{32})\.([0-9]{1,5})\.age")


@dataclass(frozen=True, slots=True)
class CallKey:
    """The key of one call and epoch, in RAM."""

    call_id: str
    epoch: int
    key: bytes = field(repr=False)


def create(folder: Path, call_id: str, epoch: int, recipient: str) -> CallKey:
    """A new key, durable in `<call_id>.<epoch>.age` when this returns.

    A key file is never replaced: when there is one already (made just before a crash, say), the next free epoch is
    taken, so read it from the result. Raises OSError, and ValueError for a bad call id, epoch or recipient.
    """
    call_id_bytes(call_id)
    while (
        path := folder / f"{call_id}.{epoch}{_SUFFIX}"
    ).exists():  # a look at the whole folder costs ms when it is full
        epoch += 1
    if not 0 <= epoch <= _HIGHEST_EPOCH:
        raise ValueError(f"epoch {epoch} is outside 0..{_HIGHEST_EPOCH}")
    key = secrets.token_bytes(KEY_BYTES)
    write_private(path, age.encrypt(key, [recipient]))
    return CallKey(call_id, epoch, key)


def open_keys(folder: Path, call_id: str, identities: Sequence[str]) -> dict[int, bytes]:
    """Epoch → key, of those that one of `identities` (age secret keys) opens. Raises OSError."""
    opened: dict[int, bytes] = {}
    for epoch, path in _files(folder, call_id):
        wrapped = path.read_bytes()
        for identity in identities:
            try:
                key = age.decrypt(wrapped, identity)
            except age.WrongKey:
                continue
            if len(key) == KEY_BYTES:
                opened[epoch] = key
            break
    return opened


def destroy(folder: Path, call_id: str) -> int:
    """Unlink the keys of all epochs, durably. Returns how many there were."""
    gone = 0
    for _, path in _files(folder, call_id):
        path.unlink(missing_ok=True)
        gone += 1
    if gone:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    return gone


def known(folder: Path) -> set[str]:
    """The calls that have a key file."""
    return {match[1] for path in folder.glob(f"*{_SUFFIX}") if (match := _NAME.fullmatch(path.name))}


def _files(folder: Path, call_id: str) -> list[tuple[int, Path]]:
    call_id_bytes(call_id)
    matches = ((_NAME.fullmatch(path.name), path) for path in folder.glob(f"{call_id}.*{_SUFFIX}"))
    return sorted((int(match[2]), path) for match, path in matches if match)
