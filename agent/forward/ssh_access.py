"""The way into an SSH server: a session that is kept for a while, and the server's errors in our words.

Who the server is, is known from the host key on file and from nothing else.
"""

import asyncio
import atexit
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import asyncssh

from agent.config.destinations import SftpSection
from agent.forward.destination import Poison, Retry
from agent.vault.secretfile import read_secret

CONNECT_S, LOGIN_S, KEEPALIVE_S, IDLE_S, GOODBYE_S = 10, 30, 15, 5, 2
ABSENT = (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath)
_FULL = (asyncssh.SFTPNoSpaceOnFilesystem, asyncssh.SFTPQuotaExceeded)
_FORBIDDEN = (asyncssh.SFTPPermissionDenied, asyncssh.SFTPWriteProtect)
_STRANGE = (asyncssh.KeyExchangeFailed, asyncssh.IllegalUserName, asyncssh.ProtocolNotSupported)

Result = TypeVar("Result")
Work = Callable[[asyncssh.SFTPClient], Awaitable[Result]]


class SshAccess:
    """The server of a section, for one thread at a time."""

    def __init__(self, section: SftpSection) -> None:
        self._section = section
        self._session = _Session()
        self._used = 0.0
        atexit.register(self._session.end)

    def do(self, work: Work[Result]) -> Result:
        """Do it in a session: that of just before, or a new one; one that failed is not used again. Raises Retry or
        Poison."""
        if time.monotonic() - self._used > IDLE_S:  # the other side may have hung up, and nobody listened
            self.hang_up()
        try:
            with self._words():
                done = self._session.loop.run_until_complete(self._in_session(work))
        except BaseException:
            self.hang_up()
            raise
        self._used = time.monotonic()
        return done

    def hang_up(self) -> None:
        """End the session, if there is one."""
        self._session.hang_up()

    async def _in_session(self, work: Work[Result]) -> Result:
        if self._session.sftp is None:
            self._session.connection = await self._connect()
            self._session.sftp = await self._session.connection.start_sftp_client()
        return await work(self._session.sftp)

    async def _connect(self) -> asyncssh.SSHClientConnection:
        section = self._section
        keys: list[asyncssh.SSHKey] = []
        try:
            known = asyncssh.import_known_hosts(section.known_hosts_file.read_text(encoding="utf-8"))
            if section.key_file is not None:
                keys.append(asyncssh.import_private_key(read_secret(section.key_file)))
        except OSError as error:
            raise Poison(f"{error.filename or section.key_file}: {error.strerror or error}") from None
        except (ValueError, asyncssh.KeyImportError):
            raise Poison("key_file holds no private key without a passphrase, or known_hosts_file is none") from None
        return await asyncssh.connect(
            section.host,
            section.port,
            username=section.user,
            known_hosts=known,
            client_keys=keys,
            agent_path=str(section.agent_socket) if section.agent_socket is not None else None,
            config=None,
            preferred_auth="publickey",
            gss_host=None,
            connect_timeout=CONNECT_S,
            login_timeout=LOGIN_S,
            keepalive_interval=KEEPALIVE_S,
        )

    @contextmanager
    def _words(self) -> Iterator[None]:
        """Turn the library's errors into Retry and Poison."""
        section = self._section
        try:
            yield
        except asyncssh.HostKeyNotVerifiable:
            raise Poison(
                f"{section.host} does not show a host key of {section.known_hosts_file}. "
                f"`ssh-keyscan -p {section.port} {section.host}` prints what it shows: ask those who run the server "
                "whether its fingerprint is right (`ssh-keygen -lf FILE`), then put the line there"
            ) from None
        except asyncssh.PermissionDenied:
            raise Poison(f"the server does not let {section.user} in with this key") from None
        except _STRANGE as error:
            raise Poison(f"the server and we have no way of talking in common ({type(error).__name__})") from None
        except _FORBIDDEN:
            raise Poison(f"the server does not permit it: check the rights of {section.user} on its folder") from None
        except _FULL:
            raise Retry("the disk there is full, or the quota") from None
        except asyncssh.SFTPFailure:
            raise Retry("the server could not do it; it says no more when its disk or quota is full") from None
        except asyncssh.Error as error:
            raise Retry(f"the server broke off or refused ({type(error).__name__})") from None
        except OSError as error:
            raise Retry(f"the server cannot be reached: {error.strerror or type(error).__name__}") from None


class _Session:
    """A connection and the loop it lives in, which runs only while something is done."""

    def __init__(self) -> None:
        self.connection: asyncssh.SSHClientConnection | None = None
        self.sftp: asyncssh.SFTPClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """Made when it is first needed."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        return self._loop

    def hang_up(self) -> None:
        """At once, whatever was going on."""
        connection, self.connection, self.sftp = self.connection, None, None
        if connection is not None:
            connection.abort()
            self.loop.run_until_complete(
                asyncio.wait((self.loop.create_task(connection.wait_closed()),), timeout=GOODBYE_S)
            )

    def end(self) -> None:
        """For good. A thread that is still at it, as the program ends, is left alone."""
        if self._loop is not None and not self._loop.is_running():
            self.hang_up()
            self._loop.close()
