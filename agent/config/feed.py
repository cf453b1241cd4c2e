"""[puller.NAME] and [webhook.NAME]: who fetches with a certificate instead of a token, and who is told what is new."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, field_validator, model_validator

from agent.config.desk import LOOPBACK, Desk
from agent.config.section import Section, listed

_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


class Puller(Section):
    """A central system that shows a client certificate: it reads the feed of one purpose. Exactly one of `fingerprint`
    (SHA-256 of the certificate) and `subject` (RFC 4514, as issued by an authority of desk.tls_client_ca)."""

    purpose: str
    fingerprint: str | None = None
    subject: str | None = Field(None, min_length=3, max_length=500)

    @field_validator("fingerprint")
    @classmethod
    def _digits(cls, value: str | None) -> str | None:
        bare = value and value.replace(":", "").lower()
        if bare is not None and not _FINGERPRINT.fullmatch(bare):
            raise ValueError("expected the certificate's SHA-256 fingerprint: 64 hexadecimal digits, with or without :")
        return bare

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.fingerprint is None) == (self.subject is None):
            raise ValueError('a puller is known by fingerprint = "SHA-256" or subject = "CN=…", one of them')
        return self


class Webhook(Section):
    """Who is told of new artifacts (docs/feed.md): ids only, signed; the secret is in a file of mode 0600."""

    url: str = Field(max_length=2000)
    purposes: Annotated[tuple[str, ...], BeforeValidator(listed), Field(min_length=1, max_length=64)]
    secret_file: Path
    timeout_s: float = Field(10.0, gt=0, le=60)
    give_up_after: int = Field(20, ge=1, le=100)
    """So many attempts at one message, over some hours; then it is told of the next one."""

    @field_validator("url")
    @classmethod
    def _safe(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            is_whole = bool(parts.hostname) and parts.port != 0 and parts.username is None and not parts.fragment
        except ValueError:
            is_whole = False
        if not is_whole or parts.scheme not in ("https", "http"):
            raise ValueError('expected an address such as "https://centre.example/hooks/greffier"')
        if parts.scheme == "http" and parts.hostname not in LOOPBACK:
            raise ValueError("plain http is for this machine itself; use https")
        return url


def check_feed(
    pullers: Mapping[str, Puller], webhooks: Mapping[str, Webhook], purposes: Mapping[str, Any], desk: Desk
) -> None:
    """Raises ValueError for purposes that are not there, and for certificates that nobody would ask for."""
    known = ", ".join(sorted(purposes)) or "none"
    for name, puller in pullers.items():
        if puller.purpose not in purposes:
            raise ValueError(f"puller.{name}.purpose: no [purpose.{puller.purpose}] (known: {known})")
        if not desk.encrypts or desk.tls_client_ca is None:
            raise ValueError(
                f"puller.{name}: certificates are shown over TLS only: name desk.tls_certificate, desk.tls_key, and "
                "the pullers' authority (or their own certificates) in desk.tls_client_ca"
            )
    for name, webhook in webhooks.items():
        for purpose in sorted(set(webhook.purposes) - set(purposes)):
            raise ValueError(f"webhook.{name}.purposes: no [purpose.{purpose}] (known: {known})")
