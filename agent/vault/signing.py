"""The site's signature (Ed25519, RFC 8032): seals journal checkpoints and manifests; checked with the public key alone.

The private key is a PEM file (PKCS #8) of mode 0600; the public one lies beside it as `NAME.pub` (PEM, SPKI).
"""

from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from agent.vault.secretfile import read_secret, write_private


class SiteKey:
    """The private key of this site. Its representation shows nothing of it."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @classmethod
    def create(cls, path: Path) -> "SiteKey":
        """A new key at `path`, public part at `path.pub`. Raises FileExistsError."""
        if path.exists():
            raise FileExistsError(f"{path} exists already")
        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        write_private(path, pem)
        public = path.with_name(path.name + ".pub")
        public.write_bytes(
            key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
        public.chmod(0o644)
        return cls(key)

    @classmethod
    def load(cls, path: Path) -> "SiteKey":
        """The key at `path`. Raises OSError, or ValueError when it is not an Ed25519 private key."""
        try:
            key = serialization.load_pem_private_key(read_secret(path), None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise ValueError(f"{path} is not an Ed25519 private key in PEM") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError(f"{path} is not an Ed25519 private key")
        return cls(key)

    def sign(self, data: bytes) -> bytes:
        """64 bytes of signature."""
        return self._key.sign(data)

    @property
    def public(self) -> bytes:
        """The 32 bytes of the public key."""
        return self._key.public_key().public_bytes_raw()


def load_public(path: Path) -> bytes:
    """The 32 bytes of a public key file. Raises OSError, or ValueError when it is not an Ed25519 public key."""
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(f"{path} is not an Ed25519 public key in PEM") from None
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError(f"{path} is not an Ed25519 public key")
    return key.public_bytes_raw()


def verify(public: bytes, signature: bytes, data: bytes) -> bool:
    """Whether `signature` is that of `data` under the 32-byte public key."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True
