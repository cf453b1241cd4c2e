"""SIP over TLS: who we are, who may call, and how that is checked (RFC 3261 §26.2, RFC 5922, RFC 8446).

With `siprec.tls_client_ca` a peer must show a certificate of that authority, and `siprec.tls_peers` may say whose.
Renewed files are read by the next start of the recorder; live calls survive it.
"""

import ssl
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from cryptography import x509

from agent.config import Siprec


class TlsUnusable(OSError):
    """The files of [siprec] that TLS needs cannot be used: names the setting, the file and what is wrong."""


def server_context(settings: Siprec) -> ssl.SSLContext:
    """For connections that come in. Raises TlsUnusable."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.options |= ssl.OP_NO_RENEGOTIATION
    _identify(context, settings)
    if settings.tls_client_ca is not None:
        _trust(context, settings.tls_client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(settings: Siprec) -> ssl.SSLContext:
    """For connections of our own, to a gateway whose connection is gone. Raises TlsUnusable.

    The gateway is known by the same authority as when it calls us. Its address in a dialog is mostly a bare IP, which
    certificates seldom name; so the name is only insisted on where any authority would do.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _identify(context, settings)
    if settings.tls_client_ca is not None:
        context.check_hostname = False
        _trust(context, settings.tls_client_ca)
    else:
        context.load_default_certs()
    return context


def _identify(context: ssl.SSLContext, settings: Siprec) -> None:
    certificate, key = settings.tls_certificate, settings.tls_key
    if certificate is None or key is None:
        raise TlsUnusable("siprec.tls_certificate and siprec.tls_key are needed to listen on tls")
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    expiry(certificate)
    _readable("siprec.tls_key", key)
    try:
        context.load_cert_chain(certificate, key, password=lambda: b"")
    except (OSError, ValueError) as error:
        raise TlsUnusable(
            f"siprec.tls_key: {key}: {_reason(error)}; expected the private key of {certificate} in PEM, not encrypted"
        ) from None


def _trust(context: ssl.SSLContext, authority: Path) -> None:
    _readable("siprec.tls_client_ca", authority)
    try:
        context.load_verify_locations(authority)
    except (OSError, ValueError) as error:
        raise TlsUnusable(
            f"siprec.tls_client_ca: {authority}: {_reason(error)}; expected certificates in PEM"
        ) from None


def expiry(certificate: Path) -> datetime:
    """When the first certificate of a chain expires, in UTC. Raises TlsUnusable."""
    data = _readable("siprec.tls_certificate", certificate)
    try:
        return x509.load_pem_x509_certificates(data)[0].not_valid_after_utc.astimezone(UTC)
    except ValueError:
        raise TlsUnusable(f"siprec.tls_certificate: {certificate}: expected a certificate chain in PEM") from None


def _readable(setting: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TlsUnusable(f"{setting}: {path}: {error.strerror or 'cannot be read'}") from None


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", None) or getattr(error, "strerror", None) or "cannot be used").lower()


def names(certificate: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Who a verified certificate is of, in lower case: its alternative names, else its common name (RFC 5922 §7.1).

    `certificate` is as `ssl.SSLSocket.getpeercert` gives it. A `sip:` URI counts by its domain.
    """
    found = certificate or {}
    kinds = ("DNS", "IP Address", "URI")
    alternatives = [value for kind, value in found.get("subjectAltName", ()) if kind in kinds]
    common = [v for part in found.get("subject", ()) for k, v in part if k == "commonName"]
    return tuple(v.removeprefix("sip:").removeprefix("sips:").lower() for v in alternatives or common)


def is_welcome(certificate: Mapping[str, Any] | None, patterns: Sequence[str]) -> bool:
    """Whether a peer is one of `siprec.tls_peers`: shell patterns of names; without any, every verified peer is."""
    return not patterns or any(fnmatchcase(name, p.lower()) for name in names(certificate) for p in patterns)
