"""The sections `[courier]` and `[destination.NAME]`: where artifacts go, and how fast."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from agent.config.section import Section


class Courier(Section):
    """Delivery pace."""

    poll_s: float = Field(1.0, gt=0, le=60)
    retry_first_s: float = Field(2.0, gt=0)
    retry_max_s: float = Field(900.0, gt=0)
    part_mib: int = Field(8, ge=5, le=512)


class Destination(Section):
    """Where artifacts go: a folder, a bucket of S3-compatible storage (credentials in a file, never here), or who
    fetches them from the feed."""

    kind: Literal["folder", "s3", "pull"]
    path: Path | None = None
    endpoint_url: str | None = None
    bucket: str | None = None
    prefix: str = ""
    region: str = "us-east-1"
    credentials_file: Path | None = None
    verify_tls: bool = True

    @property
    def is_pulled(self) -> bool:
        """Whether nothing is sent there: central systems fetch (docs/feed.md)."""
        return self.kind == "pull"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.kind == "folder" and self.path is None:
            raise ValueError('a folder destination needs path = "/some/folder"')
        if self.kind == "s3" and (self.bucket is None or self.credentials_file is None):
            raise ValueError('an s3 destination needs bucket = "NAME" and credentials_file = "FILE"')
        return self
