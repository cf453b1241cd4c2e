"""[desk] and [context.NAME]: where the REST interface listens, how it is encrypted, and which pages pause a call."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from agent.config.section import Patterns, Section, listed

LOOPBACK = ("127.0.0.1", "::1", "localhost")
ORIGIN = r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?"
"""An origin as a Content-Security-Policy names it (CSP Level 3 §2.3.1), without patterns."""

Origin = Annotated[str, StringConstraints(pattern=f"^{ORIGIN}$", max_length=200)]


class Desk(Section):
    """The REST interface. `tokens_file` holds tokens of before the directory."""

    host: str = "127.0.0.1"
    port: int = Field(8470, ge=0, le=65535)
    tokens_file: Path | None = None
    tls: Literal["auto", "off"] = "auto"
    """`auto`: on unless `host` is loopback and no certificate is named; `off`: in clear, for a proxy that encrypts."""
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    """Authorities of the client certificates of `[puller.NAME]`, or these certificates themselves."""
    embedded_by: Annotated[tuple[Origin, ...], BeforeValidator(listed)] = ()
    """Origins of softphones and CRMs that may show the agent's page in a frame; none may otherwise."""

    @property
    def encrypts(self) -> bool:
        """Whether the desk speaks TLS."""
        return self.tls == "auto" and (self.tls_certificate is not None or self.host not in LOOPBACK)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("desk: tls_certificate and tls_key belong together, files in PEM")
        if self.tls == "off" and self.tls_certificate is not None:
            raise ValueError('desk.tls: "off" and a tls_certificate contradict each other')
        return self


class ContextPage(Section):
    """A page of the agent's desktop: the call is paused while it is open. `purposes`: only these; none: all."""

    purposes: Patterns = ()
