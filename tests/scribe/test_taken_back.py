"""`verify` of what was taken back: silent when it is gone and called back, and names whatever is not so."""

import hashlib
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from working import CALL, OTHER, greffier, manifest, mask, recorded, sent, settle

from agent.store.catalog import Catalog
from agent.store.journal import Journal
from agent.store.report import Report
from agent.store.verify import verify_folder, verify_site
from agent.vault.age import encrypt
from agent.vault.manifest import sign_manifest
from agent.vault.signing import SiteKey, load_public

EVIDENCE, TRAINING = f"evidence/{CALL}.audio.flac.age", f"training/{CALL}.audio.opus.age"
MANIFEST, GRAVE = f"evidence/{CALL}.manifest.json.age", f"evidence/{CALL}.tombstone-2.json.age"


class Corrected:
    """A call of which evidence was masked and training dropped, after some of both had left; `left` is that."""

    def __init__(self, make_site: Callable[..., Any]) -> None:
        self.site, _, self.scribe = recorded(make_site)
        self.key = self.site.root / "keys" / "site.pem"
        self.outbox: Path = self.site.settings.outbox_dir
        self.catalog_path: Path = self.site.settings.catalog_path
        sent(self.site, "audio.flac", "manifest.json")
        sent(self.site, "audio.opus", purpose="training")
        self.left = {name: (self.outbox / name).read_bytes() for name in (EVIDENCE, MANIFEST, TRAINING)}
        mask(self.site, "--purpose", "evidence")
        greffier(self.site, "drop", CALL, "--reason", "withdrew")
        settle(self.scribe)
        self.body = manifest(self.site, "evidence/tombstone-2.json")

    def verify(self, folder: Path | None = None, *, keys: bool = True) -> Report:
        """The site, or what is delivered in a folder, with the keys of all readers."""
        public = load_public(self.key.with_name("site.pem.pub"))
        secrets = [reader.secret for reader in self.site.readers.values()] if keys else []
        if folder is not None:
            return verify_folder(folder, public, secrets)
        return verify_site(self.site.settings.journal_dir, self.outbox, Catalog(self.catalog_path), public, secrets)

    def complaints(self, folder: Path | None = None, *, keys: bool = True) -> list[str]:
        """All that is wrong."""
        return sorted(f"{problem.where} {problem.what}" for problem in self.verify(folder, keys=keys).problems)

    def retell(self, change: Callable[[dict[str, Any]], object], key: SiteKey | None = None) -> None:
        """Put another tombstone of evidence in place of the true one, and into its row."""
        body = self.body | {"destroy": list(self.body["destroy"])}
        change(body)
        data = encrypt(sign_manifest(body, key or SiteKey.load(self.key)), [self.site.readers["evidence"].recipient])
        (self.outbox / GRAVE).write_bytes(data)
        self.run("UPDATE artifacts SET cipher_sha256 = ? WHERE path = ?", hashlib.sha256(data).hexdigest(), GRAVE)

    def run(self, sql: str, *values: object) -> None:
        """Change the catalog."""
        with sqlite3.connect(self.catalog_path) as base:
            base.execute(sql, values)
        base.close()


@pytest.fixture
def corrected(make_site: Callable[..., Any]) -> Corrected:
    return Corrected(make_site)


def test_what_was_taken_back_is_verified_and_what_still_lies_here_is_named(corrected: Corrected) -> None:
    report = corrected.verify()
    assert report.problems == []
    assert (report.counts["tombstones"], report.counts["corrections"]) == (2, 3)
    mask(corrected.site, "--purpose", "evidence")
    assert corrected.complaints() == [], "what is still to be done is left alone"
    settle(corrected.scribe)
    assert corrected.complaints() == corrected.complaints(keys=False) == []
    (corrected.outbox / TRAINING).write_bytes(corrected.left[TRAINING])
    assert corrected.complaints() == [f"{TRAINING} was taken back, and is still here"]


