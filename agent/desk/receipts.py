"""The desk's own key for custody receipts: made here, certified by the scribe, changed in time.

It lies in the desk's folder (mode 0600), its public part beside it; the scribe finds that within seconds and signs for
it. Until then nothing can be acknowledged. A receipt that was given is kept by the courier, so a change of key changes
none.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from agent.vault.receipt import DAY_NS, sign_receipt
from agent.vault.secretfile import make_folder
from agent.vault.signing import SiteKey, load_public

log = structlog.get_logger()

ROTATION_NS = 90 * DAY_NS


class NoReceipts(RuntimeError):
    """No receipt can be given now; nothing must be acknowledged."""


class Receipts:
    """Signs. `key_path` is the desk's, `certificate_path` the scribe's."""

    def __init__(self, key_path: Path, certificate_path: Path, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._key_path, self._certificate_path, self._clock_ns = key_path, certificate_path, clock_ns
        self._key: SiteKey | None = None

    def prepare(self) -> None:
        """Make a key where there is none, or the one there is has grown old or is not whole. Raises OSError."""
        public = self._key_path.with_name(self._key_path.name + ".pub")
        try:
            key = SiteKey.load(self._key_path)
            if load_public(public) == key.public and self._clock_ns() < public.stat().st_mtime_ns + ROTATION_NS:
                self._key = key
                return
        except (FileNotFoundError, ValueError):
            pass
        make_folder(self._key_path.parent)
        self._key_path.unlink(missing_ok=True)
        self._key = SiteKey.create(self._key_path)
        log.info("receipt_key.made", public_key=self._key.public.hex())

    def ready(self) -> None:
        """Raises NoReceipts unless a receipt could be signed now."""
        self._current()

    def sign(self, body: dict[str, object]) -> str:
        """A receipt that says so. Raises NoReceipts."""
        key, certificate = self._current()
        return sign_receipt(body, key, certificate)

    def _current(self) -> tuple[SiteKey, dict[str, Any]]:
        try:
            certificate = json.loads(self._certificate_path.read_bytes())
            if self._key is not None and certificate["body"]["public_key"] == self._key.public.hex():
                return self._key, certificate
        except (OSError, ValueError, KeyError, TypeError):
            pass
        raise NoReceipts("the scribe has not certified the desk's receipt key yet")
