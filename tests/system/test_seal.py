"""S37: a changed byte in any artifact, manifest, timestamp or journal line is named; all intact is said so, offline."""

import asyncio
import hashlib
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree

import pytest
from running_site import RunningSite, running_site, wait_for
from tsa import TimestampAuthority, serving

from agent.config import Endpoint
from agent.courier.timestamps import Timestamps
from agent.model.artifact import Delivery
from agent.model.purpose import ArtifactKind
from agent.probe import ProbeCall, dialogue
from agent.store.journal import Journal
from agent.store.report import Report
from agent.store.timestamps import Queue
from agent.store.verify import verify_folder, verify_site
from agent.vault.sealed import Box
from agent.vault.signing import load_public
from agent.vault.sitekeys import rotate
from agent.vault.timestamp import Trust, load_trust

ROOT = Path(__file__).parents[2]
ENDINGS = ("audio.flac.age", "manifest.json.age", "manifest.json.tsr")


@dataclass
class Sealed:
    """A site that recorded one call and was stopped, and what a stranger has: deliveries, public key, certificate."""

    site: RunningSite
    tsa: TimestampAuthority
    call: str
    waited: Queue
    """How the queue of timestamps stood when all else was delivered, and the authority was still away."""

    @property
    def public(self) -> Path:
        return self.site.etc / "keys" / "site.pem.pub"

    @property
    def key(self) -> Path:
        return self.site.etc / "purpose-keys" / "evidence.key.txt"

    @property
    def trust(self) -> Trust:
        return load_trust(self.tsa.ca)

    def verify(self, *, key: bool = False) -> Report:
        """As `greffier verify` on the box."""
        s = self.site.settings
        secrets = [self.key.read_text().splitlines()[-1]] if key else []
        public = load_public(self.public)
        return verify_site(s.journal_dir, s.outbox_dir, self.site.catalog(), public, secrets, self.trust)

    def delivered(self, *, key: bool = True, journal: bool = False) -> Report:
        """As a stranger does, with what was delivered, the public keys, and perhaps a copy of the journal."""
        secrets = [self.key.read_text().splitlines()[-1]] if key else []
        copy = self.site.settings.journal_dir if journal else None
        return verify_folder(self.site.centre, load_public(self.public), secrets, self.trust, copy)


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sealed]:
    folder = tmp_path_factory.mktemp("sealed")
    with serving(TimestampAuthority(folder / "authority")) as tsa:

        def edit(text: str) -> str:
            section = f'[timestamp]\nurl = "{tsa.url}"\nca = "{tsa.ca}"\ncheckpoint_interval = 0\n\n'
            text = text.replace('engine = "auto" ', 'engine = "none" ').replace("percent = 10", "percent = 0")
            text = text.replace('trigger = "on_demand"', 'trigger = "all"')
            return text.replace("[destination.centre]", f"{section}[destination.centre]")

        async def call(site: RunningSite) -> None:
            endpoint = Endpoint(transport="tcp", host="127.0.0.1", port=site.sip_port)
            async with ProbeCall(endpoint) as probe:
                await probe.invite()
                await probe.speak(dialogue("en").cut(0, 3))
                site.press("pause", call=site.call_of(probe.session_id), reason="card <b>number</b>")
                await probe.speak(dialogue("en").cut(3, 5))
                site.press("resume", call=site.call_of(probe.session_id))
                await probe.speak(dialogue("en").cut(5, 7))
                await probe.bye()

        with running_site(folder / "site", edit=edit) as site:
            tsa.away = True
            asyncio.run(call(site))
            (row,) = wait_for("the call", lambda: site.catalog().calls() or None)

            def delivered(kind: ArtifactKind) -> bool:
                made = site.catalog().artifacts(call_id=row.call_id, purpose="evidence")
                return any(a.kind is kind and a.delivery is Delivery.SENT for a in made)

            wait_for("the manifest at the centre", lambda: delivered(ArtifactKind.MANIFEST), 60)
            queue = site.catalog().timestamps.queue
            waited = wait_for("a question in vain", lambda: q if (q := queue()).detail else None, 60)
            tsa.away = False
            wait_for("the manifest's timestamp at the centre", lambda: delivered(ArtifactKind.TIMESTAMP), 60)
            wait_for("a stamped checkpoint", lambda: site.catalog().timestamps.checkpoints() or None, 90)
        s, catalog = site.settings, site.catalog()
        journal = Journal(s.journal_dir, "courier", time.time_ns)
        folders = (s.courier, s.outbox_dir, s.journal_dir)
        courier = Timestamps(s.timestamp, ("evidence",), *folders, catalog, journal, threading.Event(), time.time_ns)
        courier.step()  # the checkpoint of the scribe's end, as at the courier's next start
        yield Sealed(site, tsa, row.call_id, waited)


