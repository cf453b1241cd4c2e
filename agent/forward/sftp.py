"""A folder of an SSH server as destination (SFTP, draft-ietf-secsh-filexfer-02 with OpenSSH's extensions).

A file grows under a partial name, goes on from where a killed upload left it, is synced and read back whole, and only
then renamed: under its own name it is there checked, or not at all.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import cast

import asyncssh

from agent.config.destinations import SftpSection
from agent.forward.destination import (
    PIECE_BYTES,
    Poison,
    Receipt,
    Retry,
    Terms,
    Throttle,
    Unlimited,
    Unsupported,
    UploadState,
    unchanged,
)
from agent.forward.ssh_access import ABSENT, SshAccess


class SftpDestination:
    """Files under the section's folder and prefix, at the artifact's own path."""

    def __init__(self, name: str, section: SftpSection, throttle: Throttle | None = None) -> None:
        self.name = name
        self._section = section
        self._throttle = throttle or Unlimited()
        self._root = PurePosixPath(section.folder)
        self._access = SshAccess(section)

    def put(self, local: Path, key: str, cipher_sha256: str, size: int, resume: UploadState, terms: Terms) -> Receipt:
        """See Destination.put. A different file of the same name is never replaced; SFTP knows no terms."""
        unchanged(local, cipher_sha256)
        target = self._at(key)

        async def work(sftp: asyncssh.SFTPClient) -> None:
            there = await _digest(sftp, target)
            if there == cipher_sha256:
                return
            if there is not None:
                raise Poison(f"another file has this name at {self.name}; move it away")
            await self._make_folder(sftp, target.parent)
            partial = _partial(target)
            await self._write(sftp, local, size, partial)
            if await _digest(sftp, partial) != cipher_sha256:
                await sftp.remove(str(partial))
                raise Retry("what was read back is not what was written; it was removed there")
            await _rename(sftp, partial, target)

        self._access.do(work)
        return Receipt(f"sftp://{self._section.host}:{self._section.port}/{target}")

    def hold(self, key: str, held: bool) -> None:
        """See Destination.hold."""
        raise Unsupported("SFTP knows no legal hold")

    def destroy(self, key: str) -> None:
        """See Destination.destroy."""
        target = self._at(key)

        async def work(sftp: asyncssh.SFTPClient) -> None:
            await self._look(sftp)
            await _remove(sftp, target)
            await _remove(sftp, _partial(target))

        self._access.do(work)

    def abandon(self, key: str, resume: UploadState) -> None:
        """See Destination.abandon."""
        partial = _partial(self._at(key))

        async def work(sftp: asyncssh.SFTPClient) -> None:
            await self._look(sftp)
            await _remove(sftp, partial)

        self._access.do(work)

    def sweep(self, remembered: Collection[str]) -> None:
        """See Destination.sweep: a partial file has its artifact's name, and is gone on with or abandoned by it."""

    def check(self) -> None:
        """See Destination.check."""
        trial, data = self._at(f".greffier-{secrets.token_hex(4)}"), b"trial"

        async def work(sftp: asyncssh.SFTPClient) -> None:
            await self._make_folder(sftp, trial.parent)
            async with sftp.open(str(_partial(trial)), "wb") as file:
                await file.write(data)
            await _rename(sftp, _partial(trial), trial)
            back = await _digest(sftp, trial)
            await sftp.remove(str(trial))
            if back != hashlib.sha256(data).hexdigest():
                raise Retry("what is written there is not what is read back")

        self._access.do(work)
        self._access.hang_up()

    # ---- steps of an upload

    def _at(self, key: str) -> PurePosixPath:
        return self._root / self._section.prefix / key

    async def _look(self, sftp: asyncssh.SFTPClient) -> None:
        """Our folder must be there: a share that is not mounted has nothing deleted by finding nothing."""
        if not await sftp.isdir(str(self._root)):
            raise Poison(f"there is no folder {self._root} at the server")

    async def _make_folder(self, sftp: asyncssh.SFTPClient, folder: PurePosixPath) -> None:
        await self._look(sftp)
        if not await sftp.isdir(str(folder)):
            await sftp.makedirs(str(folder), exist_ok=True)

    async def _write(self, sftp: asyncssh.SFTPClient, local: Path, size: int, partial: PurePosixPath) -> None:
        """Write what is not there yet of a file. What is there is believed for now: the whole is read back later."""
        try:
            done = (await sftp.stat(str(partial))).size or 0
        except ABSENT:
            done = 0
        if done > size:
            await sftp.remove(str(partial))
            done = 0
        flags = asyncssh.FXF_WRITE | asyncssh.FXF_CREAT
        async with sftp.open(str(partial), flags, encoding=None) as file:
            with local.open("rb") as source:
                source.seek(done)
                while piece := source.read(PIECE_BYTES):
                    await asyncio.to_thread(self._throttle.take, len(piece))  # keepalives are answered meanwhile
                    await file.write(piece, done)
                    done += len(piece)
            with suppress(asyncssh.SFTPOpUnsupported):
                await file.fsync()


def _partial(target: PurePosixPath) -> PurePosixPath:
    """Where a file lies while it is written."""
    return target.with_name(f".{target.name}.partial")


async def _digest(sftp: asyncssh.SFTPClient, path: PurePosixPath) -> str | None:
    """SHA-256 of a file there, read back whole; None when there is none."""
    digest, at = hashlib.sha256(), 0
    try:
        async with sftp.open(str(path), "rb", encoding=None) as file:
            while piece := cast(bytes, await file.read(PIECE_BYTES, at)):
                digest.update(piece)
                at += len(piece)
    except ABSENT:
        return None
    return digest.hexdigest()


async def _rename(sftp: asyncssh.SFTPClient, partial: PurePosixPath, target: PurePosixPath) -> None:
    """Give a file its name, at once."""
    try:
        await sftp.posix_rename(str(partial), str(target))
    except asyncssh.SFTPOpUnsupported:
        await sftp.rename(str(partial), str(target))


async def _remove(sftp: asyncssh.SFTPClient, path: PurePosixPath) -> None:
    with suppress(*ABSENT):
        await sftp.remove(str(path))
