"""`verify`: silent when all is as written, and names the artifact, the manifest or the line that is not."""

import hashlib
from pathlib import Path

import pytest

from agent.model.artifact import Artifact
from agent.model.purpose import ArtifactKind
from agent.store.catalog import Catalog
from agent.store.checkpoint import seal
from agent.store.journal import Journal
from agent.store.verify import Report, verify_folder, verify_site
from agent.vault.age import encrypt, new_identity
from agent.vault.manifest import sign_manifest
from agent.vault.signing import SiteKey

CALL = "0192" + "0" * 28
AUDIO, MANIFEST = f"training/{CALL}.audio.opus.age", f"training/{CALL}.manifest.json.age"


class Site:
    """One call's audio and manifest, encrypted to one reader, with catalog and journal."""

    def __init__(self, root: Path, named: str = AUDIO) -> None:
        self.reader = new_identity()
        self.key = SiteKey.create(root / "site.pem")
        self.catalog = Catalog(root / "catalog.sqlite3")
        self.journal_dir, self.outbox = root / "journal", root / "outbox"
        (self.outbox / "training").mkdir(parents=True)
        self.journal = Journal(self.journal_dir, "scribe", lambda: 1)
        audio = self.put("audio", AUDIO, ArtifactKind.AUDIO, b"ogg")
        body = {"call": CALL, "purpose": "training", "artifacts": [{"path": named, "cipher_sha256": audio}]}
        self.put("manifest", MANIFEST, ArtifactKind.MANIFEST, sign_manifest(body, self.key))
        seal(self.journal_dir, self.key, 2)

    def put(self, name: str, path: str, kind: ArtifactKind, plain: bytes) -> str:
        cipher = encrypt(plain, [self.reader.recipient])
        (self.outbox / path).write_bytes(cipher)
        digest = hashlib.sha256(cipher).hexdigest()
        self.journal.append("derived", call_id=CALL, path=path, cipher_sha256=digest)
        self.catalog.add_artifact(
            Artifact(name, CALL, "training", kind, path, "x/y", len(cipher), "p", digest, 1, 2, 3, "centre")
        )
        return digest

    def verify(self, *identities: str) -> Report:
        return verify_site(self.journal_dir, self.outbox, self.catalog, self.key.public, identities)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_all_is_as_it_was_written(site: Site) -> None:
    report = site.verify(site.reader.secret)
    assert report.problems == []
    assert report.counts == {
        "journal lines": 2,
        "checkpoints": 1,
        "artifacts": 2,
        "manifests": 1,
        "files named by manifests": 1,
    }
    assert verify_folder(site.outbox, site.key.public, [site.reader.secret]).problems == []


def test_without_a_key_manifests_stay_closed_and_are_said_to(site: Site) -> None:
    assert site.verify().counts["manifests left closed"] == 1
    assert "manifests" not in site.verify(new_identity().secret).counts


def test_a_changed_artifact_is_named(site: Site) -> None:
    path = site.outbox / AUDIO
    path.write_bytes(path.read_bytes()[:-1] + b"#")
    assert [p.where for p in site.verify().problems] == [AUDIO]
    assert [p.where for p in verify_folder(site.outbox, site.key.public, [site.reader.secret]).problems] == [AUDIO]


def test_a_missing_artifact_is_named_unless_its_deletion_is_recorded(site: Site) -> None:
    (site.outbox / AUDIO).unlink()
    assert {p.where for p in site.verify(site.reader.secret).problems} == {AUDIO}
    site.catalog.mark_local_deleted("audio", 5)
    (problem,) = site.verify(site.reader.secret).problems
    assert problem.where == AUDIO and "no line of the journal says so" in problem.what
    Journal(site.journal_dir, "courier", lambda: 1).append("local.deleted", call_id=CALL, path=AUDIO)
    report = site.verify(site.reader.secret)
    assert report.problems == [] and report.counts["deletions"] == 1


def test_a_deletion_at_the_centre_without_a_line_is_named(site: Site) -> None:
    site.catalog.orders.ended("audio", 5)
    (problem,) = site.verify().problems
    assert problem.where == AUDIO and "at its destination" in problem.what
    Journal(site.journal_dir, "courier", lambda: 1).append("central.deleted", call_id=CALL, path=AUDIO)
    assert site.verify().problems == []


def test_a_manifest_that_another_site_signed_is_named(site: Site, tmp_path: Path) -> None:
    stranger = SiteKey.create(tmp_path / "stranger.pem")
    forged = encrypt(sign_manifest({"call": CALL, "artifacts": []}, stranger), [site.reader.recipient])
    (site.outbox / MANIFEST).write_bytes(forged)
    assert any(
        "signature" in p.what for p in verify_folder(site.outbox, site.key.public, [site.reader.secret]).problems
    )


def test_a_manifest_in_the_place_of_another_is_named(site: Site) -> None:
    other = f"training/{'1' * 32}.manifest.json.age"
    (site.outbox / other).write_bytes((site.outbox / MANIFEST).read_bytes())
    found = verify_folder(site.outbox, site.key.public, [site.reader.secret]).problems
    assert [(p.where, p.what) for p in found] == [(other, "speaks of another call or purpose")]


def test_what_no_manifest_names_is_counted_and_unknown_to_the_journal(site: Site) -> None:
    extra = AUDIO.replace(".audio", ".audio-9")
    (site.outbox / extra).write_bytes(encrypt(b"another", [site.reader.recipient]))
    asked = (site.outbox, site.key.public, [site.reader.secret])
    alone = verify_folder(*asked)
    assert alone.problems == [] and any(what.startswith("files that no manifest here names") for what in alone.counts)
    (problem,) = verify_folder(*asked, journal_dir=site.journal_dir).problems
    assert (problem.where, problem.what) == (extra, "unknown to the journal")


@pytest.mark.parametrize("named", ["/etc/passwd", "../../etc/passwd", "training/../../x"])
def test_a_manifest_cannot_lead_outside_its_folder(tmp_path: Path, named: str) -> None:
    site = Site(tmp_path, named)
    assert any("list" in p.what for p in site.verify(site.reader.secret).problems)
