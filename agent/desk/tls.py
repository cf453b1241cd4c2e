"""The desk's certificate: the one that is configured, or one that it makes for itself, known by its fingerprint.

A certificate of our own making (RFC 5280, P-256) is for whoever has no authority: clients are told its SHA-256
fingerprint once, and know the desk by it. The key lies beside it, mode 0600, and belongs to the desk's user.
"""

import ipaddress
import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from agent.config import Settings
from agent.vault.secretfile import make_folder, write_private

VALID = timedelta(days=3650)
CERTIFICATE, KEY = "certificate.pem", "key.pem"


class TlsUnusable(OSError):
    """The desk's certificate or key cannot be used: which file, and what is wrong."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Certificate and key, files in PEM."""

    certificate: Path
    key: Path
    made_here: bool

    def fingerprint(self) -> str:
        """SHA-256 of the certificate, in pairs of digits. Raises TlsUnusable."""
        return self._read().fingerprint(hashes.SHA256()).hex(":").upper()

    def expires(self) -> datetime:
        """Until when it is valid. Raises TlsUnusable."""
        return self._read().not_valid_after_utc

    def load_into(self, context: ssl.SSLContext) -> None:
        """Show this certificate to whoever connects. Raises TlsUnusable."""
        try:
            context.load_cert_chain(self.certificate, self.key, password=lambda: b"")
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "they do not fit"
            raise TlsUnusable(f"desk: {self.certificate} and {self.key} cannot be used: {why}") from None

    def _read(self) -> x509.Certificate:
        try:
            return x509.load_pem_x509_certificate(self.certificate.read_bytes())
        except (OSError, ValueError) as error:
            raise TlsUnusable(f"desk: {self.certificate} cannot be read: {type(error).__name__}") from None


def identity_of(settings: Settings) -> Identity | None:
    """What the desk shows; made now where it has to have one and there is none. None where it speaks in clear.

    Raises TlsUnusable.
    """
    if not settings.desk.encrypts:
        return None
    if settings.desk.tls_certificate is not None and settings.desk.tls_key is not None:
        return Identity(settings.desk.tls_certificate, settings.desk.tls_key, made_here=False)
    own = own_identity(settings)
    if not (own.certificate.exists() and own.key.exists()):
        try:
            _make(own, settings.site.name, settings.desk.host)
        except OSError as error:
            raise TlsUnusable(
                f"desk: no certificate can be made in {settings.desk_tls_dir}: {error.strerror}"
            ) from None
    return own


def own_identity(settings: Settings) -> Identity:
    """Where the certificate of the desk's own making is, or would be."""
    return Identity(settings.desk_tls_dir / CERTIFICATE, settings.desk_tls_dir / KEY, made_here=True)


def _make(own: Identity, site: str, host: str) -> None:
    """A key, and a certificate that it signs itself, for this machine's names and addresses."""
    make_folder(own.key.parent)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"greffier {site}"[:64])])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + VALID)
        .add_extension(x509.SubjectAlternativeName(_names(host)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    write_private(own.key, key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    write_private(own.certificate, certificate.public_bytes(pem))


def _names(host: str) -> list[x509.GeneralName]:
    names = {socket.gethostname(), "localhost"}
    addresses = {ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1")}
    try:
        if not (address := ipaddress.ip_address(host)).is_unspecified:
            addresses.add(address)
    except ValueError:
        names.add(host)
    return [
        *(x509.DNSName(name) for name in sorted(names)),
        *(x509.IPAddress(address) for address in sorted(addresses, key=str)),
    ]
