"""Bearer tokens of the desk: stored as SHA-256 only, compared in constant time, scoped to everything or to one agent.

A line of the tokens file: `SHA256-HEX SCOPE [# who]`, scope `admin` or `agent:EXTENSION`.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Scope:
    """What a token may do: everything (`agent` None), or press for one agent's own calls."""

    agent: str | None

    @property
    def actor(self) -> str:
        """Who is written down as having pressed."""
        return f"agent:{self.agent}" if self.agent else "admin:desk"


def parse_tokens(text: str) -> dict[str, Scope]:
    """Digest → scope. Raises ValueError naming the line that is not understood."""
    found: dict[str, Scope] = {}
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.partition("#")[0].split()
        if not line:
            continue
        kind, _, extension = line[-1].partition(":")
        scoped = (kind == "admin" and not extension) or (kind == "agent" and extension)
        if len(line) != 2 or len(line[0]) != 64 or not scoped:
            raise ValueError(f"line {number}: expected SHA256-HEX and `admin` or `agent:EXTENSION`")
        found[line[0].lower()] = Scope(extension or None)
    return found


def scope_of(token: str, tokens: dict[str, Scope]) -> Scope | None:
    """The scope of a presented token, or None. Every stored digest is compared, in constant time each."""
    digest = hashlib.sha256(token.encode()).hexdigest()
    scope = None
    for known, its_scope in tokens.items():
        if hmac.compare_digest(known, digest):
            scope = its_scope
    return scope


def add_token(path: Path, scope: str, note: str = "") -> str:
    """Make a token, append its digest to the file (mode 0600) and return the token itself, shown once."""
    token = secrets.token_urlsafe(32)
    line = f"{hashlib.sha256(token.encode()).hexdigest()} {scope}{f'  # {note}' if note else ''}\n"
    parse_tokens(line)
    path.touch(mode=0o600, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(line)
    return token
