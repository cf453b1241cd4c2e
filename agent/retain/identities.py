"""Working identities: the age keys that wrap call keys, rotated on time, destroyed once no call needs them.

`<UTC ns>.age-identity` holds a secret (mode 0600, scribe only); the recipient that the recorder wraps new call keys to
is published in a folder of its own. They are sealed where the site's keys are (`agent.vault.sealed`). A destroyed
identity turns what is left of its calls in old disk blocks into noise (DESIGN §3).
"""

import os
from collections.abc import Callable, Collection
from itertools import pairwise
from pathlib import Path

import structlog

from agent.store.journal import Journal
from agent.vault.age import WrongKey, decrypt, encrypt, new_identity
from agent.vault.sealed import PLAIN, Box
from agent.vault.secretfile import make_folder, sync_folder, write_private

log = structlog.get_logger()

SUFFIX = ".age-identity"
DOOMED = ".destroying"
GRACE_NS = 60 * 1_000_000_000
"""A recorder that read the recipient just before a rotation has written its call key long before this."""


def ensure_current(
    identities_dir: Path, recipient_file: Path, rotation_s: int, now_ns: int, journal: Journal, box: Box = PLAIN
) -> None:
    """Make a new working identity when there is none or the newest is older than `rotation_s`. Raises OSError;
    Unsealable.

    While the clock is behind the newest identity, that one goes on: ages are only ever counted forwards.
    """
    make_folder(identities_dir)
    known = _known(identities_dir)
    newest = max(known, default=None)
    if newest is None or now_ns - newest >= rotation_s * 1_000_000_000:
        newest = now_ns
        made = new_identity()
        text = f"# public key: {made.recipient}\n{made.secret}\n"
        box.write(identities_dir / f"{newest}{SUFFIX}", text.encode("ascii"))
        journal.append("identity.rotated", identity=str(newest), recipient=made.recipient)
        log.info("identity.rotated", identity=newest)
        _publish(recipient_file, made.recipient)
    else:
        recipient = _recipient(known[newest], box)
        before = recipient_file.read_text(encoding="ascii").strip() if recipient_file.exists() else None
        if recipient and before != recipient:
            _publish(recipient_file, recipient)  # a kill came between the two files


def destroy_unused(
    identities_dir: Path,
    callkeys_dir: Path,
    now_ns: int,
    journal: Journal,
    box: Box = PLAIN,
    held: Callable[[], Collection[str]] = tuple,
) -> None:
    """Destroy each identity that was succeeded at least a minute ago and that no call key left needs. Raises OSError.

    Call keys are looked at by age first, and tried with the identity itself before it is destroyed: a clock that
    jumped may keep an identity too long, but never destroys one that is needed. Keys of calls that are `held` (for
    years, maybe; asked where there is an older identity) are wrapped anew to the newest identity, so that the old one
    is destroyed on time for all others.
    """
    for left in identities_dir.glob(f"*{DOOMED}"):
        _destroy(left, journal, box)
    known = _known(identities_dir)
    ages = sorted(known)
    calls = held() if len(ages) > 1 else ()
    for age, successor in pairwise(ages):
        if now_ns < successor + GRACE_NS:
            return
        _move_held(callkeys_dir, known[age], known[ages[-1]], calls, now_ns, box)
        wrapped = _wrapped(callkeys_dir)
        if any(age - GRACE_NS <= _written_ns(key) < successor + GRACE_NS for key in wrapped):
            continue
        if _opens_any(known[age], wrapped, box):
            log.error("identity.kept", identity=age, reason="it opens a call key of another time: the clock jumped")
            continue
        doomed = known[age].with_suffix(DOOMED)
        known[age].rename(doomed)
        _destroy(doomed, journal, box)


def _move_held(callkeys_dir: Path, old: Path, new: Path, held: Collection[str], now_ns: int, box: Box) -> None:
    """Wrap the keys of held calls that `old` opens to `new`; each file is replaced whole or not at all. They are of
    `now_ns` from then on, by the clock that identities are aged by."""
    mine = [path for path in _wrapped(callkeys_dir) if path.name.partition(".")[0] in held]
    recipient = _recipient(new, box) if mine else None
    if recipient is None:
        return
    secret = _secret(old, box)
    for path in mine:
        try:
            key = decrypt(path.read_bytes(), secret)
        except (WrongKey, FileNotFoundError):
            continue
        write_private(path, encrypt(key, [recipient]))
        os.utime(path, ns=(now_ns, now_ns))


def _wrapped(callkeys_dir: Path) -> list[Path]:
    return list(callkeys_dir.glob("[!.]*.age")) if callkeys_dir.is_dir() else []


def _destroy(doomed: Path, journal: Journal, box: Box) -> None:
    journal.append("identity.destroyed", identity=doomed.stem, recipient=_recipient(doomed, box))
    doomed.unlink()
    sync_folder(doomed.parent)
    log.info("identity.destroyed", identity=doomed.stem)


def ages_s(identities_dir: Path, now_ns: int) -> list[int]:
    """How old the working identities are, youngest first."""
    return sorted((now_ns - made) // 1_000_000_000 for made in _known(identities_dir))


def check(identities_dir: Path, box: Box) -> None:
    """Read every identity once. Raises OSError; Unsealable: then this must not go on."""
    for path in _known(identities_dir).values():
        try:
            box.read(path)
        except ValueError as error:  # spoiled, and what it opened is lost; the others are good
            log.error("identity.spoiled", error=str(error))


def _known(identities_dir: Path) -> dict[int, Path]:
    return {int(p.stem): p for p in identities_dir.glob(f"*{SUFFIX}") if p.stem.isdigit()}


def _publish(recipient_file: Path, recipient: str) -> None:
    """For the recorder, which is of the same group and sees nothing else of this."""
    make_folder(recipient_file.parent)
    partial = recipient_file.with_name(".current.partial")
    write_private(partial, f"{recipient}\n".encode("ascii"))
    partial.chmod(0o640)
    partial.rename(recipient_file)
    sync_folder(recipient_file.parent)


def _recipient(path: Path, box: Box) -> str | None:
    prefix = "# public key: "
    try:
        lines = box.read(path).decode("ascii").splitlines()
    except ValueError:
        return None  # a spoiled file
    return next((line.removeprefix(prefix) for line in lines if line.startswith(prefix)), None)


def _written_ns(key: Path) -> int:
    try:
        return key.stat().st_mtime_ns
    except FileNotFoundError:
        return 1 << 62  # its call was just finalised


def _opens_any(identity: Path, wrapped: list[Path], box: Box) -> bool:
    secret = _secret(identity, box)
    for key in wrapped:
        try:
            decrypt(key.read_bytes(), secret)
        except (WrongKey, FileNotFoundError):
            continue
        return True
    return False


def _secret(identity: Path, box: Box) -> str:
    lines = box.read(identity).decode("ascii").splitlines()
    return next(line for line in lines if line.startswith("AGE-SECRET-KEY-"))
