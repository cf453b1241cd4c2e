"""Secrets at rest: sealed under the box key, itself by passphrase or systemd; none passes for another; crash-safe."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.vault import converting, passphrase, protect, sealed
from agent.vault.converting import keep, secret_files
from agent.vault.lists import Hasher
from agent.vault.passphrase import NoPassphrase
from agent.vault.protect import Keeping, Kind, Locked, read_root, write_root
from agent.vault.sealed import MAGIC, Box, Unsealable, in_use, is_sealed, kept, read_sealed
from agent.vault.secretfile import create_secret, read_secret, write_private
from agent.vault.signing import SiteKey

WORDS = "six words by dice, say"


def give(*lines: str) -> None:
    """What a process finds at --passphrase-fd."""
    reading, writing = os.pipe()
    os.write(writing, "\n".join(lines).encode())
    os.close(writing)
    passphrase.take_from(reading)
    protect._opened.clear()


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process that opened nothing yet, and is cheap to derive keys for."""
    monkeypatch.setitem(protect._KDF, "memory_kib", 64)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    passphrase.take_from(None)
    protect._opened.clear()
    yield
    passphrase.take_from(None)


class Keys:
    """Folders of a site's keys, and what they said when they were plain."""

    def __init__(self, root: Path) -> None:
        self.dir, self.identities, self.search = root / "keys", root / "identities", root / "searchkeys"
        for folder in (self.dir, self.identities, self.search / "analytics"):
            folder.mkdir(parents=True)
        self.public = SiteKey.create(self.dir / "site.pem").public
        for name in ("numbers.key", "lists.key", "percent.key"):
            create_secret(self.dir / name)
        for path in (self.identities / "17.age-identity", self.search / "analytics" / "a1.age-identity"):
            write_private(path, b"# public key: age1x\nAGE-SECRET-KEY-1X\n")
        self.said = {path: path.read_bytes() for path in [*self.paths(), self.dir / "lists.key"]}

    def paths(self) -> list[Path]:
        return secret_files(self.dir, self.identities, self.search)

    def keep(self, kind: Kind, words: str = WORDS) -> int:
        return keep(self.dir, self.paths(), Keeping(kind, passphrase=words))

    def as_said(self) -> bool:
        """Whether everything still opens to what it was."""
        box = Box.of(self.dir)
        opened = {path: box.read(path) for path in self.paths()}
        opened[self.dir / "lists.key"] = read_root(self.dir / "lists.key")
        return opened == self.said

    def plain(self) -> list[str]:
        """Secrets whose bytes lie in a file."""
        return sorted(path.name for path, secret in self.said.items() if secret in path.read_bytes())


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path)


def test_without_a_box_key_files_are_as_they_were(keys: Keys) -> None:
    assert kept(keys.dir) is Kind.FILE and keys.as_said() and len(keys.plain()) == 5


def test_a_passphrase_opens_what_it_seals_and_another_does_not(keys: Keys) -> None:
    assert keys.keep(Kind.PASSPHRASE) == 6 and keys.plain() == []
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in keys.said)
    give(WORDS)
    assert kept(keys.dir) is Kind.PASSPHRASE and keys.as_said()
    assert SiteKey.load(keys.dir / "site.pem", Box.of(keys.dir)).public == keys.public
    assert read_sealed(keys.dir, "numbers.key") == keys.said[keys.dir / "numbers.key"]
    assert Hasher.load(keys.dir, "33").key == keys.said[keys.dir / "lists.key"]
    give("five words")
    with pytest.raises(Locked, match="passphrase does not open"):
        Box.of(keys.dir)
    passphrase.take_from(None)
    with pytest.raises(NoPassphrase, match="passphrase-fd"):
        Box.of(keys.dir)


