"""The site's signature (Ed25519, RFC 8032): seals journal checkpoints and manifests; checked with the public key alone.

The private key is a PEM file (PKCS #8) of mode 0600, sealed where the site's keys are (`agent.vault.sealed`); the
public one lies beside it as `NAME.pub` (PEM, SPKI). A site that changed its key has several, one after another
(`agent.vault.sitekeys`).
"""

from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509 import Certificate, CertificateBuilder

from agent.vault.sealed import PLAIN, Box
from agent.vault.secretfile import write_private

Trusted = bytes | tuple[bytes, ...]
"""The 32 bytes of a public key, or those of a site's keys, oldest first."""


class SiteKey:
    """The private key of this site. Its representation shows nothing of it."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @classmethod
    def create(cls, path: Path, box: Box = PLAIN) -> "SiteKey":
        """A new key at `path`, public part at `path.pub`. Raises FileExistsError."""
        if path.exists():
            raise FileExistsError(f"{path} exists already")
        made = cls.generate()
        made.save(path, box)
        return made

    @classmethod
    def generate(cls) -> "SiteKey":
        """A new key, nowhere but in memory."""
        return cls(Ed25519PrivateKey.generate())

    def save(self, path: Path, box: Box = PLAIN) -> None:
        """Replace the key at `path`, and its public part after it. Raises OSError."""
        pem = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        box.write(path, pem)
        public = self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        write_private(path.with_name(path.name + ".pub"), public, 0o644)

    def become(self, other: "SiteKey") -> None:
        """The site has another key: whoever holds this one signs with that from now on."""
        self._key = other._key

    @classmethod
    def load(cls, path: Path, box: Box = PLAIN) -> "SiteKey":
        """The key at `path`. Raises OSError, or ValueError when it is not an Ed25519 private key; Unsealable."""
        try:
            key = serialization.load_pem_private_key(box.read(path), None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise ValueError(f"{path} is not an Ed25519 private key in PEM") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError(f"{path} is not an Ed25519 private key")
        return cls(key)

    def sign(self, data: bytes) -> bytes:
        """64 bytes of signature."""
        return self._key.sign(data)

    def certify(self, builder: CertificateBuilder) -> Certificate:
        """The certificate that is being built, signed by this key."""
        return builder.sign(self._key, None)

    @property
    def verifier(self) -> Ed25519PublicKey:
        """The public key, as `cryptography` has it."""
        return self._key.public_key()

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


def verify(public: Trusted, signature: bytes, data: bytes) -> bool:
    """Whether `signature` is that of `data` under the public key, or one of them."""
    return signer(public, signature, data) is not None


def signer(public: Trusted, signature: bytes, data: bytes) -> int | None:
    """The place among the keys of the one whose signature of `data` this is; None when it is of none."""
    keys = (public,) if isinstance(public, bytes) else public
    return next((at for at, key in enumerate(keys) if _is_of(key, signature, data)), None)


def _is_of(public: bytes, signature: bytes, data: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True
