"""The sections `[destination.NAME]`: where artifacts go, a kind of place each (docs/destinations.md).

Secrets are in files of their own, never here.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from agent.config.section import Section

Verify = Literal["read", "checksum"]
"""How it is known that what was sent is there: all of it is read back, or the server's own SHA-256 is believed."""


class FolderSection(Section):
    """A disk or a mounted share."""

    kind: Literal["folder"]
    path: Path
    prefix: str = ""


class S3Section(Section):
    """A bucket of S3-compatible storage."""

    kind: Literal["s3"]
    bucket: str = Field(min_length=1)
    credentials_file: Path
    endpoint_url: str | None = None
    prefix: str = ""
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


AnyDestination = Annotated[FolderSection | S3Section, Field(discriminator="kind")]

KINDS: dict[str, type[Section]] = {"folder": FolderSection, "s3": S3Section}
