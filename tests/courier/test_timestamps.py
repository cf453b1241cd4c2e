"""Timestamps: asked for once, of what may have one; a wrong one is refused, an authority that is away is waited for."""

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tsa import TimestampAuthority, serving

from agent.config.delivery import Courier as Pace
from agent.config.timestamp import Timestamp
from agent.courier.timestamps import Timestamps
from agent.model.artifact import Artifact, Delivery
from agent.model.purpose import ArtifactKind
from agent.store.catalog import Catalog
from agent.store.checkpoint import seal
from agent.store.journal import Journal, JournalLine, read
from agent.store.rows import CorrectionRow
from agent.store.verify import Report, verify_site
from agent.vault.age import encrypt, new_identity
from agent.vault.chain import GENESIS
from agent.vault.manifest import sign_manifest
from agent.vault.signing import SiteKey
from agent.vault.timestamp import MOST_BYTES, check, load_trust

CALL = "0192" + "0" * 28
PACE = Pace(poll_s=1.0, retry_first_s=2.0, retry_max_s=60.0)
NS = 1_000_000_000


class Site:
    """Manifests in an outbox with catalog and sealed journal, an authority, and a clock that a test moves."""

    def __init__(self, root: Path, tsa: TimestampAuthority) -> None:
        self.tsa = tsa
        self.reader, self.key = new_identity(), SiteKey.create(root / "site.pem")
        self.catalog = Catalog(root / "state" / "catalog.sqlite3")
        self.journal_dir, self.outbox = root / "state" / "journal", root / "state" / "outbox"
        self.now_ns = 1_790_000_000 * NS
        self._journal = Journal(self.journal_dir, "scribe", lambda: self.now_ns)
        self._couriers = Journal(self.journal_dir, "courier", lambda: self.now_ns)

    def manifest(self, purpose: str = "evidence", number: int = 1, destination: str | None = "centre") -> str:
        """A manifest as the scribe files it. Returns its artifact's id."""
        position = self._journal.position
        body = {"call": CALL, "purpose": purpose, "artifacts": [], "timestamp": True, "n": number}
        body["journal"] = {"process": position.process, "seq": position.seq, "hash": position.hash}
        plain = sign_manifest(body, self.key)
        cipher = encrypt(plain, [self.reader.recipient])
        path = f"{purpose}/{CALL}.manifest{'' if number == 1 else f'-{number}'}.json.age"
        (self.outbox / purpose).mkdir(parents=True, exist_ok=True)
        (self.outbox / path).write_bytes(cipher)
        digests = [hashlib.sha256(data).hexdigest() for data in (plain, cipher)]
        delivery = Delivery.WAITING if destination else Delivery.LOCAL_ONLY
        self.catalog.add_artifact(
            Artifact(path, CALL, purpose, ArtifactKind.MANIFEST, path, "application/json", len(cipher), *digests,
                     self.now_ns, self.now_ns + 100 * NS, self.now_ns + 900 * NS, destination, delivery)
        )  # fmt: skip
        self._journal.append("derived", call_id=CALL, purpose=purpose, path=path, cipher_sha256=digests[1])
        return path

    def seal(self) -> None:
        seal(self.journal_dir, self.key, self.now_ns)

    def courier(self, *purposes: str, **settings: object) -> Timestamps:
        section = Timestamp.model_validate({"url": self.tsa.url, "ca": self.tsa.ca, **settings})
        return Timestamps(
            section, purposes or ("evidence",), PACE, self.outbox, self.journal_dir, self.catalog, self._couriers,
            threading.Event(), lambda: self.now_ns,
        )  # fmt: skip

    def tokens(self) -> list[Artifact]:
        return [a for a in self.catalog.artifacts() if a.kind is ArtifactKind.TIMESTAMP]

    def lines(self, kind: str) -> list[JournalLine]:
        return [line for line in read(self.journal_dir) if line.kind == kind]

    def verify(self) -> Report:
        trust = load_trust(self.tsa.ca)
        return verify_site(self.journal_dir, self.outbox, self.catalog, self.key.public, [self.reader.secret], trust)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TimestampAuthority]:
    with serving(TimestampAuthority(tmp_path_factory.mktemp("authority"))) as tsa:
        yield tsa


