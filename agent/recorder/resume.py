"""What the recorder must remember to go on with a call after it was killed, sealed for its own eyes.

The key lives in the run folder, which is in RAM on a site: it survives the death of the process and not the loss of
power, after which no dialog could be continued anyway. The sealed bytes go into the capture log as RESUME records.
Monotonic clock values are only good within one boot, so the boot is named and compared. What is in them:
`docs/capture-log.md`.
"""

import json
import os
from base64 import b64decode, b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from agent.capture.gate import CallGate
from agent.model.call import Call
from agent.model.purpose import Decision
from agent.model.wire import dump, load
from agent.recorder.basis import Basis
from agent.vault.secretfile import create_secret, read_secret

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_AAD = b"greffier resume 1"
_NONCE_BYTES = 12
VERSION = 1
"""Raised when an older program could not go on with a call rightly from what it finds."""
_DECISIONS: Any = tuple[Decision, ...]


@dataclass(frozen=True, slots=True)
class Resume:
    """State of one live call: the tap's dialog, the gate, the media origin (monotonic ns), what was decided, and on
    what (None: an older program did not say)."""

    call: Call
    origin_ns: int
    dialog: bytes
    gate: bytes
    decisions: tuple[Decision, ...] = ()
    basis: Basis | None = None


class ResumeBox:
    """Seals and opens Resume values under the key file `resume.key` of the run folder, made when absent."""

    def __init__(self, run_dir: Path) -> None:
        path = run_dir / "resume.key"
        self._aead = AESGCM(read_secret(path) if path.exists() else create_secret(path))
        self._boot = _BOOT_ID.read_text(encoding="ascii").strip()

    def seal(self, resume: Resume) -> bytes:
        """Nonce and ciphertext."""
        fields = {
            "version": VERSION,
            "boot": self._boot,
            "call": dump(resume.call).decode(),
            "origin_ns": resume.origin_ns,
            "dialog": b64encode(resume.dialog).decode(),
            "gate": b64encode(resume.gate).decode(),
            "decisions": dump(resume.decisions).decode(),
            "basis": dump(resume.basis).decode() if resume.basis else None,
        }
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, json.dumps(fields).encode(), _AAD)

    def open(self, sealed: bytes) -> Resume | None:
        """The state, or None when it is of another key or another boot: such a call cannot be continued. Nor can one
        whose state is of a newer program: ValueError."""
        try:
            plain = self._aead.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _AAD)
        except InvalidTag:
            return None
        try:
            fields = json.loads(plain)
            return _read(fields) if fields["boot"] == self._boot else None
        except (LookupError, TypeError, ValueError, AttributeError):  # what it says may name somebody: it is not told
            raise ValueError("what is remembered of the call is of another version of this program") from None


def _read(fields: dict[str, Any]) -> Resume:
    if fields.get("version", 1) > VERSION:
        raise ValueError
    resume = Resume(
        load(Call, fields["call"]),
        int(fields["origin_ns"]),
        b64decode(fields["dialog"]),
        b64decode(fields["gate"]),
        load(_DECISIONS, fields.get("decisions", "[]")),
        load(Basis, fields["basis"]) if fields.get("basis") else None,
    )
    CallGate.check(resume.gate)
    return resume