def test_a_tombstone_that_is_not_what_was_made_is_named(corrected: Corrected, tmp_path: Path) -> None:
    unsaid = f"{GRAVE} no line of the journal says that it was made"
    corrected.retell(lambda body: body.update(reason="another"))
    assert corrected.complaints() == corrected.complaints(keys=False) == [unsaid]
    corrected.retell(lambda body: body.update(destroy=[d for d in body["destroy"] if d["path"] != EVIDENCE]))
    assert corrected.complaints() == [f"{EVIDENCE} had left, and no tombstone calls it back", unsaid]
    corrected.retell(lambda body: body["destroy"].append({"path": "evidence/x", "cipher_sha256": "0"}))
    assert f"{GRAVE} calls back evidence/x, which was never taken back" in corrected.complaints()
    for change in ({"verb": "drop"}, {"call": OTHER}, {"purpose": "training"}):
        corrected.retell(lambda body, change=change: body.update(change))
        assert f"{GRAVE} speaks of another call, purpose or deed" in corrected.complaints()
    for change in ({"format": "x"}, {"destroy": [{"path": "../x", "cipher_sha256": ""}]}, {"destroy": 5}):
        corrected.retell(lambda body, change=change: body.update(change))
        assert f"{GRAVE} does not list what it calls back as a tombstone does" in corrected.complaints()
    corrected.retell(lambda body: None, SiteKey.create(tmp_path / "other.pem"))
    assert any(line.startswith(f"{GRAVE} the signature does not hold") for line in corrected.complaints())


def test_a_catalog_that_tells_another_story_is_found_out(corrected: Corrected) -> None:
    true = sqlite3.connect(":memory:")
    with sqlite3.connect(corrected.catalog_path) as base:
        base.backup(true)
    for tampering, complaint in (
        ("UPDATE artifacts SET withdrawn_ns = NULL WHERE purpose = 'training'", "dropped, and was not taken back"),
        ("UPDATE artifacts SET local_deleted_ns = NULL WHERE purpose = 'training'", "taken back, and is still here"),
        ("DELETE FROM artifacts WHERE kind = 'tombstone'", "had left, and no tombstone calls it back"),
        ("UPDATE corrections SET id = id + 50", "was done that is not in the journal"),
        ("UPDATE corrections SET revision = 9 WHERE purpose = 'training'", "calls back what nobody asked"),
    ):
        corrected.run(tampering)
        assert any(complaint in line for line in corrected.complaints(keys=False)), tampering
        with sqlite3.connect(corrected.catalog_path) as base:
            true.backup(base)
        assert corrected.complaints(keys=False) == []


def test_what_a_tombstone_calls_back_must_be_gone_where_it_was_sent(corrected: Corrected, tmp_path: Path) -> None:
    centre = tmp_path / "centre"
    shutil.copytree(corrected.outbox, centre)
    for name, data in corrected.left.items():
        (centre / name).write_bytes(data)
    still = [line.split()[0] for line in corrected.complaints(centre) if "still there" in line]
    assert still == [EVIDENCE, MANIFEST, TRAINING]
    for name in corrected.left:
        (centre / name).unlink()
    assert corrected.complaints(centre) == []


def test_a_delivered_tombstone_that_is_not_there_any_more_is_named(corrected: Corrected, tmp_path: Path) -> None:
    folder, centre = corrected.site.settings.journal_dir, tmp_path / "centre"
    shutil.copytree(corrected.outbox, centre)
    journal = Journal(folder, "courier", lambda: 1)
    for name in (GRAVE, EVIDENCE):
        journal.append("delivered", call_id=CALL, purpose="evidence", path=name)
    journal.close()
    public = load_public(corrected.key.with_name("site.pem.pub"))

    def missing() -> list[str]:
        return [p.where for p in verify_folder(centre, public, [], None, folder).problems if "is not there" in p.what]

    assert missing() == []
    (centre / GRAVE).unlink()
    assert missing() == [GRAVE]
    shutil.rmtree(centre / "evidence")
    assert missing() == [], "nothing of this call and purpose is there"
