"""`greffier person`: what is asked for by number is found however it was written, done, recorded and put into words."""

import io
import json
import shutil
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from running_site import RunningSite
from typer.testing import CliRunner

from agent.cli import app
from agent.commands import person as commands
from agent.model.artifact import Artifact, Delivery
from agent.model.purpose import ArtifactKind
from agent.retain.rights import unlink
from agent.store.journal import Journal, read
from agent.store.rows import CallRow, IndexedRow, PartyRow
from agent.vault import age
from agent.vault.lists import OPT_OUT, Hasher, read_list
from agent.vault.manifest import BadManifest, check_manifest
from agent.vault.numbers import number_hash
from agent.vault.sealed import read_sealed
from agent.vault.signing import load_public

CALL, OTHER = "0192" + "0" * 28, "0193" + "1" * 28
START = 1_790_000_000_000_000_000
FAR = 1 << 61
NUMBER = "06 12 34 56 78"


class Site(RunningSite):
    """A configured site of which nothing runs, with a call of the person and one of somebody else, unsent."""

    def __init__(self, home: RunningSite, folder: Path) -> None:
        self.folder, self.etc = folder, folder / "etc"
        shutil.copytree(home.etc, self.etc)
        self.config = self.etc / "greffier.toml"
        self.config.write_text(self.config.read_text().replace(str(home.folder), str(folder)))
        self.key = read_sealed(self.etc / "keys", "numbers.key")
        self.put(CALL, "+33612345678", "2001")
        self.put(OTHER, "+33687654321", "2001")

    def put(self, call_id: str, *numbers: str) -> None:
        catalog = self.catalog()
        row = CallRow(call_id, "r", "siprec", "g", "inbound", "sales", None, START, START + 5, "bye", "finalised", 8000)
        catalog.start_call(row)
        hashes = [number_hash(self.key, number) for number in numbers]
        catalog.set_parties(
            call_id, [PartyRow(call_id, f"p{n}", "customer", h, START, None, n) for n, h in enumerate(hashes)]
        )
        for purpose in ("evidence", "training"):
            path = f"{purpose}/{call_id}.transcript.json.age"
            segments = [{"channel": n, "start": 0.0, "end": 1.0, "text": f"said by {n}", "words": []} for n in (0, 1)]
            plain = {"call": call_id, "purpose": purpose, "started_ns": START, "duration_s": 1, "language": "fr"}
            clear = json.dumps({**plain, "segments": segments}).encode()
            recipient = (self.etc / "recipients" / f"{purpose}.txt").read_text().splitlines()[-1]
            cipher = age.encrypt(clear, [recipient])
            file = self.settings.outbox_dir / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(cipher)
            catalog.add_artifact(
                Artifact(f"{call_id}-{purpose}", call_id, purpose, ArtifactKind.TRANSCRIPT, path, "application/json",
                         len(cipher), "p", commands.hashlib.sha256(cipher).hexdigest(), START, FAR, FAR, "centre",
                         Delivery.WAITING)
            )  # fmt: skip

    def person(self, *words: object, typed: str | None = None, status: int = 0) -> str:
        arguments = [*map(str, ("person", *words)), "--config", str(self.config)]
        done = CliRunner().invoke(app, arguments, input=typed, env={"COLUMNS": "250"})
        assert done.exit_code == status, (done.output, done.exception)
        return " ".join(done.output.split())

    def record(self, right: str, number: int) -> tuple[dict, str]:
        name = self.settings.persons_dir / f"{number:06d}-{right}"
        public = load_public(self.etc / "keys" / "site.pem.pub")
        return check_manifest(name.with_suffix(".json").read_bytes(), public), Path(f"{name}.fr.txt").read_text()

    def said(self, kind: str) -> list:
        return [line for line in read(self.settings.journal_dir) if line.kind == kind]

    def waiting(self) -> set[str]:
        return {a.call_id for a in self.catalog().due_deliveries(START)}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> RunningSite:
    return RunningSite(tmp_path_factory.mktemp("home"))


@pytest.fixture
def site(home: RunningSite, tmp_path: Path) -> Site:
    return Site(home, tmp_path)


