"""Ordinary age files (age-encryption.org/v1): what is encrypted here opens with `age -d` anywhere.

Recipients are X25519 (`age1…`) or SSH keys (`ssh-ed25519 …`), which `age -d -i ~/.ssh/id_ed25519` opens.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import pyrage


class WrongKey(ValueError):
    """The identity does not open this file, or the file is not an unspoiled age file."""


@dataclass(frozen=True, slots=True)
class Identity:
    """An X25519 key pair: `secret` (AGE-SECRET-KEY-1…) opens what was encrypted to `recipient` (age1…)."""

    secret: str = field(repr=False)
    recipient: str

    @classmethod
    def of(cls, secret: str) -> "Identity":
        """The pair of a secret key. Raises WrongKey."""
        try:
            return cls(secret, str(pyrage.x25519.Identity.from_str(secret).to_public()))
        except pyrage.IdentityError:
            raise WrongKey("the key is not an age secret key (AGE-SECRET-KEY-1…)") from None


def new_identity() -> Identity:
    """A fresh key pair."""
    made = pyrage.x25519.Identity.generate()
    return Identity(str(made), str(made.to_public()))


def encrypt(data: bytes, recipients: Sequence[str]) -> bytes:
    """`data` as a binary age file that each of `recipients` can open. Raises ValueError unless all are valid."""
    if not recipients:
        raise ValueError("nothing is encrypted to nobody: a recipient is needed")
    cipher: bytes = pyrage.encrypt(data, [_recipient(r) for r in recipients])
    return cipher


def encrypt_stream(clear: BinaryIO, cipher: BinaryIO, recipients: Sequence[str]) -> None:
    """What `clear` gives until its end, as a binary age file written to `cipher`. Raises ValueError, OSError."""
    pyrage.encrypt_io(clear, cipher, [_recipient(r) for r in recipients])


def _recipient(text: str) -> Any:
    kind = pyrage.ssh if text.startswith("ssh-") else pyrage.x25519
    try:
        return kind.Recipient.from_str(text)
    except pyrage.RecipientError:
        raise ValueError("a recipient is not a public key that age knows (age1… or ssh-ed25519 …)") from None


def check_recipient(text: str) -> None:
    """Raises ValueError when nothing can be encrypted to it."""
    _recipient(text)


def fingerprint(public: str | bytes) -> str:
    """What people compare: the first 16 bytes of the SHA-256 of a public key (an age recipient as text, the site's as
    its 32 bytes) in eight groups of four hexadecimal digits."""
    digest = hashlib.sha256(public.encode() if isinstance(public, str) else public).hexdigest()[:32]
    return " ".join(digest[at : at + 4] for at in range(0, 32, 4))


def encrypt_with_passphrase(data: bytes, passphrase: str) -> bytes:
    """An age file that `age -d` opens after asking for the passphrase (scrypt, about a second of work)."""
    cipher: bytes = pyrage.passphrase.encrypt(data, passphrase)
    return cipher


def decrypt_with_passphrase(data: bytes, passphrase: str) -> bytes:
    """The content of such a file. Raises WrongKey."""
    try:
        plain: bytes = pyrage.passphrase.decrypt(data, passphrase)
    except pyrage.DecryptError:
        raise WrongKey("the passphrase does not open the file, or the file was changed") from None
    return plain


def decrypt(data: bytes, identity: str) -> bytes:
    """The content of an age file opened with a secret key. Raises WrongKey; the key is never part of a message."""
    try:
        key = pyrage.x25519.Identity.from_str(identity)
    except pyrage.IdentityError:
        raise WrongKey("the key is not an age secret key (AGE-SECRET-KEY-1…)") from None
    try:
        plain: bytes = pyrage.decrypt(data, [key])
    except pyrage.DecryptError:
        raise WrongKey("this key does not open the file, or the file was changed") from None
    return plain
