"""Certificate authorities for a test, and what they sign: PEM files in a folder, gone with it."""

import ipaddress
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


@dataclass(frozen=True)
class Issued:
    """Certificate and key, in files of their own."""

    certificate: Path
    key: Path


class Authority:
    """Signs certificates. `file` is its own."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        basic = x509.BasicConstraints(ca=True, path_length=0)
        certificate = self._build(self._subject, self._key, 30).add_extension(basic, critical=True)
        self.file = folder / f"{name}.ca.pem"
        self.file.write_bytes(self._sign(certificate))

    def issue(
        self, name: str, *, days: float = 30, address: str = "127.0.0.1", timestamping: str = "", rsa: bool = False
    ) -> Issued:
        """A certificate of `name` for this DNS name and address; it has expired when `days` is negative.

        `timestamping`: it may sign timestamps; "critical": and nothing else (RFC 3161 §2.3).
        """
        key = generate_rsa(65537, 2048) if rsa else ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        alternatives = x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(ipaddress.ip_address(address))])
        builder = self._build(subject, key, days).add_extension(alternatives, critical=False)
        if timestamping:
            builder = builder.add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), timestamping == "critical"
            )
        made = Issued(self._folder / f"{name}.{self._name}.pem", self._folder / f"{name}.{self._name}.key")
        made.certificate.write_bytes(self._sign(builder))
        encoding = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        made.key.write_bytes(key.private_bytes(*encoding))
        return made

    def _build(self, subject: x509.Name, key: CertificateIssuerPrivateKeyTypes, days: float) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=60))
            .not_valid_after(now + timedelta(days=days))
        )

    def _sign(self, builder: x509.CertificateBuilder) -> bytes:
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def context(self, mine: Issued | None = None, *, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        """For a client that trusts this authority, shows `mine` and speaks only `version`."""
        context = ssl.create_default_context(cafile=self.file)
        if mine is not None:
            context.load_cert_chain(mine.certificate, mine.key)
        if version is not None:
            context.minimum_version = context.maximum_version = version
        return context