@pytest.fixture
def at_keyboard(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda name: monkeypatch.setattr(commands, "at_keyboard", lambda: f"cli:{name}")


def test_a_number_is_found_however_it_is_written_and_kept_nowhere(site: Site) -> None:
    for typed in (NUMBER, "+33612345678", "0033 6 12 34 56 78"):
        rows = json.loads(site.person("find", "-", "--json", typed=f"{typed}\n"))
        assert {(r["call"], r["purpose"]) for r in rows} == {(CALL, "evidence"), (CALL, "training")}
        assert {r["purpose"]: r["erasable"] for r in rows} == {"evidence": False, "training": True}
    body, letter = site.record("find", 1)
    assert [call["call"] for call in body["calls"]] == [CALL] and "Appels concernés : 1" in letter
    assert "Nothing is kept" in site.person("find", typed="0699999999\n")
    assert "Aucun enregistrement" in site.record("find", 4)[1]
    for withheld in ("anonymous", "Anonymous", "\n", "0000"):
        assert "number" in site.person("find", "-", typed=f"{withheld}\n", status=2)
    for path in (p for p in site.settings.site.state_dir.rglob("*") if p.is_file()):
        assert b"12345678" not in path.read_bytes() and b"34 56" not in path.read_bytes(), path
    digests = {one.record_sha256 for one in site.catalog().persons.requests()}
    assert {line.fields["record_sha256"] for line in site.said("person.find")} == digests and len(digests) == 4


def test_a_changed_record_does_not_pass(site: Site) -> None:
    site.person("find", "-", typed=f"{NUMBER}\n")
    path = site.settings.persons_dir / "000001-find.json"
    path.write_text(path.read_text().replace(CALL, OTHER))
    with pytest.raises(BadManifest):
        site.record("find", 1)


def test_restriction_stops_use_delivery_and_deletion_until_it_is_lifted_by_two(
    site: Site, at_keyboard: Callable[[str], None]
) -> None:
    site.config.write_text(site.config.read_text() + "\n[retention]\ntwo_person = true\n")
    catalog = site.catalog()
    for call_id in (CALL, OTHER):
        catalog.indexed.replace(
            None, f"s{call_id}", IndexedRow(f"{call_id}-training", call_id, "training", "", "d", 1), ()
        )

    def free() -> set[str]:
        found = {row.call_id for row in catalog.indexed.shown("training", START)}
        due = {a.call_id for a in catalog.retained.due(FAR + 1)}
        assert site.waiting() == found == due
        assert {c for c in (CALL, OTHER) if catalog.corrections.claim(f"{c}-training", START)} == found
        return found

    assert free() == {CALL, OTHER}
    at_keyboard("ann")
    site.person("restrict", "-", "--reason", "contested", typed=f"{NUMBER}\n")
    assert free() == {OTHER}
    key = site.etc / "purpose-keys" / "training.key.txt"
    assert "restricted" in site.greffier("export", CALL, "--key", key, "--into", site.folder, status=1)
    assert "ne sont plus utilisées" in site.record("restrict", 1)[1]
    assert site.record("restrict", 1)[0]["calls"][0]["restricted"] is True
    site.put("0194" + "2" * 28, "0612345678", "2001")
    assert site.waiting() == {OTHER}, "a call that comes later, written otherwise"
    later = time.time_ns()
    catalog.orders.plan(later, ["centre"])

    lift = ("restrict", "-", "--lift", "--reason", "settled")
    assert "second, other person" in site.person(*lift, typed=f"{NUMBER}\n") and free() == {OTHER}
    assert "seconde validation" in site.record("lift", 2)[1]
    assert "second, other person" in site.person(*lift, typed=f"{NUMBER}\n") and free() == {OTHER}
    at_keyboard("bob")
    assert "is lifted" in site.person(*lift, typed=f"{NUMBER}\n")
    assert site.waiting() == {CALL, OTHER, "0194" + "2" * 28}
    assert "nothing of this number is restricted" in site.person(*lift, typed=f"{NUMBER}\n", status=1)


def test_an_objection_is_on_the_opt_out_list_once(site: Site) -> None:
    for _ in range(2):
        assert "are kept" in site.person("object", "-", "--reference", "DPO-3", typed=f"{NUMBER}\n")
    (entry,) = read_list(site.settings.lists_dir / OPT_OUT)
    assert entry.hash == Hasher.load(site.settings.site.keys_dir, "33")("+33612345678")
    assert len(site.said("list.added")) == 1 and len(site.said("person.object")) == 2
    assert "Votre référence : DPO-3" in site.record("object", 1)[1]


def test_nothing_is_erased_unasked_and_what_is_asked_waits_for_the_scribe(site: Site) -> None:
    erase = ("erase", "-", "--reason", "art. 17", "--wait", "0")
    assert "nothing was done" in site.person(*erase, typed=f"{NUMBER}\n", status=2)
    assert site.waiting() == {CALL, OTHER} and site.catalog().corrections.open_rows() == []
    site.greffier("hold", "add", "--case", "7", "--call", CALL, "--purpose", "training", "--reason", "court")
    said = site.person(*erase, "--yes", typed=f"{NUMBER}\n")
    assert "the scribe has not done it all yet" in said
    assert site.waiting() == {OTHER}, "from this moment on"
    assert {(r.call_id, r.purpose) for r in site.catalog().corrections.open_rows()} == {
        (CALL, "evidence"),
        (CALL, "training"),
    }
    site.person(*erase, "--yes", typed=f"{NUMBER}\n")
    assert len(site.catalog().corrections.open_rows()) == 2, "said twice, asked once"


def test_the_number_goes_when_nothing_of_the_call_is_left(site: Site) -> None:
    catalog, journal = site.catalog(), Journal(site.settings.journal_dir, "scribe", time.time_ns)
    site.person("erase", "-", "--reason", "art. 17", "--wait", "0", "--yes", typed=f"{NUMBER}\n")
    for row in catalog.corrections.open_rows():
        if row.purpose == "training":
            catalog.corrections.withdraw(f"{CALL}-training", START)
            catalog.mark_local_deleted(f"{CALL}-training", START)
        catalog.corrections.turn(row, "done", START, detail="" if row.purpose == "training" else "kept: contract")
    assert unlink(catalog, journal, START, ["centre"]) == 0, "evidence is kept"
    assert json.loads(site.person("find", "-", "--json", typed=f"{NUMBER}\n"))[1]["fate"] == "erased"
    catalog.mark_local_deleted(f"{CALL}-evidence", START)
    assert unlink(catalog, journal, START, ["centre"]) == 1 == len(site.said("person.unlinked"))
    assert json.loads(site.person("find", "-", "--json", typed=f"{NUMBER}\n")) == []
    agent = json.loads(site.person("find", "-", "--json", typed="2001\n"))
    assert {row["call"] for row in agent} == {CALL, OTHER}, "the other party's name stays"


def test_an_archive_is_for_somebody_and_holds_own_words_only(site: Site, tmp_path: Path) -> None:
    out, keys = tmp_path / "a.zip.age", site.etc / "purpose-keys"
    access = ("access", "-", "--out", out, "--key", keys / "training.key.txt")
    assert "for whom" in site.person(*access, typed=f"{NUMBER}\n", status=2)
    assert "public key" in site.person(*access, "--to", "age1nonsense", typed=f"{NUMBER}\n", status=2)
    assert not out.exists() and site.catalog().persons.requests() == []
    mine = age.new_identity()
    said = site.person(*access, "--to", mine.recipient, typed=f"{NUMBER}\n")
    assert "1 calls, 1 files" in said and "readers' key was not at hand" in said
    archive = zipfile.ZipFile(io.BytesIO(age.decrypt(out.read_bytes(), mine.secret)))
    words = json.loads(archive.read(f"calls/{CALL}/training-transcript.json"))
    assert words["segments"] == [{"start": 0.0, "end": 1.0, "text": "said by 0"}]
    assert b"said by 1" not in b"".join(archive.read(name) for name in archive.namelist())
    assert "exists already" in site.person(*access, "--to", mine.recipient, typed=f"{NUMBER}\n", status=2)
    file = next((site.settings.outbox_dir / "training").glob(f"{CALL}*"))
    file.write_bytes(file.read_bytes() + b"x")
    said = site.person(
        "access",
        "-",
        "--out",
        tmp_path / "b.zip",
        "--in-clear",
        "--key",
        keys / "training.key.txt",
        typed=f"{NUMBER}\n",
    )
    assert "is not what was filed" in said and "is in clear" in said


def test_a_newer_restriction_stays_where_only_the_older_is_lifted(
    site: Site, at_keyboard: Callable[[str], None]
) -> None:
    site.config.write_text(site.config.read_text() + "\n[retention]\ntwo_person = true\n")
    lift = ("restrict", "-", "--lift", "--reason", "settled")
    at_keyboard("ann")
    site.person("restrict", "-", "--reason", "contested", typed=f"{NUMBER}\n")
    site.person(*lift, typed=f"{NUMBER}\n")
    site.person("restrict", "-", "--reason", "contested anew", typed=f"{NUMBER}\n")
    at_keyboard("bob")
    assert "is lifted" not in site.person(*lift, typed=f"{NUMBER}\n"), "one of two still holds"
    assert site.catalog().persons.is_restricted(CALL)