@pytest.fixture
def site(tmp_path: Path, authority: TimestampAuthority) -> Iterator[Site]:
    authority.away, authority.twist, authority.asked = False, None, 0
    yield Site(tmp_path, authority)


def test_a_manifest_gets_a_token_that_is_delivered_like_it_and_only_once(site: Site) -> None:
    manifest = site.catalog.artifact(site.manifest())
    site.manifest("training")
    courier = site.courier()
    assert courier.step() == PACE.poll_s
    (token,) = site.tokens()
    assert token.path == f"evidence/{CALL}.manifest.json.tsr" and token.delivery is Delivery.WAITING
    assert (token.destination, token.central_deadline_ns) == (manifest.destination, manifest.central_deadline_ns)
    stamp = check(
        (site.outbox / token.path).read_bytes(), bytes.fromhex(manifest.plain_sha256), load_trust(site.tsa.ca)
    )
    (line,) = site.lines("timestamped")
    assert line.fields["token_sha256"] == token.cipher_sha256 and line.fields["stamped_ns"] == stamp.at_ns
    courier.step()
    site.courier().step()  # restarted
    assert site.tsa.asked == 1


def test_the_newest_checkpoint_gets_a_token_at_most_once_an_interval(site: Site) -> None:
    for minute in range(4):
        site.manifest(number=minute + 1)
        site.seal()
        site.now_ns += 60 * NS
    courier = site.courier("none", checkpoint_interval="10 min")
    courier.step()
    assert [row.seq for row in site.catalog.timestamps.checkpoints()] == [4]
    site.manifest(number=9)
    site.seal()
    courier.step()
    assert site.tsa.asked == 1
    site.now_ns += 600 * NS
    site.manifest(number=10)
    site.seal()
    courier.step()
    assert [row.seq for row in site.catalog.timestamps.checkpoints()] == [4, 6]
    assert site.lines("timestamped") == [], "a line would be news, to be sealed again"
    report = site.verify()
    assert report.problems == [] and report.counts["timestamps of checkpoints"] == 2
    (first, *_, last) = report.proofs
    assert first.seal is not None and first.seal.seq == 1 and first.seal_stamp is not None and first.seal_stamp[0] == 4
    assert last.follows is not None and last.line == ("scribe", 6)


def test_while_the_authority_is_away_all_wait_and_that_is_said_once(site: Site) -> None:
    site.tsa.away = True
    for number in (1, 2, 3):
        site.manifest(number=number)
    courier = site.courier(late_after="1 h")
    delays = [courier.step() for _ in range(3)]
    assert site.tsa.asked == 3, "one is asked for at a time"
    assert delays[0] <= 2 < delays[2] <= 8 and site.lines("timestamp.late") == []
    site.now_ns += 3600 * NS
    courier.step()
    courier.step()
    (line,) = site.lines("timestamp.late")
    assert line.fields["waiting"] == 3 and "503" in str(line.fields["why"])
    assert site.catalog.timestamps.queue().detail == line.fields["why"]
    site.tsa.away = False
    courier.step()
    assert len(site.tokens()) == 3 and site.catalog.timestamps.queue().waiting == 0


@pytest.mark.parametrize(
    ("twist", "words"),
    [
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "wrong timestamp"),
        (lambda _: b"no", "wrong timestamp"),
        (lambda data: data + bytes(MOST_BYTES), "more than"),
    ],
)
def test_a_wrong_answer_is_refused_and_said_once(site: Site, twist, words: str) -> None:
    site.tsa.twist = twist
    site.manifest()
    courier = site.courier()
    courier.step()
    courier.step()
    (line,) = site.lines("timestamp.refused")
    assert words in str(line.fields["why"]) and site.tokens() == []
    assert not list(site.outbox.rglob("*.tsr"))
    site.tsa.twist = None
    courier.step()
    assert len(site.tokens()) == 1


