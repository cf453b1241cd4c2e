"""Who asks: the holder of a token of the directory, or of the tokens file of before there was one.

A line of that file: `SHA256-HEX SCOPE [# who]`, scope `admin` or `agent:EXTENSION`.
"""

import hmac
import sqlite3
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import structlog

from agent.model.identity import Right, Scope, parse_scope
from agent.store.directory import ID_DIGITS, DirectoryReader, LastUse, digest_of

log = structlog.get_logger()


class IdentityUnknown(Exception):
    """Whose a token is cannot be told now: nobody is let in."""


def parse_tokens(text: str) -> dict[str, Scope]:
    """Digest → scope. Raises ValueError naming the line that is not understood."""
    found: dict[str, Scope] = {}
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.partition("#")[0].split()
        if not line:
            continue
        try:
            digest, scope = line
            right, extension = parse_scope(scope)
            if len(bytes.fromhex(digest)) != 32 or right not in (Right.ADMIN, Right.AGENT):
                raise ValueError
        except ValueError:
            raise ValueError(f"line {number}: expected SHA256-HEX and `admin` or `agent:EXTENSION`") from None
        own = frozenset([extension] if extension else [])
        found[digest.lower()] = Scope(right, extension, own, token_id=digest.lower()[:ID_DIGITS])
    return found


class TokenFile:
    """The tokens file, read again when it changed; there may be none. A broken one lets nobody in."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._tokens: dict[str, Scope] = {}

    def find(self, token: str) -> Scope | None:
        """The scope of a token, or None. Every stored digest is compared, in constant time each."""
        if self._path is None:
            return None
        try:
            status = self._path.stat()
            if (status.st_mtime_ns, status.st_size) != self._seen:
                self._tokens = parse_tokens(self._path.read_text(encoding="utf-8"))
                self._seen = (status.st_mtime_ns, status.st_size)
        except FileNotFoundError:
            self._tokens, self._seen = {}, None
        except (OSError, ValueError) as error:
            log.error("desk.tokens", error=str(error))
            self._tokens, self._seen = {}, None
        digest, scope = digest_of(token), None
        for known, its_scope in self._tokens.items():
            if hmac.compare_digest(known, digest):
                scope = its_scope
        return scope


class Tokens:
    """Finds holders, and remembers the day on which each token was last used."""

    def __init__(
        self, reader: DirectoryReader, old: TokenFile, uses: LastUse, clock_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._reader = reader
        self._old = old
        self._uses = uses
        self._clock_ns = clock_ns

    def find(self, token: str) -> Scope | None:
        """The scope of a good token as things stand now. Raises IdentityUnknown when the directory cannot be read."""
        now_ns = self._clock_ns()
        try:
            scope = self._reader.find(token, now_ns)
            if scope is None and not self._reader.knows(token):
                scope = self._old.find(token)
        except (OSError, sqlite3.Error, ValueError) as error:
            log.error("desk.directory", kind=type(error).__name__, error=str(error))
            raise IdentityUnknown from None
        if scope is not None:
            try:
                self._uses.note(scope.token_id, datetime.fromtimestamp(now_ns / 1e9, UTC).strftime("%Y-%m-%d"))
            except (OSError, sqlite3.Error) as error:
                log.warning("desk.last_use", kind=type(error).__name__)
        return scope
