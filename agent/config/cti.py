"""`[cti.NAME]`: telephone systems that tell of calls and press pause (docs/cti.md)."""

import ipaddress
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from agent.config.section import Duration, Patterns, Section
from agent.model.gate import GateVerb

Topic = Literal["press", "mute", "queue"]
TOPICS: tuple[Topic, ...] = ("press", "mute", "queue")
_KEYS = "0123456789*#ABCD"


def address(value: object) -> object:
    """`HOST:PORT` as host and port; other values pass to validation as they are."""
    if not isinstance(value, str):
        return value
    host, _, port = value.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError('expected "HOST:PORT", such as "10.0.0.5:5039" or "[2001:db8::5]:5039"')
    return host.strip("[]"), int(port)


class Cti(Section):
    """One connection. The credentials are in a file of mode 0600: `username = "…"` and `secret = "…"`, in TOML."""

    kind: Literal["ami", "ari", "esl"]
    address: Annotated[tuple[str, Annotated[int, Field(ge=1, le=65535)]], BeforeValidator(address)]
    credentials_file: Path
    agents: Patterns = Field(min_length=1)
    """Shell patterns of the extensions it may press and speak for; it is refused for all others."""
    tls: bool | None = None
    """By default on, except on this machine itself."""
    tls_ca: Path | None = None
    """Authorities that the peer's certificate must be of; without it, those of the operating system."""
    tls_name: str | None = None
    """The name in the peer's certificate, where `address` is another."""
    obey: tuple[Topic, ...] = TOPICS
    """`press`: user events; `mute`: pauses of the PBX's own recording; `queue`: who is served from which queue."""
    user_event: str = Field("Greffier", pattern=r"^[A-Za-z0-9_.:-]{1,60}$")
    """Name of the user event (AMI, ARI), and, in small letters, first half of the subclass (`greffier::pause`, ESL)."""
    presses: dict[str, GateVerb] = Field(default_factory=dict, max_length=50)
    """Other user events or subclasses, and what each is a press of."""
    tags: dict[str, str] = Field(default_factory=dict, max_length=50)
    """Channel variables, and the names they have as tags."""
    queue_variable: str | None = None
    consent_variable: str | None = None
    """A channel variable whose value is given, refused or withdrawn."""
    feature_codes: dict[str, GateVerb] = Field(default_factory=dict, max_length=20)
    """Keys that an agent presses, and what they mean (AMI)."""
    application: str = Field("greffier", pattern=r"^[A-Za-z0-9_-]{1,60}$")
    """Name of our Stasis application (ARI)."""
    presses_per_s: float = Field(20, gt=0, le=1000)
    contexts_per_s: float = Field(50, gt=0, le=1000)
    wait: Duration = Field(10, le=60)
    """What is said of a call that is not there yet waits so long for it."""

    @property
    def over_tls(self) -> bool:
        """Whether the connection is encrypted."""
        return not is_here(self.address[0]) if self.tls is None else self.tls

    @model_validator(mode="after")
    def _check(self) -> Self:
        for code in self.feature_codes:
            if not 1 <= len(code) <= 8 or set(code) - set(_KEYS):
                raise ValueError(f'feature_codes: expected keys of a telephone such as "*1", not "{code}"')
        if self.feature_codes and self.kind != "ami":
            raise ValueError('feature_codes: only kind = "ami" tells of keys')
        for name in self.tags.values():
            if not name or any(c in "=," or c.isspace() for c in name):
                raise ValueError(f'tags: a tag has a name without spaces, commas and "=", not "{name}"')
        return self


def is_here(host: str) -> bool:
    """Whether a host is this machine itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