def test_a_credential_of_systemd_is_the_passphrase(keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys.keep(Kind.PASSPHRASE)
    (tmp_path / "greffier-passphrase").write_text(WORDS + "\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert keys.as_said()


def test_nothing_of_a_passphrase_or_key_is_in_a_message(keys: Keys) -> None:
    keys.keep(Kind.PASSPHRASE)
    give("wrong words")
    with pytest.raises(Locked) as caught:
        read_root(keys.dir / "box.key")
    assert "words" not in str(caught.value) and WORDS not in repr(Keeping(Kind.PASSPHRASE, passphrase=WORDS))


def test_the_way_is_changed_and_changed_back(keys: Keys) -> None:
    keys.keep(Kind.PASSPHRASE)
    before = (keys.dir / "site.pem").read_bytes()
    give(WORDS, "other words")
    assert keys.keep(Kind.PASSPHRASE, "other words") == 2, "the box key and that of lists, nothing else"
    assert (keys.dir / "site.pem").read_bytes() == before
    give("other words")
    assert keys.as_said()
    keys.keep(Kind.FILE)
    passphrase.take_from(None)
    assert keys.as_said() and len(keys.plain()) == 5 and not (keys.dir / "box.key").exists()


def test_no_secret_passes_for_another_and_a_changed_byte_is_found(keys: Keys) -> None:
    keys.keep(Kind.PASSPHRASE)
    give(WORDS)
    box = Box.of(keys.dir)
    shutil.copyfile(keys.dir / "site.pem", keys.dir / "numbers.key")
    with pytest.raises(Unsealable, match=r"numbers\.key"):
        box.read(keys.dir / "numbers.key")
    data = bytearray((keys.dir / "site.pem").read_bytes())
    data[-1] ^= 1
    write_private(keys.dir / "site.pem", bytes(data))
    for spoiled in (bytes(data), MAGIC, MAGIC + bytes(12)):
        write_private(keys.dir / "site.pem", spoiled)
        with pytest.raises(Unsealable):
            box.read(keys.dir / "site.pem")
    shutil.copyfile(keys.dir / "box.key", keys.dir / "lists.key")
    with pytest.raises(Locked, match="is that of"):
        read_root(keys.dir / "lists.key")
    with pytest.raises(Unsealable, match=r"no box\.key"):
        Box().read(keys.identities / "17.age-identity")


@pytest.mark.parametrize("to", [Kind.PASSPHRASE, Kind.FILE])
@pytest.mark.parametrize("step", range(6))
def test_a_kill_between_any_two_files_is_mended_by_doing_it_again(
    keys: Keys, monkeypatch: pytest.MonkeyPatch, to: Kind, step: int
) -> None:
    if to is Kind.FILE:
        keys.keep(Kind.PASSPHRASE)
    give(WORDS)
    writes = iter(range(100))
    original = write_private

    def killed(path: Path, data: bytes, mode: int = 0o600) -> None:
        if next(writes) == step:
            raise KeyboardInterrupt
        original(path, data, mode)

    monkeypatch.setattr(sealed, "write_private", killed)
    monkeypatch.setattr(protect, "write_private", killed)
    monkeypatch.setattr(converting, "sync_folder", lambda _: None)
    killed_there = False
    try:
        keys.keep(to)
    except KeyboardInterrupt:
        killed_there = True
    monkeypatch.undo()
    monkeypatch.setitem(protect._KDF, "memory_kib", 64)
    assert killed_there or step == 5
    assert keys.as_said(), "between the steps everything opens"
    keys.keep(to)
    assert keys.as_said() and kept(keys.dir) is to
    assert len(keys.plain()) == (0 if to is Kind.PASSPHRASE else 5)


def test_what_is_spoiled_or_newer_is_said_to_be_so(keys: Keys) -> None:
    path = keys.dir / "box.key"
    keys.keep(Kind.PASSPHRASE)
    document = json.loads(path.read_bytes())
    give(WORDS)
    changes: list[Callable[[dict[str, object]], object]] = [
        lambda d: d.update(format="greffier-protected-2"),
        lambda d: d.update(kind="magic"),
        lambda d: d.pop("salt"),
        lambda d: d.update(memory_kib=1 << 40),
        lambda d: d.update(nonce="zz"),
    ]
    for change in changes:
        changed = dict(document)
        change(changed)
        write_private(path, json.dumps(changed).encode())
        with pytest.raises(ValueError):
            read_root(path)
    write_private(path, b"{")
    with pytest.raises(ValueError):
        read_root(path)


def test_keys_in_use_are_not_converted(keys: Keys) -> None:
    with in_use(keys.dir), in_use(keys.dir), pytest.raises(BlockingIOError), in_use(keys.dir, alone=True):
        pass
    with in_use(keys.dir, alone=True), pytest.raises(BlockingIOError), in_use(keys.dir):
        pass


@pytest.fixture
def host_key() -> None:
    """systemd-creds can encrypt here under the host's key."""
    if shutil.which("systemd-creds") is None or os.geteuid() != 0:
        pytest.skip("systemd-creds needs systemd and root")
    if subprocess.run(["systemd-creds", "setup"], capture_output=True, check=False).returncode:
        pytest.skip("systemd-creds has no key of the host here")


@pytest.mark.usefixtures("host_key")
def test_systemd_keeps_the_key_and_gives_it_to_the_unit(
    keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys.keep(Kind.SYSTEMD_CREDS)
    secret = read_root(keys.dir / "box.key")
    assert keys.plain() == [] and keys.as_said(), "root may ask systemd-creds"
    assert secret not in b"".join(path.read_bytes() for path in keys.dir.iterdir())
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "greffier-box.key").write_bytes(secret)
    (keys.dir / "box.key.cred").write_bytes(b"")
    protect._opened.clear()
    assert read_root(keys.dir / "box.key") == secret, "given by the unit"
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    protect._opened.clear()
    with pytest.raises(Locked, match="systemd-creds"):
        read_root(keys.dir / "box.key")


def test_a_key_is_kept_as_a_plain_file_again(tmp_path: Path) -> None:
    path = tmp_path / "lists.key"
    secret = create_secret(path)
    write_root(path, secret, Keeping(Kind.PASSPHRASE, passphrase=WORDS))
    assert not is_sealed(path) and secret not in path.read_bytes()
    give(WORDS)
    write_root(path, read_root(path), Keeping(Kind.FILE))
    assert read_secret(path) == secret
