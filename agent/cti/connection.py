"""One connection to a telephone system, kept up: TLS, log-in, signs of life, and another try when it is gone."""

import asyncio
import random
import ssl
import tomllib
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from agent.config.cti import Cti
from agent.cti.dialogue import Credentials, Dialogue
from agent.cti.inbox import PeerError
from agent.model.cti import Said
from agent.vault.secretfile import read_secret

PIECE_BYTES = 64 << 10
LOGIN_S, PING_S, MOST_QUIET = 15.0, 20.0, 3
FIRST_S, LONGEST_S = 1.0, 60.0

Told = Callable[[Said], Awaitable[None]]
Speak = Callable[[Credentials], Dialogue]

log = structlog.get_logger()


class Connection:
    """`[cti.NAME]` while the desk runs. `told` is awaited for each thing said, in order; the next waits for it."""

    def __init__(self, name: str, section: Cti, speak: Speak, told: Told, dice: random.Random) -> None:
        self.name, self.section = name, section
        self._speak, self._told, self._dice = speak, told, dice
        self.up = False
        self.connects = 0
        """How often it was logged in."""

    async def run(self) -> None:
        """Until cancelled."""
        failures = 0
        while True:
            try:
                await self._once()
            except (OSError, PeerError, TimeoutError) as error:
                failures = 0 if self.up else failures + 1
                wait_s = min(LONGEST_S, FIRST_S * 2 ** min(failures, 10)) * self._dice.uniform(0.5, 1.0)
                log.warning("cti.down", cti=self.name, why=_why(error), again_in_s=round(wait_s, 1))
            finally:
                self.up = False
            await asyncio.sleep(wait_s)

    async def _once(self) -> None:
        credentials = read_credentials(self.section.credentials_file)
        host, port = self.section.address
        tls = tls_context(self.section.tls_ca) if self.section.over_tls else None
        name = (self.section.tls_name or host) if tls else None
        async with asyncio.timeout(LOGIN_S):
            reader, writer = await asyncio.open_connection(host, port, ssl=tls, server_hostname=name)
        try:
            await self._listen(self._speak(credentials), reader, writer)
        finally:
            writer.close()

    async def _listen(self, dialogue: Dialogue, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        now = asyncio.get_running_loop().time
        since_s, quiet = now(), 0
        await _send(writer, dialogue.hello())
        while True:
            try:
                async with asyncio.timeout(PING_S if dialogue.ready else LOGIN_S):
                    data = await reader.read(PIECE_BYTES)
            except TimeoutError:
                quiet += 1
                if quiet >= MOST_QUIET or not dialogue.ready:
                    raise PeerError("nothing comes any more") from None
                await _send(writer, dialogue.ping())
                continue
            if not data:
                raise PeerError("closed by the telephone system")
            quiet = 0
            for item in dialogue.feed(data, now()):
                if isinstance(item, bytes):
                    await _send(writer, item)
                else:
                    await self._told(item)
            if dialogue.ready and not self.up:
                self.up = True
                self.connects += 1
                log.info("cti.up", cti=self.name, kind=self.section.kind)
            if not dialogue.ready and now() - since_s > LOGIN_S:
                raise PeerError("the log-in takes too long")


async def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
    if data:
        writer.write(data)
        async with asyncio.timeout(LOGIN_S):
            await writer.drain()


def _why(error: Exception) -> str:
    if isinstance(error, PeerError | ssl.SSLCertVerificationError | PermissionError | FileNotFoundError):
        return str(error)
    return type(error).__name__


def tls_context(authorities: Path | None) -> ssl.SSLContext:
    """Certificates are verified, with the name. Raises OSError when the file cannot be used."""
    return ssl.create_default_context(cafile=authorities)


def read_credentials(path: Path) -> Credentials:
    """`username` (may be missing) and `secret` of a TOML file that others cannot read. Raises OSError, PeerError."""
    try:
        found = tomllib.loads(read_secret(path).decode("utf-8"))
    except ValueError:
        raise PeerError(f'{path}: expected username = "…" and secret = "…"') from None
    username, secret = found.get("username", ""), found.get("secret", "")
    for text in (username, secret):
        if not isinstance(text, str) or not text.isprintable() or len(text) > 256:
            raise PeerError(f"{path}: username and secret are printable text of at most 256 characters")
    if not secret:
        raise PeerError(f"{path}: secret is missing")
    return Credentials(username, secret)
