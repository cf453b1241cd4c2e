"""What is lost with a key, and what a thief of the box reads: a copy of all there is, searched for whatever opens."""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from working import CALL, OTHER, Reader, greffier, lines, run, settle, tones

from agent.capture.format import RecordKind
from agent.capture.reader import Cursor, Tampered, open_record, scan
from agent.config import load
from agent.retain import identities
from agent.scribe import engineroom
from agent.store.verify import verify_journal
from agent.vault import age, passphrase, protect
from agent.vault.converting import keep, secret_files
from agent.vault.manifest import check_manifest
from agent.vault.numbers import number_hash
from agent.vault.protect import Keeping, Kind
from agent.vault.sealed import Unsealable
from agent.vault.secretfile import create_secret
from agent.vault.sitekeys import trusted

WORDS = "correct horse battery staple"
NUMBER = "+33612345678"
THIRD = "0192f0a0" + "0" * 23 + "3"


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Text that was said, and a passphrase that costs little to try."""
    monkeypatch.setattr(engineroom, "load", lambda *_: Reader("good", "je voudrais résilier mon contrat"))
    monkeypatch.setitem(protect._KDF, "memory_kib", 64)
    yield
    passphrase.take_from(None)
    protect._opened.clear()


@dataclass
class Thief:
    """Takes every file, and tries every secret found on every file, again and again until nothing new opens."""

    loot: Path
    secrets: set[str] = field(default_factory=set)
    raw: set[bytes] = field(default_factory=set)
    opened: set[str] = field(default_factory=set)

    def search(self) -> set[str]:
        """What could be read, forged or guessed: relative paths, with `capture` for a record of the log."""
        files = {str(p.relative_to(self.loot)): p.read_bytes() for p in self.loot.rglob("*") if p.is_file()}
        self.catalog = b"".join(data for name, data in files.items() if "catalog" in name)
        for name, data in files.items():
            self._learn(name, data)
        before = -1
        while before != len(self.opened) + len(self.secrets) + len(self.raw):
            before = len(self.opened) + len(self.secrets) + len(self.raw)
            for name, data in files.items():
                if (plain := self._try(data)) is not None:
                    self.opened.add(name)
                    self._learn(name, plain)
            self._capture()
        for key in self.raw:
            if number_hash(key, NUMBER).encode() in self.catalog:
                self.opened.add("the customer's number")
        return self.opened

    def _learn(self, name: str, data: bytes) -> None:
        self.secrets |= {found.decode() for found in re.findall(rb"AGE-SECRET-KEY-1[A-Z0-9]{58}", data)}
        self.raw |= {bytes.fromhex(found.decode()) for found in re.findall(rb"\b[0-9a-f]{64}\b", data)[:50]}
        if len(data) == 32:
            self.raw.add(data)
        if b"PRIVATE KEY-----" in data:
            self.opened.add(name)

    def _try(self, data: bytes) -> bytes | None:
        if data.startswith(b"age-encryption.org/v1"):
            for secret in self.secrets:
                try:
                    return age.decrypt(data, secret)
                except age.WrongKey:
                    continue
        if data.startswith(b"greffier-sealed-1\n"):
            head, rest = data[:18], data[18:]
            for key in self.raw:
                for name in ("site", "numbers"):
                    try:
                        return AESGCM(key).decrypt(rest[:12], rest[12:], head + name.encode())
                    except InvalidTag:
                        continue
        return None

    def _capture(self) -> None:
        for _, record in scan(self.loot / "state" / "capture", Cursor(0, 0)):
            if record.header.kind is RecordKind.RESUME:
                continue
            for key in self.raw:
                try:
                    open_record(record, key)
                except Tampered:
                    continue
                self.opened.add("capture")
                break


def recorded(make_site):
    """A finished call that is searchable and may still be masked, and another that just ended."""
    site = make_site("auto", window="1 h")
    training = "[purpose.training]\n"
    site.config.write_text(site.config.read_text().replace(training, f"{training}searchable = true\n"))
    site.settings = load(site.config)
    create_secret(site.root / "keys" / "lists.key")
    for path in site.settings.identities_dir.iterdir():
        path.write_text(f"# public key: {site.recipient}\n{path.read_text()}")
    site.tape(CALL, tones(3), keep_at=0)
    scribe = run(site)
    site.tape(OTHER, tones(2), keep_at=0)
    return site, scribe


def stolen(site, to: Path) -> Thief:
    """A copy of the disk: state, keys, configuration, recipients; not what those who read hold elsewhere."""
    shutil.copytree(site.root, to)
    return Thief(to)


def protected(site, how: Keeping) -> None:
    s = site.settings
    keep(s.site.keys_dir, secret_files(s.site.keys_dir, s.identities_dir, s.searchkeys_dir), how)
    protect._opened.clear()


def test_losing_the_box_loses_nothing_readable(make_site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site, _ = recorded(make_site)
    found = stolen(site, tmp_path / "plain").search()
    kinds = {re.sub(r"[0-9a-f]{16,32}.*", "ID", name) for name in found}
    assert kinds >= {"keys/site.pem", "capture", "state/callkeys/ID", "state/search/training/ID"}
    assert "the customer's number" in kinds
    assert not any("outbox" in name for name in found), "artifacts are for those who read, even so"

    protected(site, Keeping(Kind.PASSPHRASE, passphrase=WORDS))
    thief = stolen(site, tmp_path / "sealed")
    assert thief.search() == set() and thief.secrets == set()

    monkeypatch.setattr(passphrase._Source, "lines", (WORDS,))
    protect._opened.clear()
    scribe = run(site)
    assert scribe.catalog.find_call(OTHER).state == "finalised", "it goes on where it stopped"
    site.tape(THIRD, tones(2), keep_at=0)
    settle(scribe)
    s = site.settings
    identities.ensure_current(s.identities_dir, s.recipient_file, 0, 1 << 62, scribe.journal, scribe._box)
    assert stolen(site, tmp_path / "later").search() == set(), "what is made from then on is sealed as well"


def test_losing_a_purpose_key_loses_that_purpose_only(make_site) -> None:
    site, _ = recorded(make_site)
    files = {name: path.read_bytes() for name, path in site.outbox().items()}
    assert {name.partition("/")[0] for name in files} == set(site.readers)
    for lost in site.readers:
        left = [reader.secret for purpose, reader in site.readers.items() if purpose != lost]
        for name, data in files.items():
            assert _opens(data, left) == (name.partition("/")[0] != lost), f"{name} without the key of {lost}"


def test_the_next_artifact_is_for_the_new_reader_and_the_past_stays_with_the_old(make_site) -> None:
    site, scribe = recorded(make_site)
    old, new = site.readers["evidence"], age.new_identity()
    past = {name: path.read_bytes() for name, path in site.outbox().items() if name.startswith("evidence/")}
    greffier(site, "keys", "rotate", "evidence", new.recipient, "--label", "2027")
    settle(scribe)
    scribe._care()
    boxed = site.settings.outbox_dir.glob(f"evidence/{OTHER}*")
    made = [path.read_bytes() for path in boxed]
    assert len(made) >= 3 and all(_opens(data, [new.secret]) and not _opens(data, [old.secret]) for data in made)
    again = {name: path.read_bytes() for name, path in site.outbox().items() if name in past}
    assert all(_opens(data, [old.secret]) and not _opens(data, [new.secret]) for data in past.values())
    assert set(past) <= set(again)
    told = [line.fields["recipients"] for line in lines(site, "readers") if line.purpose == "evidence"]
    assert told == [[old.recipient], [new.recipient]]


def test_the_scribe_signs_with_the_new_site_key_and_what_the_old_one_signed_verifies(make_site) -> None:
    site, scribe = recorded(make_site)
    keys = site.settings.site.keys_dir
    scribe.close()
    greffier(site, "keys", "rotate", "--site")
    scribe._care()
    settle(scribe)
    scribe.close()
    first, second = trusted(keys)
    assert verify_journal(site.settings.journal_dir, trusted(keys)) == []
    by = {}
    for call_id in (CALL, OTHER):
        (path,) = site.settings.outbox_dir.glob(f"evidence/{call_id}.manifest*")
        document = age.decrypt(path.read_bytes(), site.readers["evidence"].secret)
        check_manifest(document, trusted(keys))
        by[call_id] = bytes.fromhex(json.loads(document)["public_key"])
    assert by == {CALL: first, OTHER: second}
    assert "everything is as it was written" in greffier(site, "verify")


def test_with_the_wrong_box_key_the_scribe_does_not_start_and_keeps_everything(make_site) -> None:
    site, _ = recorded(make_site)
    protected(site, Keeping(Kind.PASSPHRASE, passphrase=WORDS))
    (site.root / "keys" / "box.key").write_bytes(bytes(32))
    before = sorted(p.name for p in site.settings.callkeys_dir.iterdir())
    with pytest.raises(Unsealable, match="does not open with"):
        run(site)
    assert sorted(p.name for p in site.settings.callkeys_dir.iterdir()) == before != []


def _opens(data: bytes, secrets: list[str]) -> bool:
    for secret in secrets:
        try:
            age.decrypt(data, secret)
        except age.WrongKey:
            continue
        return True
    return False
