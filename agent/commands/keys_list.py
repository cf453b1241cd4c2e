"""What `greffier keys list` and `greffier doctor` know of the keys, without opening one."""

import json
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.config import Settings
from agent.config.recipients import Reader, read_readers
from agent.retain.identities import ages_s
from agent.vault import sitekeys
from agent.vault.age import fingerprint
from agent.vault.converting import secret_files
from agent.vault.protect import Kind, kind_of
from agent.vault.sealed import BOX_KEY, is_sealed, kept
from agent.vault.secretfile import read_secret

_HOW = {
    Kind.FILE: "plain files of mode 0600; whoever takes the disk has them",
    Kind.PASSPHRASE: "sealed, opened by a passphrase",
    Kind.TPM2: "sealed, opened by this machine's TPM 2.0",
    Kind.SYSTEMD_CREDS: "sealed, opened by systemd, which gives the key to the unit (systemd-creds)",
}
_PUBLIC = (".pub", ".json")


@dataclass(frozen=True, slots=True)
class Found:
    """All keys. `files`: name, how it is kept, mode; `unsealed`: secrets that should be sealed and are not."""

    readers: dict[str, tuple[Reader, ...]]
    site_keys: tuple[bytes, ...]
    kept: Kind
    how: str
    identity_ages_s: list[int]
    files: list[tuple[str, str, str]]
    unsealed: list[str]

    def as_dict(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "purposes": {
                name: [
                    {
                        "recipient": r.recipient,
                        "fingerprint": fingerprint(r.recipient),
                        "label": r.label,
                        "added": r.added,
                        "revoked": r.revoked,
                    }
                    for r in readers
                ]
                for name, readers in self.readers.items()
            },
            "site": [{"public": key.hex(), "fingerprint": fingerprint(key)} for key in self.site_keys],
            "kept": self.kept.value,
            "working_identities": {"count": len(self.identity_ages_s), "ages_s": self.identity_ages_s},
            "files": [{"name": name, "kept": how, "mode": mode} for name, how, mode in self.files],
            "unsealed": self.unsealed,
        }


def found_in(settings: Settings, now_ns: int) -> Found:
    """Everything there is. Raises OSError, ValueError."""
    keys_dir = settings.site.keys_dir
    how = kept(keys_dir)
    readers = {n: read_readers(s.recipients_file) for n, s in settings.purpose.items() if s.recipients_file is not None}
    ages = ages_s(settings.identities_dir, now_ns) if settings.identities_dir.is_dir() else []
    files = [(str(p.relative_to(keys_dir)), *_state(p)) for p in sorted(keys_dir.rglob("*")) if p.is_file()]
    return Found(readers, sitekeys.trusted(keys_dir), how, said_of(keys_dir), ages, files, unsealed(settings))


def said_of(keys_dir: Path) -> str:
    """How the keys are kept, in words. Raises OSError, ValueError."""
    how = kept(keys_dir)
    if how is Kind.TPM2:
        return f"{_HOW[how]} as it was started (PCRs {json.loads(read_secret(keys_dir / BOX_KEY))['pcrs']})"
    return _HOW[how]


def unsealed(settings: Settings) -> list[str]:
    """Secrets that are plain although the site's are sealed. Raises OSError, ValueError."""
    keys_dir = settings.site.keys_dir
    if kept(keys_dir) is Kind.FILE:
        return []
    paths = secret_files(keys_dir, settings.identities_dir, settings.searchkeys_dir)
    plain = [path.name for path in paths if not is_sealed(path)]
    lists = keys_dir / "lists.key"
    return plain + (["lists.key"] if lists.exists() and kind_of(lists) is Kind.FILE else [])


def _state(path: Path) -> tuple[str, str]:
    mode = stat.filemode(path.stat().st_mode)
    if path.suffix in _PUBLIC:
        return "public", mode
    if path.suffix == ".cred":
        return Kind.SYSTEMD_CREDS.value, mode
    if path.name in (BOX_KEY, "lists.key"):
        how = kind_of(path)
        return "plain" if how is Kind.FILE else how.value, mode
    return "sealed" if is_sealed(path) else "plain", mode
