"""Ordinary age files (age-encryption.org/v1): what is encrypted here opens with `age -d` anywhere."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pyrage


class WrongKey(ValueError):
    """The identity does not open this file, or the file is not an unspoiled age file."""


@dataclass(frozen=True, slots=True)
class Identity:
    """An X25519 key pair: `secret` (AGE-SECRET-KEY-1…) opens what was encrypted to `recipient` (age1…)."""

    secret: str = field(repr=False)
    recipient: str


def new_identity() -> Identity:
    """A fresh key pair."""
    made = pyrage.x25519.Identity.generate()
    return Identity(str(made), str(made.to_public()))


def encrypt(data: bytes, recipients: Sequence[str]) -> bytes:
    """`data` as a binary age file that each of `recipients` (age1…) can open. Raises ValueError without a valid one."""
    if not recipients:
        raise ValueError("nothing is encrypted to nobody: a recipient is needed")
    try:
        keys = [pyrage.x25519.Recipient.from_str(r) for r in recipients]
    except pyrage.RecipientError:
        raise ValueError("a recipient is not an age public key (age1…)") from None
    cipher: bytes = pyrage.encrypt(data, keys)
    return cipher


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