def test_an_old_answer_played_again_is_refused(site: Site) -> None:
    kept: list[bytes] = []

    def again(data: bytes) -> bytes:
        kept.append(data)
        return kept[0]

    site.tsa.twist = again
    for number in (1, 2):
        site.manifest(number=number)
    site.courier().step()
    (line,) = site.lines("timestamp.refused")
    assert "something else" in str(line.fields["why"]) and len(site.tokens()) == 1


def test_another_authority_than_the_configured_one_is_refused(site: Site, tmp_path: Path) -> None:
    site.manifest()
    site.courier(ca=TimestampAuthority(tmp_path, "stranger").ca).step()
    (line,) = site.lines("timestamp.refused")
    assert "nobody who is trusted" in str(line.fields["why"]) and site.tokens() == []


def test_what_was_withdrawn_or_is_about_to_be_is_not_asked_for(site: Site) -> None:
    first = site.manifest()
    site.catalog.corrections.ask([CorrectionRow(CALL, "evidence", "mask", 0, 10, "cli:x", "card", site.now_ns)])
    courier = site.courier()
    courier.step()
    assert site.tsa.asked == 0 and site.catalog.timestamps.queue().waiting == 1
    site.catalog.corrections.withdraw(first, site.now_ns)
    (row,) = site.catalog.corrections.of_call(CALL)
    site.catalog.corrections.turn(row, "done", site.now_ns, revision=2)
    site.manifest(number=2)
    courier.step()
    assert [a.path for a in site.tokens()] == [f"evidence/{CALL}.manifest-2.json.tsr"]
    assert site.catalog.timestamps.queue().waiting == 0


def test_a_correction_that_is_asked_for_meanwhile_leaves_no_token(site: Site) -> None:
    site.manifest()

    def correct(data: bytes) -> bytes:
        site.catalog.corrections.ask([CorrectionRow(CALL, "evidence", "drop", 0, 0, "cli:x", "no", site.now_ns)])
        return data

    site.tsa.twist = correct
    site.courier().step()
    assert site.tokens() == [] and not list(site.outbox.rglob("*.tsr"))


def test_killed_between_file_and_catalog_another_token_takes_its_place(site: Site, monkeypatch) -> None:
    site.manifest()
    courier = site.courier()

    def killed(*_: object) -> bool:
        raise SystemExit

    monkeypatch.setattr(site.catalog.timestamps, "arrived", killed)
    with pytest.raises(SystemExit):
        courier.step()
    monkeypatch.undo()
    site.courier().step()
    site.seal()
    assert len(site.lines("timestamped")) == 2 and len(site.tokens()) == 1
    assert site.verify().problems == []


def test_a_token_that_cannot_be_written_is_tried_again(site: Site) -> None:
    site.manifest()
    (site.outbox / f"evidence/{CALL}.manifest.json.tsr").mkdir()
    courier = site.courier()
    assert courier.step() <= PACE.retry_first_s and site.tokens() == []
    (site.outbox / f"evidence/{CALL}.manifest.json.tsr").rmdir()
    courier.step()
    assert len(site.tokens()) == 1


def test_a_manifest_that_says_another_place_in_the_chain_is_named(site: Site) -> None:
    assert site._journal.position.hash == GENESIS
    site.manifest()
    site.manifest(number=2)
    site.seal()
    assert site.verify().problems == []
    whole = (site.journal_dir / "scribe.jsonl").read_bytes()
    other = Journal(site.journal_dir.parent / "other", "scribe", lambda: 1)
    other.append("derived", path="x")
    (site.journal_dir / "scribe.jsonl").write_bytes((site.journal_dir.parent / "other" / "scribe.jsonl").read_bytes())
    where = {p.where for p in site.verify().problems}
    assert f"evidence/{CALL}.manifest-2.json.age" in where and whole
