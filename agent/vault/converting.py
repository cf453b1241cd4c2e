"""Keeping the site's secrets in another way, while nobody uses them; a kill anywhere is mended by doing it again.

To be sealed: first the box key is written as it is to be kept, then each secret is sealed under it. To be plain: each
secret first, the box key last. To be kept otherwise: the box key alone is written anew. A box reads sealed and plain
secrets alike, so that each moment between is a whole one. What was plain may still lie in free blocks of the disk:
docs/keys.md.
"""

import secrets
from collections.abc import Iterator
from pathlib import Path

from agent.vault.lists import KEY_FILE
from agent.vault.protect import CRED, Keeping, Kind, read_root, write_root
from agent.vault.sealed import BOX_KEY, PLAIN, Box, is_sealed
from agent.vault.secretfile import as_owner, sync_folder

_KEY_BYTES = 32


def secret_files(keys_dir: Path, identities_dir: Path, searchkeys_dir: Path) -> list[Path]:
    """Every secret of the scribe's that is there; some may be gone when it is looked at."""
    named = [keys_dir / name for name in ("site.pem", "site.next.pem", "numbers.key")]
    found = [path for path in named if path.exists()]
    for folder, pattern in ((identities_dir, "*.age-identity"), (searchkeys_dir, "*/*.age-identity")):
        found += sorted(folder.glob(pattern)) if folder.is_dir() else []
    return found


def keep(keys_dir: Path, secret_paths: list[Path], how: Keeping) -> int:
    """Keep all secrets so. Returns how many files were written. Raises OSError, ValueError; Unsealable."""
    key_path, lists = keys_dir / BOX_KEY, keys_dir / KEY_FILE
    key = read_root(key_path) if key_path.exists() else secrets.token_bytes(_KEY_BYTES)
    lists_key = read_root(lists) if lists.exists() else None
    box = Box(key)
    if how.kind is not Kind.FILE:
        write_root(key_path, key, how)
        written = 1 + sum(_written(paths, box, to=box) for paths in _by_folder(secret_paths))
    else:
        written = sum(_written(paths, box, to=PLAIN) for paths in _by_folder(secret_paths))
        for path in (key_path, key_path.with_name(BOX_KEY + CRED)):
            path.unlink(missing_ok=True)
        sync_folder(keys_dir)
    if lists_key is not None:
        if len(lists_key) != _KEY_BYTES:
            raise ValueError(f"{lists} is not a key of {_KEY_BYTES} bytes")
        write_root(lists, lists_key, how)
        written += 1
    return written


def _written(paths: list[Path], box: Box, to: Box) -> int:
    """Write those of a folder that are not yet as they shall be."""
    count = 0
    with as_owner(paths[0].parent):
        for path in paths:
            if is_sealed(path) is (to is PLAIN):
                to.write(path, box.read(path))
                count += 1
    return count


def _by_folder(paths: list[Path]) -> Iterator[list[Path]]:
    for folder in sorted({path.parent for path in paths}):
        yield [path for path in paths if path.parent == folder]
