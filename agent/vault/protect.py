"""How the few secrets that open all others are kept at rest: in the clear, by passphrase, by TPM 2.0, or by systemd.

There are two: the box key, under which the scribe's secrets are sealed (`agent.vault.sealed`), and `lists.key`, which
is the recorder's. In the clear the file is the secret, mode 0600. Otherwise it is a JSON object (docs/keys.md):

    {"format": "greffier-protected-1", "name", "kind": "passphrase", "salt", "iterations", "lanes", "memory_kib",
     "nonce", "sealed"}
    {"format": "greffier-protected-1", "name", "kind": "tpm2", "pcrs", "public", "private"}
    {"format": "greffier-protected-1", "name", "kind": "systemd-creds", "credential"}

with bytes in hexadecimal; `sealed` is AES-256-GCM under Argon2id (RFC 9106) of the passphrase, format and name
authenticated. The last kind has its secret in `NAME.cred` beside it, for LoadCredentialEncrypted= (systemd.exec(5)).
"""

import json
import os
import secrets
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from agent.vault import passphrase, tpm
from agent.vault.secretfile import read_secret, write_private

FORMAT = "greffier-protected-1"
CRED = ".cred"
_KDF = {"iterations": 3, "lanes": 4, "memory_kib": 64 * 1024}
"""The second recommendation of RFC 9106 §4."""
_MOST_MEMORY_KIB = 4 << 20
_NONCE_BYTES = 12
_SECRET_BYTES = 32
_PATIENCE_S = 60


class Kind(StrEnum):
    """How a secret is kept."""

    FILE = "file"
    PASSPHRASE = "passphrase"  # noqa: S105 - a name, no password
    TPM2 = "tpm2"
    SYSTEMD_CREDS = "systemd-creds"


@dataclass(frozen=True, slots=True)
class Keeping:
    """How a secret is to be kept: by which PCRs of the TPM, or which passphrase, where that is the kind."""

    kind: Kind
    pcrs: str = tpm.PCRS
    passphrase: str = field(default="", repr=False)


class Locked(OSError):
    """The secret is there and does not open here: a wrong passphrase, another machine, a credential not given."""


_opened: dict[tuple[str, int, int], bytes] = {}
"""By path and its state: opening takes a passphrase's worth of work, or a TPM, and a process does it once."""


def kind_of(path: Path) -> Kind:
    """How the secret at `path` is kept. Raises OSError, ValueError."""
    document = _document(read_secret(path))
    return Kind.FILE if document is None else Kind(document["kind"])


def read_root(path: Path) -> bytes:
    """The 32 bytes of the secret at `path`. Raises OSError (Locked, NoPassphrase, TpmRefused), ValueError."""
    state = path.stat()
    name = (str(path), state.st_ino, state.st_mtime_ns)
    if (known := _opened.get(name)) is not None:
        return known
    data = read_secret(path)
    document = _document(data)
    if document is None:
        return data
    if document["name"] != path.name:
        raise Locked(f"{path} is that of {document['name']}")
    try:
        secret = _OPEN[Kind(document["kind"])](path, document)
    except (KeyError, TypeError):
        raise ValueError(f"{path} is spoiled: a part of it is missing") from None
    _opened[name] = secret
    return secret


def write_root(path: Path, secret: bytes, how: Keeping) -> None:
    """Keep `secret` at `path` in this way from now on, once that was tried: all or nothing. Raises OSError."""
    if how.kind is Kind.FILE:
        write_private(path, secret)
    else:
        parts = _KEEP[how.kind](path, secret, how)
        if how.kind is Kind.TPM2 and _open_by_tpm(path, parts) != secret:
            raise Locked("the TPM does not give back what it was given")
        document = {"format": FORMAT, "name": path.name, "kind": how.kind.value} | parts
        write_private(path, json.dumps(document, indent=1).encode() + b"\n")
    if how.kind is not Kind.SYSTEMD_CREDS:
        path.with_name(path.name + CRED).unlink(missing_ok=True)


