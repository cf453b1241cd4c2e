"""Central systems that show a client certificate instead of a token (`[puller.NAME]`): whose feed each may read.

OpenSSL has then verified that the certificate is one of `desk.tls_client_ca` and that its holder has the key; here it
is recognised by fingerprint or subject. The server hands it over as ASGI's TLS extension has it (`client_cert_chain`).
"""

import hmac
from collections.abc import Mapping
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from agent.config.feed import Puller
from agent.model.identity import Right, Scope

BY_CERTIFICATE = "certificate"
"""What stands for the id of a token."""


class Pullers:
    """Recognises certificates; every puller is compared, in constant time each."""

    def __init__(self, pullers: Mapping[str, Puller]) -> None:
        self._pullers = dict(pullers)

    def find(self, certificate: x509.Certificate) -> Scope | None:
        """Who shows it; None for nobody that is known, or when two pullers would fit."""
        shown = certificate.fingerprint(hashes.SHA256()).hex(), certificate.subject.rfc4514_string()
        found = []
        for name, puller in self._pullers.items():
            known, seen = (puller.fingerprint, shown[0]) if puller.fingerprint else (puller.subject or "", shown[1])
            if hmac.compare_digest((known or "").encode(), seen.encode()):
                found.append(Scope(Right.FEED, name=name, token_id=BY_CERTIFICATE, purpose=puller.purpose))
        return found[0] if len(found) == 1 else None


def shown_certificate(scope: Mapping[str, Any]) -> x509.Certificate | None:
    """The client certificate of a connection."""
    chain = scope.get("extensions", {}).get("tls", {}).get("client_cert_chain", ())
    return x509.load_pem_x509_certificate(chain[0].encode()) if chain else None
