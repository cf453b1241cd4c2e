"""Sealing a small secret to this machine's TPM 2.0 and to how it was started, with the programs of tpm2-tools.

The secret is a sealed object under the owner's storage key (made anew each time from the TPM's own seed, so that
nothing is stored in it), with a policy on PCRs and without any other authorisation: TPM 2.0 Library, part 1, chapter
19. Moved to another machine, or started otherwise than when it was sealed, it does not open.
"""

import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

PCRS = "sha256:7"
"""How the firmware decides what may start (Secure Boot); kernel updates leave it as it is."""
PATIENCE_S = 60
_ATTRIBUTES = "fixedtpm|fixedparent|noda"


class TpmRefused(OSError):
    """There is no TPM, or it does not open what was sealed. The message has the last line of the program that
    failed."""


def seal(secret: bytes, pcrs: str = PCRS) -> tuple[bytes, bytes]:
    """The public and the private part of `secret` (128 bytes at most), sealed. Raises TpmRefused."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        _primary(folder)
        _run(folder, "tpm2_startauthsession", "-S", "session")
        _run(folder, "tpm2_policypcr", "-Q", "-S", "session", "-l", pcrs, "-L", "policy")
        _run(folder, "tpm2_flushcontext", "session")
        parts = ("-u", "public", "-r", "private", "-L", "policy", "-a", _ATTRIBUTES, "-i", "-")
        _run(folder, "tpm2_create", "-Q", "-C", "primary", "-g", "sha256", *parts, stdin=secret)
        _flush(folder)
        return (folder / "public").read_bytes(), (folder / "private").read_bytes()


def unseal(public: bytes, private: bytes, pcrs: str) -> bytes:
    """The secret. Raises TpmRefused."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "public").write_bytes(public)
        (folder / "private").write_bytes(private)
        _primary(folder)
        _run(folder, "tpm2_load", "-Q", "-C", "primary", "-u", "public", "-r", "private", "-c", "object")
        _flush(folder)
        secret = _run(folder, "tpm2_unseal", "-c", "object", "-p", f"pcr:{pcrs}")
        _flush(folder)
        return secret


def _primary(folder: Path) -> None:
    _run(folder, "tpm2_createprimary", "-Q", "-C", "o", "-g", "sha256", "-G", "ecc", "-c", "primary")
    _flush(folder)


def _flush(folder: Path) -> None:
    """A TPM without a resource manager has room for three objects: contexts are files, and need none there."""
    _run(folder, "tpm2_flushcontext", "-t")


def _run(folder: Path, program: str, *arguments: str, stdin: bytes = b"") -> bytes:
    try:
        done = subprocess.run(
            [program, *arguments], cwd=folder, input=stdin, capture_output=True, check=False, timeout=PATIENCE_S
        )
    except FileNotFoundError:
        raise TpmRefused(f"{program} is not here: apt install tpm2-tools") from None
    except subprocess.TimeoutExpired:
        raise TpmRefused(f"the TPM did not answer {program}") from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise TpmRefused(f"{program}: {lines[-1]}")
    return done.stdout
