"""Writing an age file into the outbox so that it is there whole or not at all, also after a power cut."""

import errno
import os
from collections.abc import Collection
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class OutboxFull(OSError):
    """The disk of the outbox has no room; nothing was lost, the call is derived again when there is."""


def write(outbox_dir: Path, path: str, data: bytes) -> None:
    """Write `data` to `outbox_dir/path` (mode 0640): temporary name, fsync, rename, fsync of the folder.

    Raises OutboxFull when there is no room, any other OSError as it is; no partial file is left by either.
    """
    target = outbox_dir / path
    partial = target.with_name(f".{target.name}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        partial.rename(target)
        _sync_folder(target.parent)
    except OSError as error:
        partial.unlink(missing_ok=True)
        if error.errno in FULL:
            raise OutboxFull(error.errno, f"no room for {len(data)} bytes", str(outbox_dir)) from None
        raise


def sweep_partial(outbox_dir: Path) -> int:
    """Remove partial files that a killed scribe left. Returns how many."""
    left = list(outbox_dir.glob("*/.*.partial"))
    for path in left:
        path.unlink(missing_ok=True)
    return len(left)


def remove_strays(outbox_dir: Path, call_id: str, known: Collection[str]) -> int:
    """Remove files of a call that no catalog row speaks of (`known` are its rows' paths): nobody would delete them.

    They come from a kill between file and row, when what was to be said changed before the restart.
    """
    strays = [p for p in outbox_dir.glob(f"*/{call_id}.*.age") if p.relative_to(outbox_dir).as_posix() not in known]
    for path in strays:
        path.unlink(missing_ok=True)
    return len(strays)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
