"""The sections `[destination.NAME]`: where artifacts go, a kind of place each (docs/destinations.md).

Secrets are in files of their own, never here.
"""

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from agent.config.bandwidth import Paced
from agent.config.desk import LOOPBACK
from agent.config.section import Section

Verify = Literal["read", "checksum"]
"""How it is known that what was sent is there: all of it is read back, or the server's own digest is believed."""


class DestinationSection(Paced):
    """What all kinds have."""

    prefix: str = ""
    expires: Literal["us", "lifecycle", "them"] = "us"
    """Who deletes there at the central deadline: the courier, the bucket's own lifecycle rules, or whoever receives."""

    @property
    def deleted_by_us(self) -> bool:
        """Whether the courier deletes there what is past its central deadline, or was called back."""
        return self.expires == "us"

    @model_validator(mode="after")
    def _has_rules(self) -> Self:
        if self.expires == "lifecycle" and not (isinstance(self, S3Section) and self.tags):
            raise ValueError('expires = "lifecycle" is for s3 with tags, which its rules go by; "us" or "them"?')
        return self


class FolderSection(DestinationSection):
    """A disk or a mounted share."""

    kind: Literal["folder"]
    path: Path


class S3Section(DestinationSection):
    """A bucket of S3-compatible storage."""

    kind: Literal["s3"]
    bucket: str = Field(min_length=1)
    credentials_file: Path
    endpoint_url: str | None = None
    region: str = "us-east-1"
    addressing: Literal["path", "virtual"] = "path"
    """Where the bucket's name stands: in the path of the address, or before the host's name."""
    verify_tls: bool = True
    ca_file: Path | None = None
    """Authorities of the server's certificate, where the system's do not do."""
    object_lock: Literal["none", "governance", "compliance"] = "none"
    sse: Literal["none", "AES256", "aws:kms"] = "none"
    sse_key_id: str | None = None
    storage_class: str | None = None
    tags: bool = True
    """Objects are tagged with their purpose and central deadline."""
    verify: Verify = "read"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.sse_key_id is not None and self.sse != "aws:kms":
            raise ValueError('sse_key_id is only for sse = "aws:kms"')
        if self.ca_file is not None and not self.verify_tls:
            raise ValueError("ca_file says whose certificates are good, and verify_tls = false that all are")
        return self


class SftpSection(DestinationSection):
    """A folder of an SSH server, reached with a key of its own; only the host key on file is believed."""

    kind: Literal["sftp"]
    host: str = Field(min_length=1)
    port: int = Field(22, ge=1, le=65535)
    user: str = Field(min_length=1)
    known_hosts_file: Path
    key_file: Path | None = None
    agent_socket: Path | None = None
    """Of an ssh-agent that holds the key."""
    folder: str = "."
    """At the server; from the user's home when it does not begin with a slash."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.key_file is None) == (self.agent_socket is None):
            raise ValueError("an sftp destination needs key_file, or agent_socket of an ssh-agent, and not both")
        return self


class PutSection(DestinationSection):
    """A web server that takes files by PUT."""

    kind: Literal["put"]
    url: str
    token_file: Path | None = None
    """Holds the bearer token."""
    client_certificate: Path | None = None
    client_key: Path | None = None
    ca_file: Path | None = None
    verify: Verify = "read"

    @field_validator("url")
    @classmethod
    def _https(cls, url: str) -> str:
        parts = urlsplit(url)
        if not parts.hostname or parts.query or parts.fragment or parts.username:
            raise ValueError('expected an address such as "https://archive.example.net/recordings/"')
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
            raise ValueError("expected https:// (http:// only on this machine)")
        return url.rstrip("/") + "/"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.client_certificate is None) != (self.client_key is None):
            raise ValueError("client_certificate and client_key go together")
        return self


class PullSection(Section):
    """Nothing is sent: artifacts wait until a central system has fetched them from the feed (docs/feed.md)."""

    kind: Literal["pull"]

    @property
    def deleted_by_us(self) -> bool:
        """Whoever fetched it deletes it."""
        return False


SentSection = FolderSection | S3Section | SftpSection | PutSection
"""What the courier sends to by itself."""
AnyDestination = Annotated[SentSection | PullSection, Field(discriminator="kind")]

KINDS: dict[str, type[Section]] = {
    "folder": FolderSection,
    "s3": S3Section,
    "sftp": SftpSection,
    "put": PutSection,
    "pull": PullSection,
}
