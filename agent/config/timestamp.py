"""The section `[timestamp]`: the authority that vouches for when manifests and the journal existed (RFC 3161)."""

import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from agent.config.section import Duration, Section

_OID = re.compile(r"[0-2](\.(0|[1-9][0-9]*)){2,}")


def _oid(value: str) -> str:
    if not _OID.fullmatch(value):
        raise ValueError('expected an object identifier such as "1.3.6.1.4.1.13762.3"')
    return value


def _web(value: str) -> str:
    scheme, _, rest = value.partition("://")
    if scheme not in ("http", "https") or not rest or "@" in rest:
        raise ValueError('expected "http://HOST/…" or "https://HOST/…"; user and password go into credentials_file')
    return value


class Timestamp(Section):
    """`[timestamp]`. Only digests are sent there, never anything of a call."""

    url: Annotated[str, AfterValidator(_web)]
    ca: Path
    """Certificates, in PEM, of those whose timestamps are believed."""
    policy: Annotated[str, AfterValidator(_oid)] | None = None
    """Ask for this policy, and believe no other."""
    credentials_file: Path | None = None
    """`username` and `password` for HTTP Basic, mode 0600; over https only."""
    checkpoint_interval: Duration = 900
    """The journal's newest checkpoint is stamped so often; a token over one vouches for all before it. 0: each."""
    timeout_s: float = Field(20.0, gt=0, le=120)
    late_after: Duration = 3600
    """What has waited so long for its timestamp is late, and that is said."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.credentials_file is not None and not self.url.startswith("https://"):
            raise ValueError("credentials_file: a password goes over https:// only")
        return self
