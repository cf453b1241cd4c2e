"""What of a signed message (CMS, RFC 5652 §5) its signature does not cover, and OpenSSL does not look at.

Versions and the name of the signature's algorithm change nothing of what is proven. They are checked all the same, so
that no byte of a kept token can be changed unseen.
"""

from collections.abc import Iterable, Iterator

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

VERSION, SIGNER_VERSION = 3, 1
"""Of a message whose content is not plain data, and of a signer named by issuer and number (§5.1, §5.3)."""
_SHA = {256: "608648016503040201", 384: "608648016503040202", 512: "608648016503040203"}
_RSA = {256: "2a864886f70d01010b", 384: "2a864886f70d01010c", 512: "2a864886f70d01010d"}
_ECDSA = {256: "2a8648ce3d040302", 384: "2a8648ce3d040303", 512: "2a8648ce3d040304"}
_ANY_DIGEST = ("2a864886f70d010101", "2a864886f70d01010a", "2b6570")
"""rsaEncryption, RSASSA-PSS, Ed25519: their name does not say which digest."""
_FITS = frozenset((digest, name) for bits, digest in _SHA.items() for name in (_RSA[bits], _ECDSA[bits], *_ANY_DIGEST))
_SEQUENCE, _SET, _OID, _INTEGER = 0x30, 0x31, 0x06, 0x02
_FIRST = 0xA0
"""Context-specific [0]: the signed data, and in it the certificates."""


class Altered(ValueError):
    """Something that is not signed is not as it must be."""


def check_unsigned(token: bytes) -> None:
    """Raises Altered unless versions and algorithms of a signed message (ContentInfo) are those of what it is."""
    try:
        (_, kind), (_, explicit) = _children(_only(token, _SEQUENCE))
        signed = list(_children(_only(explicit, _SEQUENCE)))
        signer = list(_children(_only(_only_of(signed[-1], _SET), _SEQUENCE)))
        versions = (_integer(signed[0]), _integer(signer[0]))
        digest, signature = (_algorithm(part) for part in (s for s in signer[2:] if s[0] == _SEQUENCE))
    except (ValueError, IndexError):
        raise Altered("it is not built as a signed message is") from None
    if versions != (VERSION, SIGNER_VERSION) or (digest, signature) not in _FITS or not kind:
        raise Altered("a version or an algorithm in it is not what it must be")


def in_order(token: bytes) -> bytes:
    """The same message with its certificates in the order that DER demands of a set (X.690 §11.6).

    Authorities send them in any order, OpenSSL's among them; they are not signed. Raises Altered.
    """
    try:
        kind, (_, explicit) = _children(_only(token, _SEQUENCE))
        parts = list(_children(_only(explicit, _SEQUENCE)))
        packed = [
            pack(t, b"".join(sorted(pack(*c) for c in _children(v)))) if t == _FIRST else pack(t, v) for t, v in parts
        ]
    except (ValueError, IndexError):
        raise Altered("it is not built as a signed message is") from None
    return pack(_SEQUENCE, pack(*kind) + pack(_FIRST, pack(_SEQUENCE, b"".join(packed))))


def unpack(answer: bytes) -> list[bytes]:
    """The values in a DER sequence, each whole. Raises Altered."""
    try:
        return [pack(*child) for child in _children(_only(answer, _SEQUENCE))]
    except (ValueError, IndexError):
        raise Altered("it is no sequence") from None


def pack(tag: int, content: bytes) -> bytes:
    """A DER value."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content


def check_certificates(brought: Iterable[bytes], roots: Iterable[x509.Certificate]) -> None:
    """Raises Altered unless each certificate (DER) is trusted, or one of the others, or itself, signed it."""
    known = list(roots)
    try:
        certificates = [_certificate(data) for data in brought]
    except (ValueError, IndexError, x509.InvalidVersion):
        raise Altered("a certificate in it was changed") from None
    for one in certificates:
        if one not in known and not any(_issued(one, by) for by in (*certificates, *known)):
            raise Altered("a certificate in it was changed, or belongs to nobody who is trusted")


def _certificate(data: bytes) -> x509.Certificate:
    """One whose signature is whole bytes. Raises ValueError, IndexError, InvalidVersion."""
    *_, (_, signature) = _children(_only(data, _SEQUENCE))
    if signature[0] != 0:
        raise ValueError("a signature of some bits")
    return x509.load_der_x509_certificate(data)


def _issued(one: x509.Certificate, by: x509.Certificate) -> bool:
    try:
        one.verify_directly_issued_by(by)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _children(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each DER value in `data`. Raises ValueError, IndexError."""
    at = 0
    while at < len(data):
        tag, size = data[at], data[at + 1]
        at += 2
        if size >= 0x80:
            count = size & 0x7F
            size = int.from_bytes(data[at : at + count], "big")
            at += count
        if at + size > len(data):
            raise ValueError("cut short")
        yield tag, data[at : at + size]
        at += size


def _only(data: bytes, tag: int) -> bytes:
    ((found, content),) = _children(data)
    return _only_of((found, content), tag)


def _only_of(value: tuple[int, bytes], tag: int) -> bytes:
    if value[0] != tag:
        raise ValueError("another type")
    return value[1]


def _integer(value: tuple[int, bytes]) -> int:
    return int.from_bytes(_only_of(value, _INTEGER), "big")


def _algorithm(value: tuple[int, bytes]) -> str:
    """The object identifier (hex) of an AlgorithmIdentifier."""
    return _only_of(next(_children(value[1])), _OID).hex()
