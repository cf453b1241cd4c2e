"""Keys of secure RTP (RFC 3711) as signalling brings them and media needs them.

They are of no event, no log line and no file but the sealed snapshot of a dialog, and no `repr` shows them.
"""

from dataclasses import dataclass, field
from enum import StrEnum


class SrtpSuite(StrEnum):
    """Crypto suites by their registered names: RFC 4568 §6.2, RFC 6188 §5 (AES-256), RFC 7714 §14.2 (GCM)."""

    AES_CM_128_HMAC_SHA1_80 = "AES_CM_128_HMAC_SHA1_80"
    AES_CM_128_HMAC_SHA1_32 = "AES_CM_128_HMAC_SHA1_32"
    AES_256_CM_HMAC_SHA1_80 = "AES_256_CM_HMAC_SHA1_80"
    AES_256_CM_HMAC_SHA1_32 = "AES_256_CM_HMAC_SHA1_32"
    AEAD_AES_128_GCM = "AEAD_AES_128_GCM"
    AEAD_AES_256_GCM = "AEAD_AES_256_GCM"

    @property
    def key_bytes(self) -> int:
        """Length of the master key."""
        return 32 if "256" in self.value else 16

    @property
    def salt_bytes(self) -> int:
        """Length of the master salt."""
        return 12 if self.value.startswith("AEAD") else 14


@dataclass(frozen=True, slots=True)
class SrtpKey:
    """What a sender encrypts under: suite, and master key followed by master salt. ValueError for a wrong length."""

    suite: SrtpSuite
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != self.suite.key_bytes + self.suite.salt_bytes:
            raise ValueError("key and salt are not of the length that the suite asks for")