def flipped(path: Path, at: int) -> Callable[[], None]:
    """Change one bit of a file; returns what mends it."""
    whole = path.read_bytes()
    changed = bytearray(whole)
    changed[at % len(whole)] ^= 1
    path.write_bytes(changed)
    return lambda: path.write_bytes(whole) and None


@pytest.mark.slow
def test_s37_intact_is_said_offline_with_public_keys_only(sealed: Sealed, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "agent.cli", "verify", sealed.call[:12]]
    here = [*command, "--config", sealed.site.config]
    stranger = [*command, "--folder", sealed.site.centre, "--public", sealed.public, "--tsa-ca", sealed.tsa.ca]
    stranger += ["--journal", sealed.site.settings.journal_dir]
    for arguments in (here, stranger):
        offline = ["unshare", "-n", "--", *map(str, arguments)]
        environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}
        done = subprocess.run(offline, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "everything is as it was written" in done.stdout
        assert f"evidence/{sealed.call}.manifest.json.age: closed" in done.stdout
        assert "in the journal: line" in done.stdout and "says CN=tsa" in done.stdout
    report = sealed.delivered()
    assert report.problems == [] and report.counts["timestamps"] == 1
    (proof,) = [p for p in sealed.verify(key=True).proofs if p.path.startswith("evidence/")]
    assert proof.opened and proof.follows and proof.line and proof.seal and proof.seal_stamp and proof.stamp


@pytest.mark.slow
def test_s37_while_the_authority_is_away_all_is_delivered_and_only_timestamps_wait(sealed: Sealed) -> None:
    assert sealed.waited.waiting >= 1 and "HTTP 503" in sealed.waited.detail
    (mine,) = [row for row in sealed.site.catalog().timestamps.of_call(sealed.call) if row.purpose == "evidence"]
    assert mine.state == "done" and mine.at_ns > sealed.waited.oldest_ns, "it says when it came, and nothing else"


@pytest.mark.slow
@pytest.mark.parametrize("language", ["fr", "en"])
def test_s37_the_evidence_report_says_so_on_a_page(sealed: Sealed, tmp_path: Path, language: str) -> None:
    site, page = sealed.site, tmp_path / "report.html"
    asked = ("verify", sealed.call, "--report", page, "--language", language)
    site.greffier(*asked, "--key", sealed.key)
    text = page.read_text()
    assert page.stat().st_mode & 0o77 == 0
    assert (
        "INTACT" in text
        and text.count("<polygon") == 2
        and "&lt;b&gt;number&lt;/b&gt;" in text
        and "<script" not in text
    )
    assert "cli:" not in text and "admin" in text and "CN=tsa" in text and sealed.call in text
    shown = site.greffier("show", sealed.call)
    assert "existed at" in shown and "CN=tsa" in shown
    site.greffier(*asked)
    assert "<polygon" not in page.read_text() and "INTACT, CONTEN" in page.read_text()
    mend = flipped(site.settings.outbox_dir / f"evidence/{sealed.call}.audio.flac.age", 300)
    said = site.greffier(*asked, "--key", sealed.key, status=1)
    mend()
    if language == "en":
        found = json.loads(site.greffier("verify", sealed.call, "--json", "--key", sealed.key))
        (proof,) = [p for p in found["proofs"] if p["path"].startswith("evidence/")]
        assert found["intact"] and found["problems"] == [] and proof["stamp"]["authority"] == "CN=tsa"
    assert "audio.flac.age" in said and ("ALTÉRÉ" if language == "fr" else "ALTERED") in page.read_text()


@pytest.mark.slow
def test_s37_a_stranger_follows_the_keys_of_a_site_that_changed_its_own(sealed: Sealed, tmp_path: Path) -> None:
    keys = copytree(sealed.public.parent, tmp_path / "keys")
    old, new = rotate(keys, Box.of(keys), time.time_ns(), lambda _old, _new: None)
    page, links = tmp_path / "report.html", (keys / "site-keys.json")
    for secret in keys.glob("*.pem"):
        secret.unlink()
    asked = ("verify", sealed.call, "--folder", sealed.site.centre, "--public", keys / "site.pem.pub")
    asked += ("--tsa-ca", sealed.tsa.ca, "--key", sealed.key, "--report", page, "--language", "en")
    sealed.site.greffier(*asked)
    assert (
        hashlib.sha256(old).hexdigest() in page.read_text() and hashlib.sha256(new).hexdigest() not in page.read_text()
    )
    links.write_text(links.read_text().replace(new.hex(), old.hex()))
    assert "site-keys.json" in sealed.site.greffier(*asked, status=1)
    links.unlink()
    assert "the signature does not hold" in sealed.site.greffier(*asked, status=1)
    (tmp_path / "empty").mkdir()
    assert "nothing" in sealed.site.greffier(
        "verify", "--folder", tmp_path / "empty", "--public", sealed.public, status=1
    )


@pytest.mark.slow
def test_s37_openssl_age_and_jq_alone_check_what_was_delivered(sealed: Sealed, tmp_path: Path) -> None:
    """Just as docs/evidence.md tells a stranger to."""
    script = re.findall(r"```bash\n(.*?)```", (ROOT / "docs" / "evidence.md").read_text(), re.DOTALL)[0]
    centre, journal = copytree(sealed.site.centre, tmp_path / "centre"), tmp_path / "journal"
    copytree(sealed.site.settings.journal_dir, journal)
    held = tmp_path / "held"
    held.mkdir()
    for path, name in (
        (sealed.key, "evidence.key.txt"),
        (sealed.public, "site.pem.pub"),
        (sealed.tsa.ca, "tsa-ca.pem"),
    ):
        (held / name).write_bytes(path.read_bytes())

    def stranger() -> subprocess.CompletedProcess[str]:
        given = {"CALL": sealed.call, "HELD": str(held), "JOURNAL": str(journal), "PATH": "/usr/bin:/bin"}
        command = ["bash", "-c", script]
        return subprocess.run(
            command, cwd=centre / "evidence", env=given, capture_output=True, text=True, check=False, timeout=60
        )

    done = stranger()
    assert done.returncode == 0, done.stdout + done.stderr
    assert (done.stdout + done.stderr).count("Verification: OK") == 2, "manifest and checkpoint existed"
    assert done.stdout.count("Signature Verified Successfully") == 2
    assert f"../evidence/{sealed.call}.audio.flac.age: OK" in done.stdout and "Time stamp:" in done.stdout
    for path, at in (
        (centre / f"evidence/{sealed.call}.audio.flac.age", 300),
        (centre / f"evidence/{sealed.call}.manifest.json.age", 300),
        (centre / f"evidence/{sealed.call}.manifest.json.tsr", -1),
        (journal / "scribe.jsonl", 2000),
        (journal / "checkpoints.jsonl", 300),
        (max(journal.glob("timestamps/*.tsr"), key=lambda p: int(p.stem)), -1),
    ):
        mend = flipped(path, at)
        assert stranger().returncode != 0, path.name
        mend()


@pytest.mark.slow
def test_s37_a_changed_byte_is_named_wherever_it_is(sealed: Sealed) -> None:
    outbox, centre = sealed.site.settings.outbox_dir, sealed.site.centre
    journal = sealed.site.settings.journal_dir
    for ending in ENDINGS:
        name = f"evidence/{sealed.call}.{ending}"
        size = (outbox / name).stat().st_size
        for at in (0, size // 3, size // 2, size - 1):
            mend = flipped(outbox / name, at)
            assert name in {p.where for p in sealed.verify().problems}, (ending, at)
            mend()
            mend = flipped(centre / name, at)
            named = {p.where for p in sealed.delivered().problems}
            seen_closed = ending == "manifest.json.age"  # does not open any more, so that only the journal can tell
            assert name in named or seen_closed, (ending, at)
            assert name in {p.where for p in sealed.delivered(key=False, journal=True).problems}, (ending, at)
            mend()
    for path in sorted([*journal.glob("*.jsonl"), *journal.glob("timestamps/*.tsr")]):
        whole = path.read_bytes()
        for at in range(0, len(whole), max(1, len(whole) // 9)):
            mend = flipped(path, at)
            number = whole[:at].count(b"\n") + 1
            where = f"timestamps/{path.name}" if path.suffix == ".tsr" else f"{path.name} line {number}"
            torn = path.suffix == ".jsonl" and at == len(whole) - 1  # a line without its end was never acknowledged
            assert torn or where in {p.where for p in sealed.verify().problems}, (path.name, at)
            mend()
    assert sealed.verify(key=True).problems == [] and sealed.delivered(journal=True).problems == []


@pytest.mark.slow
def test_s37_what_is_taken_away_or_put_there_is_named(sealed: Sealed, tmp_path: Path) -> None:
    journal = sealed.site.settings.journal_dir
    path = journal / "scribe.jsonl"
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-2]))
    assert any("scribe.jsonl" in p.where for p in sealed.verify().problems), "the end was cut off, and a seal knows it"
    path.write_bytes(b"".join(lines[:2] + lines[3:]))
    assert any("does not follow" in p.what for p in sealed.verify().problems)
    path.write_bytes(whole)
    token = next(journal.glob("timestamps/*.tsr"))
    kept = token.read_bytes()
    token.unlink()
    assert f"timestamps/{token.name}" in {p.where for p in sealed.verify().problems}
    token.write_bytes(kept)
    copytree(sealed.site.centre, tmp_path / "centre")
    (tmp_path / "centre" / "evidence" / f"{sealed.call}.audio-9.flac.age").write_bytes(b"age?")
    public = load_public(sealed.public)
    report = verify_folder(tmp_path / "centre", public, [], sealed.trust, journal)
    assert any(p.what == "unknown to the journal" for p in report.problems)