def _document(data: bytes) -> dict[str, Any] | None:
    """The description of a protected secret; None where the bytes are the secret."""
    if len(data) == _SECRET_BYTES or not data.startswith(b"{"):
        return None
    document = json.loads(data)
    if document.get("format") != FORMAT or document.get("kind") not in set(Kind):
        raise ValueError(f"this is not {FORMAT}: a newer version wrote it?")
    found: dict[str, Any] = document
    return found


# ---- by passphrase


def _by_passphrase(path: Path, secret: bytes, how: Keeping) -> dict[str, Any]:
    salt, nonce = secrets.token_bytes(16), secrets.token_bytes(_NONCE_BYTES)
    sealed = AESGCM(_derived(how.passphrase, salt, **_KDF)).encrypt(nonce, secret, _about(path))
    return {"salt": salt.hex(), **_KDF, "nonce": nonce.hex(), "sealed": sealed.hex()}


def _open_by_passphrase(path: Path, document: dict[str, Any]) -> bytes:
    costs = {name: int(document[name]) for name in _KDF}
    if costs["memory_kib"] > _MOST_MEMORY_KIB:
        raise ValueError(f"{path} asks for more memory than any version of Greffier would")
    key = _derived(passphrase.passphrase(), bytes.fromhex(document["salt"]), **costs)
    try:
        sealed = bytes.fromhex(document["sealed"])
        return AESGCM(key).decrypt(bytes.fromhex(document["nonce"]), sealed, _about(path))
    except InvalidTag:
        raise Locked(f"the passphrase does not open {path.name}, or the file was changed") from None


def _derived(text: str, salt: bytes, iterations: int, lanes: int, memory_kib: int) -> bytes:
    kdf = Argon2id(salt=salt, length=32, iterations=iterations, lanes=lanes, memory_cost=memory_kib)
    return kdf.derive(text.encode())


def _about(path: Path) -> bytes:
    return f"{FORMAT} {path.name}".encode()


# ---- by TPM 2.0


def _by_tpm(_path: Path, secret: bytes, how: Keeping) -> dict[str, Any]:
    public, private = tpm.seal(secret, how.pcrs)
    return {"pcrs": how.pcrs, "public": public.hex(), "private": private.hex()}


def _open_by_tpm(_path: Path, document: dict[str, Any]) -> bytes:
    return tpm.unseal(bytes.fromhex(document["public"]), bytes.fromhex(document["private"]), str(document["pcrs"]))


# ---- by systemd, which may have a TPM itself


def _by_systemd(path: Path, secret: bytes, _how: Keeping) -> dict[str, Any]:
    credential = f"greffier-{path.name}"
    sealed = _systemd_creds("encrypt", f"--name={credential}", "-", "-", stdin=secret)
    write_private(path.with_name(path.name + CRED), sealed)
    return {"credential": credential}


def _open_by_systemd(path: Path, document: dict[str, Any]) -> bytes:
    name = str(document["credential"])
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if folder and (given := Path(folder) / Path(name).name).is_file():
        return given.read_bytes()
    if os.geteuid() != 0:
        raise Locked(f"credential {name} was not given: LoadCredentialEncrypted= of the unit (docs/keys.md)")
    return _systemd_creds("decrypt", f"--name={name}", str(path.with_name(path.name + CRED)), "-")


def _systemd_creds(*arguments: str, stdin: bytes = b"") -> bytes:
    try:
        done = subprocess.run(
            ["systemd-creds", *arguments], input=stdin, capture_output=True, check=False, timeout=_PATIENCE_S
        )
    except FileNotFoundError:
        raise Locked("systemd-creds is not here: it comes with systemd 250 and later") from None
    except subprocess.TimeoutExpired:
        raise Locked("systemd-creds did not answer") from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise Locked(f"systemd-creds: {lines[-1]}")
    return done.stdout


_KEEP: dict[Kind, Callable[[Path, bytes, Keeping], dict[str, Any]]] = {
    Kind.PASSPHRASE: _by_passphrase,
    Kind.TPM2: _by_tpm,
    Kind.SYSTEMD_CREDS: _by_systemd,
}
_OPEN: dict[Kind, Callable[[Path, dict[str, Any]], bytes]] = {
    Kind.PASSPHRASE: _open_by_passphrase,
    Kind.TPM2: _open_by_tpm,
    Kind.SYSTEMD_CREDS: _open_by_systemd,
}
