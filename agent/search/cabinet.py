"""Where shards and their keys lie: one age file and one identity a shard, both made once and never changed.

`put` writes the key before the shard and `destroy` removes the key before it, so that there is never a shard that could
still be opened and is not accounted for.
"""

import secrets
from collections.abc import Collection
from pathlib import Path

from agent.vault import age
from agent.vault.sealed import PLAIN, Box
from agent.vault.secretfile import sync_folder, write_private

SHARD, KEY = ".age", ".age-identity"


class Cabinet:
    """Shards are named `PURPOSE/ID`, ids drawn at random; their keys are sealed where the site's are. Everything raises
    OSError, and Unsealable."""

    def __init__(self, folder: Path, keys_folder: Path, box: Box = PLAIN) -> None:
        self._folder = folder
        self._keys_folder = keys_folder
        self._box = box

    def put(self, purpose: str, image: bytes) -> str:
        """Encrypt an image under a new key; both are durable when this returns. Returns the shard's name."""
        name = f"{purpose}/{secrets.token_hex(8)}"
        made = age.new_identity()
        for path in (self._key(name), self._shard(name)):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._box.write(self._key(name), f"# public key: {made.recipient}\n{made.secret}\n".encode())
        write_private(self._shard(name), age.encrypt(image, [made.recipient]))
        return name

    def get(self, name: str) -> bytes:
        """The image. Raises LookupError when shard or key are gone, or do not fit each other."""
        try:
            key, shard = self._box.read(self._key(name)), self._shard(name).read_bytes()
        except (FileNotFoundError, ValueError):
            raise LookupError(f"shard {name} or its key is gone") from None
        secret = next((x for x in key.decode("ascii", "replace").splitlines() if x.startswith("AGE-SECRET-KEY-")), "")
        try:
            return age.decrypt(shard, secret)
        except age.WrongKey:
            raise LookupError(f"shard {name} cannot be opened with its key") from None

    def has(self, name: str) -> bool:
        """Whether shard and key are there."""
        return self._key(name).is_file() and self._shard(name).is_file()

    def destroy(self, name: str) -> None:
        """The key first; then the shard, which is noise by then."""
        for path in (self._key(name), self._shard(name)):
            path.unlink(missing_ok=True)
            if path.parent.is_dir():
                sync_folder(path.parent)

    def destroy_all_but(self, names: Collection[str]) -> int:
        """Destroy what a kill left behind: shards nobody knows, keys without one, halves of files. Returns how many."""
        gone = 0
        for folder, ending in ((self._keys_folder, KEY), (self._folder, SHARD)):
            for path in folder.glob("*/*") if folder.is_dir() else ():
                name = f"{path.parent.name}/{path.name.removesuffix(ending)}"
                if not path.name.endswith(ending) or name not in names:
                    path.unlink(missing_ok=True)
                    sync_folder(path.parent)
                    gone += 1
        return gone

    def _key(self, name: str) -> Path:
        return self._keys_folder / f"{name}{KEY}"

    def _shard(self, name: str) -> Path:
        return self._folder / f"{name}{SHARD}"
