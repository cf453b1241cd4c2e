"""Who may press what: rights of tokens, agents and their extensions, devices of one agent."""

import re
from dataclasses import dataclass
from enum import StrEnum

EXTENSION = re.compile(r"[0-9A-Za-z+*#._-]{1,40}")
PURPOSE = re.compile(r"[a-z][a-z0-9-]{0,30}")
NAME = re.compile(r"[A-Za-z0-9._-]{1,32}")
"""What a token may be called: it is written into the journal as part of the actor."""


class Right(StrEnum):
    """What a token is for. `SUPERVISOR` sees and may press for every agent; `METRICS` reads /metrics alone; `FEED`
    fetches the artifacts of one purpose, and nothing else."""

    ADMIN = "admin"
    SUPERVISOR = "supervisor"
    AGENT = "agent"
    METRICS = "metrics"
    FEED = "feed"


class Device(StrEnum):
    """What of an agent's holds a token of its own, so that it can be taken back alone."""

    PHONE = "phone"
    HOTKEY = "hotkey"
    CRM = "crm"


@dataclass(frozen=True, slots=True)
class Agent:
    """Someone whose calls are recorded, at one or several extensions."""

    name: str
    extensions: tuple[str, ...]
    supervisor: bool = False


@dataclass(frozen=True, slots=True)
class Token:
    """What is kept of a token; times are UTC ns. `token_id` is the beginning of its digest and opens nothing; `purpose`
    is that of a feed."""

    token_id: str
    right: Right
    extension: str | None
    device: Device | None
    name: str
    created_ns: int
    expires_ns: int | None = None
    revoked_ns: int | None = None
    purpose: str | None = None

    @property
    def scope(self) -> str:
        """As `parse_scope` reads it."""
        of = self.extension or self.purpose
        return f"{self.right}:{of}" if of else self.right.value

    def is_good(self, now_ns: int) -> bool:
        """Neither revoked nor expired."""
        return self.revoked_ns is None and (self.expires_ns is None or now_ns < self.expires_ns)


@dataclass(frozen=True, slots=True)
class Scope:
    """Who asks: a good token, and the extensions that are its agent's own, or the purpose whose feed it reads."""

    right: Right
    extension: str | None = None
    own: frozenset[str] = frozenset()
    device: Device | None = None
    name: str = "desk"
    token_id: str = ""
    purpose: str | None = None

    @property
    def sees_all(self) -> bool:
        """Whether it may see and press for every agent."""
        return self.right in (Right.ADMIN, Right.SUPERVISOR)

    def may_press_for(self, extension: str | None) -> bool:
        """Whether a call of this agent (None: of no agent) is within reach."""
        return self.sees_all or (self.right is Right.AGENT and extension is not None and extension in self.own)

    def actor(self, extension: str | None) -> str:
        """Who is written down for a press on a call of this agent."""
        if self.extension is not None and (extension in self.own or not self.sees_all):
            return f"agent:{self.extension}"
        return f"{self.right.value}:{self.name}"


def parse_scope(text: str) -> tuple[Right, str | None]:
    """Right, and extension or purpose, of `admin`, `supervisor`, `metrics`, `agent:EXTENSION`, `feed:PURPOSE`. Raises
    ValueError."""
    kind, colon, of = text.partition(":")
    if kind == Right.AGENT and EXTENSION.fullmatch(of):
        return Right.AGENT, of
    if kind == Right.FEED and PURPOSE.fullmatch(of):
        return Right.FEED, of
    if colon or kind not in (Right.ADMIN, Right.SUPERVISOR, Right.METRICS):
        raise ValueError("the scope is `admin`, `supervisor`, `metrics`, `agent:EXTENSION` or `feed:PURPOSE`")
    return Right(kind), None
