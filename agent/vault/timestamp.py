"""Timestamps (RFC 3161): asking an authority for one, and checking offline what it answered.

A token says that a digest (SHA-256) existed at an instant, under the authority's signature. It is kept as an answer
(TimeStampResp, §2.4.2) that holds "granted" and the token and nothing else, so that `openssl ts -verify -in FILE` reads
it, and no byte of it is idle.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import rfc3161_client as rfc3161
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat import asn1
from rfc3161_client.errors import VerificationError

from agent.vault.cms import Altered, check_certificates, check_unsigned, in_order, pack, unpack

MOST_BYTES = 1 << 16
"""No answer of an authority is longer, with all the certificates it may bring."""
NONCE_BITS = 64
GRANTED_WITH_MODS = 1
_SHA256 = x509.ObjectIdentifier("2.16.840.1.101.3.4.2.1")
_GRANTED = bytes.fromhex("3003020100")
"""PKIStatusInfo of a token that was granted, without words about it."""
_VERIFY_ERROR = re.compile(r'Verify error: ?([^"]+)"')
_NS = 1_000_000_000


class BadToken(ValueError):
    """Not a token for this digest that one of these authorities signed; the words say what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose tokens are believed: certificates of authorities, and the policy they must have stamped under, if any."""

    roots: tuple[x509.Certificate, ...]
    policy: x509.ObjectIdentifier | None = None


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a token says: the instant (UTC ns) and how far it may be off, by whom (RFC 4514), under which policy, and
    its number there."""

    at_ns: int
    accuracy_s: float
    authority: str
    policy: str
    serial: int


@asn1.sequence
class _Algorithm:
    algorithm: x509.ObjectIdentifier
    parameters: asn1.Null


@asn1.sequence
class _Imprint:
    algorithm: _Algorithm
    digest: bytes


@asn1.sequence
class _Request:
    """TimeStampReq (§2.4.1), version 1."""

    version: int
    imprint: _Imprint
    policy: x509.ObjectIdentifier | None
    nonce: int
    certificates: bool


def load_trust(ca: Path, policy: str | None = None) -> Trust:
    """Authorities of a PEM file. Raises OSError, or ValueError where there is none."""
    try:
        roots = tuple(x509.load_pem_x509_certificates(ca.read_bytes()))
    except ValueError:
        raise ValueError(f"{ca} holds no certificate in PEM") from None
    return Trust(roots, x509.ObjectIdentifier(policy) if policy else None)


def request(digest: bytes, nonce: int, policy: x509.ObjectIdentifier | None = None) -> bytes:
    """A TimeStampReq for a SHA-256 `digest`; the answer must bring `nonce` and the authority's certificate."""
    imprint = _Imprint(algorithm=_Algorithm(algorithm=_SHA256, parameters=asn1.Null()), digest=digest)
    asked = _Request(version=1, imprint=imprint, policy=policy, nonce=nonce, certificates=True)
    return asn1.encode_der(asked)


def granted(answer: bytes, digest: bytes, nonce: int, trust: Trust) -> bytes:
    """The token in an authority's answer to `request`, as it is kept. Raises BadToken, also for a refusal."""
    answer = _tidy(answer)
    response = _decoded(answer)
    if response.status not in (rfc3161.PKIStatus.GRANTED, GRANTED_WITH_MODS):
        said = "; ".join(response.status_string)[:200]
        raise BadToken(f"the authority refused (status {response.status}{': ' if said else ''}{said})")
    try:
        given = response.tst_info.nonce
        kept = _kept(response)
    except ValueError:
        raise BadToken("there is no token in the answer") from None
    check(kept, digest, trust)
    if given != nonce:
        raise BadToken("it answers another request (its nonce is another)")
    return kept


def check(token: bytes, digest: bytes | None, trust: Trust) -> Stamp:
    """What a kept token says. `digest` None: nobody knows what it is for, and only the authority's signature is
    checked. Certificates count as of the token's own time. Raises BadToken."""
    if len(token) > MOST_BYTES:
        raise BadToken("it is too long for a timestamp")
    response = _decoded(token)
    try:
        info = response.tst_info
        imprint = info.message_imprint
        if token != _kept(response):
            raise BadToken("it was changed: it is not written as timestamps are kept")
        if imprint.hash_algorithm != _SHA256:
            raise BadToken("it is for a digest of another kind than SHA-256")
        if digest is not None and imprint.message != digest:
            raise BadToken("it is for something else (its digest is another)")
        check_unsigned(response.time_stamp_token())
        check_certificates(response.signed_data.certificates, trust.roots)
        verifier = rfc3161.VerifierBuilder(roots=list(trust.roots), policy_id=trust.policy).build()
        verifier.verify(response, imprint.message)
        return Stamp(
            at_ns=int(info.gen_time.timestamp()) * _NS + info.gen_time.microsecond * 1000,
            accuracy_s=_accuracy_s(info.accuracy),
            authority=_signer(response),
            policy=info.policy.dotted_string,
            serial=info.serial_number,
        )
    except VerificationError as error:
        raise BadToken(f"its signature does not hold: {_words(str(error))}") from None
    except Altered as error:
        raise BadToken(str(error)) from None
    except BadToken:
        raise
    except (ValueError, TypeError, ArithmeticError, StopIteration, x509.InvalidVersion, UnsupportedAlgorithm):
        raise BadToken("it is no timestamp, or was changed") from None


def _tidy(answer: bytes) -> bytes:
    """An answer as it may be decoded."""
    try:
        status, *token = unpack(answer)
        return pack(0x30, status + b"".join(map(in_order, token)))
    except (Altered, ValueError):
        raise BadToken("it is no answer of a timestamp authority") from None


def _kept(response: rfc3161.TimeStampResponse) -> bytes:
    return pack(0x30, _GRANTED + response.time_stamp_token())


def _decoded(data: bytes) -> rfc3161.TimeStampResponse:
    try:
        return rfc3161.decode_timestamp_response(data)
    except ValueError:
        raise BadToken("it is no timestamp, or was changed") from None


def _signer(response: rfc3161.TimeStampResponse) -> str:
    """The name in the certificate that signed."""
    (info,) = response.signed_data.signer_infos
    certificates = map(x509.load_der_x509_certificate, response.signed_data.certificates)
    signer = next(c for c in certificates if (c.issuer, c.serial_number) == (info.issuer, info.serial_number))
    return signer.subject.rfc4514_string()


def _words(error: str) -> str:
    """What OpenSSL found, without where in its code."""
    found = _VERIFY_ERROR.search(error)
    return found[1] if found else error.partition(": ErrorStack")[0]


def _accuracy_s(accuracy: rfc3161.Accuracy | None) -> float:
    if accuracy is None:
        return 0.0
    return (accuracy.seconds or 0) + (accuracy.millis or 0) / 1e3 + (accuracy.micros or 0) / 1e6
