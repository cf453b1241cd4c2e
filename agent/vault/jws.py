"""JSON Web Signatures of the site: general JSON serialisation (RFC 7515 §7.2.1), EdDSA (RFC 8037 §3.1).

The certificate that goes along (`x5c`, §4.1.6) is the site's own, signed by the key it is of: it carries the key and
vouches for nothing. Whoever must know whose signature this is compares that key with the site's public key.
"""

import base64
import json
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from agent.vault.signing import SiteKey

_NEVER_ENDS = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""RFC 5280 §4.1.2.5: of a certificate that has no end."""


def sign_jws(payload: bytes, key: SiteKey, site: str, since_ns: int, **header: str) -> bytes:
    """`payload` signed, as a JSON document. `header` goes beside `x5c` in the unprotected header.

    `site`: for whom the certificate says it is; `since_ns`: from when on (UTC ns).
    """
    protected = base64url(json.dumps({"alg": "EdDSA"}).encode())
    body = base64url(payload)
    signature = key.sign(f"{protected}.{body}".encode())
    unprotected = {"x5c": [base64.b64encode(_certificate(key, site, since_ns)).decode()], **header}
    signatures = [{"protected": protected, "header": unprotected, "signature": base64url(signature)}]
    return json.dumps({"payload": body, "signatures": signatures}).encode()


def base64url(data: bytes) -> str:
    """Base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _certificate(key: SiteKey, site: str, since_ns: int) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, site[:64])])
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.verifier,
        serial_number=int.from_bytes(key.public[:16], "big") >> 1,
        not_valid_before=datetime.fromtimestamp(since_ns // 1_000_000_000, UTC),
        not_valid_after=_NEVER_ENDS,
    ).add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    return key.certify(builder).public_bytes(Encoding.DER)
