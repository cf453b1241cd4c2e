"""Working identities: the age keys that wrap call keys, rotated on time, destroyed once no call needs them.

`<UTC ns>.age-identity` holds a secret (mode 0600, scribe only); the recipient that the recorder wraps new call keys to
is published in a folder of its own. A destroyed identity turns what is left of its calls in old disk blocks into noise
(DESIGN §3).
"""

import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import structlog

from agent.store.journal import Journal
from agent.vault.age import WrongKey, decrypt, encrypt, new_identity
from agent.vault.secretfile import sync_folder, write_private

log = structlog.get_logger()

SUFFIX = ".age-identity"
DOOMED = ".destroying"
GRACE_NS = 60 * 1_000_000_000
"""A recorder that read the recipient just before a rotation has written its call key long before this."""


def ensure_current(identities_dir: Path, recipient_file: Path, rotation_s: int, now_ns: int, journal: Journal) -> None:
    """Make a new working identity when there is none or the newest is older than `rotation_s`. Raises OSError.

    While the clock is behind the newest identity, that one goes on: ages are only ever counted forwards.
    """
    identities_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
    known = _known(identities_dir)
    newest = max(known, default=None)
    if newest is None or now_ns - newest >= rotation_s * 1_000_000_000:
        newest = now_ns
        made = new_identity()
        text = f"# public key: {made.recipient}\n{made.secret}\n"
        write_private(identities_dir / f"{newest}{SUFFIX}", text.encode("ascii"))
        journal.append("identity.rotated", identity=str(newest), recipient=made.recipient)
        log.info("identity.rotated", identity=newest)
        _publish(recipient_file, made.recipient)
    else:
        recipient = _recipient(known[newest])
        before = recipient_file.read_text(encoding="ascii").strip() if recipient_file.exists() else None
        if recipient and before != recipient:
            _publish(recipient_file, recipient)  # a kill came between the two files


def destroy_unused(
    identities_dir: Path,
    callkeys_dir: Path,
    now_ns: int,
    journal: Journal,
    held: Callable[[str], bool] = lambda _: False,
) -> None:
    """Destroy each identity that was succeeded at least a minute ago and that no call key left needs. Raises OSError.

    Call keys are looked at by age first, and tried with the identity itself before it is destroyed: a clock that
    jumped may keep an identity too long, but never destroys one that is needed. Keys of calls that are `held` (for
    years, maybe) are wrapped anew to the newest identity, so that the old one is destroyed on time for all others.
    """
    for left in identities_dir.glob(f"*{DOOMED}"):
        _destroy(left, journal)
    known = _known(identities_dir)
    ages = sorted(known)
    for age, successor in pairwise(ages):
        if now_ns < successor + GRACE_NS:
            return
        _move_held(callkeys_dir, known[age], known[ages[-1]], held, now_ns)
        wrapped = _wrapped(callkeys_dir)
        if any(age - GRACE_NS <= _written_ns(key) < successor + GRACE_NS for key in wrapped):
            continue
        if _opens_any(known[age], wrapped):
            log.error("identity.kept", identity=age, reason="it opens a call key of another time: the clock jumped")
            continue
        doomed = known[age].with_suffix(DOOMED)
        known[age].rename(doomed)
        _destroy(doomed, journal)


def _move_held(callkeys_dir: Path, old: Path, new: Path, held: Callable[[str], bool], now_ns: int) -> None:
    """Wrap the keys of held calls that `old` opens to `new`; each file is replaced whole or not at all. They are of
    `now_ns` from then on, by the clock that identities are aged by."""
    mine: dict[str, bool] = {}
    for path in _wrapped(callkeys_dir):
        call_id = path.name.partition(".")[0]
        if not mine.setdefault(call_id, held(call_id)):
            continue
        recipient = _recipient(new)
        try:
            key = decrypt(path.read_bytes(), _secret(old))
        except (WrongKey, FileNotFoundError):
            continue
        if recipient is not None:
            write_private(path, encrypt(key, [recipient]))
            os.utime(path, ns=(now_ns, now_ns))


def _wrapped(callkeys_dir: Path) -> list[Path]:
    return list(callkeys_dir.glob("[!.]*.age")) if callkeys_dir.is_dir() else []


def _destroy(doomed: Path, journal: Journal) -> None:
    journal.append("identity.destroyed", identity=doomed.stem, recipient=_recipient(doomed))
    doomed.unlink()
    sync_folder(doomed.parent)
    log.info("identity.destroyed", identity=doomed.stem)


def _known(identities_dir: Path) -> dict[int, Path]:
    return {int(p.stem): p for p in identities_dir.glob(f"*{SUFFIX}") if p.stem.isdigit()}


def _publish(recipient_file: Path, recipient: str) -> None:
    """For the recorder, which is of the same group and sees nothing else of this."""
    recipient_file.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    partial = recipient_file.with_name(".current.partial")
    write_private(partial, f"{recipient}\n".encode("ascii"))
    partial.chmod(0o640)
    partial.rename(recipient_file)
    sync_folder(recipient_file.parent)


def _recipient(path: Path) -> str | None:
    prefix = "# public key: "
    lines = path.read_text(encoding="ascii").splitlines()
    return next((line.removeprefix(prefix) for line in lines if line.startswith(prefix)), None)


def _written_ns(key: Path) -> int:
    try:
        return key.stat().st_mtime_ns
    except FileNotFoundError:
        return 1 << 62  # its call was just finalised


def _opens_any(identity: Path, wrapped: list[Path]) -> bool:
    secret = _secret(identity)
    for key in wrapped:
        try:
            decrypt(key.read_bytes(), secret)
        except (WrongKey, FileNotFoundError):
            continue
        return True
    return False


def _secret(identity: Path) -> str:
    lines = identity.read_text(encoding="ascii").splitlines()
    return next(line for line in lines if line.startswith("AGE-SECRET-KEY-"))
