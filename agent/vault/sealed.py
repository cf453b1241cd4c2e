"""The scribe's secrets at rest: as plain files (mode 0600), or sealed under the box key.

Sealed are the site's signing key, the key of number hashes, the working identities and the keys of the search index:
what would open, forge or guess something in a copy of the box. A sealed file is `greffier-sealed-1`, a newline, a nonce
of 12 bytes and AES-256-GCM under the box key, that line and the secret's name authenticated, so that none passes for
another. How the box key itself is kept is `agent.vault.protect`'s. A box reads plain files too: converting may stop
half way.
"""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from agent.vault.protect import Kind, kind_of, read_root
from agent.vault.secretfile import read_secret, write_private

MAGIC = b"greffier-sealed-1\n"
BOX_KEY = "box.key"
_NONCE_BYTES = 12


class Unsealable(Exception):
    """A sealed secret does not open with this box key. Going on would take calls that can be read for lost ones."""


class Box:
    """Reads and writes secrets; without a key they are plain. Its representation shows nothing of it."""

    def __init__(self, key: bytes | None = None) -> None:
        self._cipher = AESGCM(key) if key is not None else None

    @classmethod
    def of(cls, keys_dir: Path) -> "Box":
        """The site's: plain where it has no box key. Raises OSError, ValueError when that cannot be opened."""
        path = keys_dir / BOX_KEY
        return cls(read_root(path)) if path.exists() else cls()

    def write(self, path: Path, secret: bytes) -> None:
        """Replace `path`, all or nothing, mode 0600; durable when this returns. Raises OSError."""
        if self._cipher is not None:
            nonce = secrets.token_bytes(_NONCE_BYTES)
            secret = MAGIC + nonce + self._cipher.encrypt(nonce, secret, _about(path))
        write_private(path, secret)

    def read(self, path: Path) -> bytes:
        """The secret at `path`. Raises OSError, ValueError; Unsealable."""
        data = read_secret(path)
        if not data.startswith(MAGIC):
            return data
        if self._cipher is None:
            raise Unsealable(f"{path} is sealed, and there is no {BOX_KEY} that opens it")
        nonce, body = data[len(MAGIC) :][:_NONCE_BYTES], data[len(MAGIC) + _NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, body, _about(path))
        except (InvalidTag, ValueError):
            raise Unsealable(f"{path} does not open with {BOX_KEY}: it was changed, or is of another box") from None


PLAIN = Box()


def is_sealed(path: Path) -> bool:
    """Whether the file is sealed. Raises OSError."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def read_sealed(keys_dir: Path, name: str) -> bytes:
    """One secret of `keys_dir`, however it is kept. Raises OSError, ValueError; Unsealable."""
    return Box.of(keys_dir).read(keys_dir / name)


def kept(keys_dir: Path) -> Kind:
    """How the scribe's secrets are kept. Raises OSError, ValueError."""
    path = keys_dir / BOX_KEY
    return kind_of(path) if path.exists() else Kind.FILE


@contextmanager
def in_use(keys_dir: Path, *, alone: bool = False) -> Iterator[None]:
    """The keys are in use meanwhile, or (`alone`) are by nobody else. Raises BlockingIOError when that cannot be."""
    descriptor = os.open(keys_dir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _about(path: Path) -> bytes:
    """A secret's name is its file's, without what says that it is about to be destroyed."""
    return MAGIC + path.stem.encode()
