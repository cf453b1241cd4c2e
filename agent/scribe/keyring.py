"""The keys the scribe may open calls with: working identities from its own folder, call keys unwrapped as needed.

Opened keys stay in this process's memory until the call is finalised; secrets are never logged.
"""

from pathlib import Path

import structlog

from agent.capture import keys
from agent.vault.sealed import PLAIN, Box

log = structlog.get_logger()


class Keyring:
    """Call keys by call and epoch. `identities_dir` holds `*.age-identity`; `callkeys_dir` the wrapped call keys."""

    def __init__(self, identities_dir: Path, callkeys_dir: Path, box: Box = PLAIN) -> None:
        self._identities_dir = identities_dir
        self._callkeys_dir = callkeys_dir
        self._box = box
        self._opened: dict[str, dict[int, bytes]] = {}

    def key(self, call_id: str, epoch: int) -> bytes | None:
        """The call key, or None when there is none (destroyed) or no identity here opens it."""
        known = self._opened.get(call_id, {})
        if epoch not in known:
            try:
                known = keys.open_keys(self._callkeys_dir, call_id, self._identities())
            except (ValueError, OSError) as error:
                log.error("callkey.unreadable", call=call_id, error=str(error))
                known = {}
            if known:
                self._opened[call_id] = known
        return known.get(epoch)

    def opens(self, call_id: str) -> bool:
        """Whether any of the call's keys can be opened with the identities here."""
        try:
            return bool(keys.open_keys(self._callkeys_dir, call_id, self._identities()))
        except (ValueError, OSError) as error:
            log.error("callkey.unreadable", call=call_id, error=str(error))
            return False

    def on_disk(self) -> set[str]:
        """The calls that still have a wrapped key."""
        return set(keys.known(self._callkeys_dir))

    def close(self, call_id: str) -> None:
        """Let go of the call's opened keys; those on disk stay."""
        self._opened.pop(call_id, None)

    def destroy(self, call_id: str) -> int:
        """Destroy all keys of the call, here and on disk. Returns how many files there were."""
        self._opened.pop(call_id, None)
        return keys.destroy(self._callkeys_dir, call_id)

    def _identities(self) -> list[str]:
        """The secret lines of all identity files, newest first."""
        secrets: list[str] = []
        for path in sorted(self._identities_dir.glob("*.age-identity"), reverse=True):
            lines = self._box.read(path).decode("ascii").splitlines()
            secrets += [line.strip() for line in lines if line.startswith("AGE-SECRET-KEY-")]
        return secrets
