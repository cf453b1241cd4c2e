"""Rights of persons on a whole agent: S35, erasure; S36, access; restriction and objection between them."""

import asyncio
import io
import json
import os
import re
import subprocess
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from frames import frames_of, heard_in, noise
from running_site import GREFFIER, RunningSite, wait_for

from agent.probe import ProbeCall
from agent.store.journal import JournalLine, read
from agent.store.persons import Place
from agent.vault.manifest import check_manifest
from agent.vault.numbers import number_hashes
from agent.vault.sealed import read_sealed
from agent.vault.signing import load_public

NUMBER, OTHER = "+33612345678", "+33687654321"
TYPED = "06 12 34 56 78"


def configured(text: str, edit: Callable[..., str]) -> str:
    """Audio of every call, in FLAC: evidence, which the law demands, and training, which may be withdrawn."""
    every = {"trigger": '"all"', "percent": None, "keep_from": None, "audio_format": '"flac"', "redact": "[]"}
    text = edit(text, "purpose.evidence", artifacts='["audio", "manifest"]', basis='"legal obligation"', **every)
    text = edit(text, "purpose.training", artifacts='["audio", "manifest"]', **every)
    text = edit(text, "purpose.analytics", artifacts="[]")
    text = edit(text, "scribe", engine='"none"')
    text += "\n[courier]\npoll_s = 0.2\nretry_first_s = 0.2\nretry_max_s = 1\n"
    return text + '[persons]\ncontroller = "Exemple SA, Lyon"\n'


async def placed(seen, number: str, customer: np.ndarray, agent: np.ndarray, extension: str = "201") -> str:
    async with ProbeCall(seen.target("tcp"), customer_number=number, agent_number=extension) as call:
        await call.invite()
        call_id: str = await asyncio.to_thread(seen.site.call_of, call.session_id)
        await call.speak((customer, agent))
        await call.bye()
        return call_id


def lines(site: RunningSite, kind: str) -> list[JournalLine]:
    return [line for line in read(site.settings.journal_dir) if line.kind == kind]


def record_of(site: RunningSite, right: str, number: int) -> tuple[dict, str]:
    """The signed record, checked, and the letter of a request."""
    name = f"{number:06d}-{right}"
    data = (site.settings.persons_dir / f"{name}.json").read_bytes()
    public = load_public(site.etc / "keys" / "site.pem.pub")
    return check_manifest(data, public), (site.settings.persons_dir / f"{name}.fr.txt").read_text()


def nowhere_in_clear(site: RunningSite) -> None:
    """The number, in any writing, is in no file but what is encrypted."""
    for path in (p for p in site.settings.site.state_dir.rglob("*") if p.is_file() and p.suffix != ".age"):
        data = path.read_bytes()
        assert b"612345678" not in data and TYPED.encode() not in data, path
    assert "612345678" not in site.log.read_text() and TYPED not in site.log.read_text()


def typed(site: RunningSite, *words: object, number: str = TYPED, status: int = 0) -> str:
    """A `greffier person` command that reads the number from standard input."""
    command = [*GREFFIER, "person", *map(str, words), "--config", str(site.config)]
    environment = {**os.environ, "COLUMNS": "250", "NO_COLOR": "1"}
    done = subprocess.run(command, input=f"{number}\n", capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == status, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return " ".join((done.stdout + done.stderr).split())


def places(site: RunningSite, call_id: str, purpose: str) -> list[Place]:
    found = site.catalog().persons.places(call_id)
    return [p for p in found if p.artifact.purpose == purpose and p.artifact.kind.value != "tombstone"]


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_s35_what_waits_never_leaves_what_left_is_called_back_what_the_law_demands_is_listed(
    make_site, edit, run_story
) -> None:
    seen = make_site(lambda text: configured(text, edit))
    site = seen.site
    sent = run_story(placed(seen, NUMBER, noise(1, 1), noise(1, 2)))
    seen.wait_delivered(sent)
    centre, away = site.centre, site.centre.with_name("away")
    centre.rename(away)  # the centre cannot be reached: what comes next waits in the outbox
    centre.write_text("not a folder")

    async def later() -> list[str]:
        calls = [(NUMBER, 3), (OTHER, 5)]
        return [await placed(seen, number, noise(1, seed), noise(1, seed + 1)) for number, seed in calls]

    waiting, others = run_story(later())
    for call_id in (waiting, others):
        site.wait_state(call_id, "finalised")
    wait_for("a failed delivery", lambda: site.events("delivery.retry"))
    held = {c: {p.artifact.path for p in places(site, c, "training")} for c in (sent, waiting)}
    assert all(len(paths) == 2 for paths in held.values())
    site.greffier("hold", "add", "--case", "7", "--call", sent, "--purpose", "evidence", "--reason", "court")

    assert "--yes does it" in typed(site, "erase", "-", "--reason", "art. 17", status=2)
    assert lines(site, "drop.asked") == []
    said = typed(site, "erase", "-", "--reason", "art. 17", "--reference", "mail of Tuesday", "--yes")
    assert said.count("kept: its basis is legal obligation") >= 2

    centre.unlink()
    away.rename(centre)
    assert (centre / min(held[sent])).exists() or not places(site, sent, "training")[0].at_centre
    seen.wait_delivered(waiting)
    seen.wait_delivered(others)
    wait_for("deletion at the centre", lambda: not any(p.at_centre for p in places(site, sent, "training")), 60)
    time.sleep(1.5)  # some rounds of the lane
    there = {str(path.relative_to(centre)) for path in centre.rglob("*") if path.is_file()}
    assert not there & (held[sent] | held[waiting]), "gone where it had been, and never come where it had not"
    assert {f"training/{c}.audio.flac.age" in there for c in (sent, waiting)} == {False}
    assert f"training/{others}.audio.flac.age" in there and f"evidence/{waiting}.audio.flac.age" in there
    assert not any((site.settings.outbox_dir / path).exists() for path in held[sent] | held[waiting])

    # tombstones for what had left, and for nothing else
    graves = {p.artifact.path for c in (sent, waiting) for p in site.catalog().persons.places(c)
              if p.artifact.kind.value == "tombstone"}  # fmt: skip
    assert f"training/{sent}.tombstone-2.json.age" in graves
    tombstone = seen.opened(sent, "training", "tombstone")
    assert {one["path"] for one in json.loads(tombstone)["body"]["destroy"]} == held[sent]

    # said again, it tells how it stands
    said = typed(site, "erase", "-", "--reason", "art. 17", "--yes")
    body, text = record_of(site, "erase", 2)
    fates = {(c["call"], p["purpose"]): (p["fate"], p["why"]) for c in body["calls"] for p in c["purposes"]}
    assert fates == {
        (sent, "training"): ("erased", ""),
        (waiting, "training"): ("erased", ""),
        (sent, "evidence"): ("kept", "legal obligation"),
        (waiting, "evidence"): ("kept", "legal obligation"),
    }
    assert "obligation légale" in text and "transmis à centre, qui l'a détruit" in text and "Exemple SA, Lyon" in text
    assert "échéance : " in text and others[:12] not in json.dumps(body)
    assert [line.fields["calls"] for line in lines(site, "person.erase")] == [2, 2]
    assert {line.call_id for line in lines(site, "drop.kept")} == {sent, waiting}
    nowhere_in_clear(site)
    site.stop()
    assert "everything is as it was written" in site.greffier("verify", "--folder", centre)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_s36_one_archive_has_all_that_is_kept_about_a_person_and_nothing_about_others(
    make_site, edit, run_story, tmp_path: Path
) -> None:
    seen = make_site(lambda text: configured(text, edit))
    site = seen.site
    mine, agent, strange = noise(2, 11), noise(2, 12), noise(2, 13)

    async def story() -> list[str]:
        first = await placed(seen, NUMBER, mine, agent)
        second = await placed(seen, "0033612345678", noise(1, 14), noise(1, 15), "202")
        return [first, second, await placed(seen, OTHER, strange, noise(2, 16))]

    first, second, others = run_story(story())
    for call_id in (first, second, others):
        seen.wait_delivered(call_id)
    secret = tmp_path / "person.key"
    subprocess.run(["age-keygen", "-o", secret], check=True, capture_output=True)
    recipient = next(x.split(": ")[1] for x in secret.read_text().splitlines() if "public key" in x)
    keys = [w for p in ("evidence", "training") for w in ("--key", site.etc / "purpose-keys" / f"{p}.key.txt")]
    out = tmp_path / "person.zip.age"

    assert "for whom" in typed(site, "access", "-", "--out", out, status=2)
    typed(site, "access", "-", "--out", out, "--to", recipient, *keys, "--reference", "A-1")
    assert out.read_bytes().startswith(b"age-encryption.org/v1") and out.stat().st_mode & 0o077 == 0
    opened = subprocess.run(["age", "-d", "-i", secret, out], check=True, capture_output=True).stdout
    archive = zipfile.ZipFile(io.BytesIO(opened))
    names = archive.namelist()

    # everything: each call, each purpose, each file that is kept
    french, english = (archive.read(name).decode() for name in ("index.html", "index.en.html"))
    for page in (french, english):
        assert first in page and second in page and "A-1" in page
        assert all(name in page for name in names if name.startswith("calls/"))
    assert "Données conservées à votre sujet" in french and "obligation légale" in french and "centre" in french
    assert {n for n in names if n.startswith("calls/")} == {
        f"calls/{c}/{p}-audio.flac" for c in (first, second) for p in ("evidence", "training")
    }
    data = json.loads(archive.read("data.json"))
    assert [c["call"] for c in data["calls"]] == [first, second]
    kept = {(a.artifact.purpose, a.artifact.kind.value) for a in site.catalog().persons.places(first)}
    assert {(a["purpose"], a["kind"]) for a in data["calls"][0]["artifacts"]} == kept
    assert all(a["sent_ns"] and a["destination"] == "centre" for a in data["calls"][0]["artifacts"])

    # nothing about others
    everything = b"".join(archive.read(name) for name in names if not name.endswith(".flac")).decode()
    for word in (others, OTHER[1:], NUMBER[1:], "201", "cli:", "agent:"):
        assert re.search(rf"\b{word}\b" if word.isdigit() else word, everything) is None, word
    key = read_sealed(site.etc / "keys", "numbers.key")
    assert not any(h in everything for n in (OTHER, "201", "202") for h in number_hashes(key, n, "33"))
    heard = heard_of(archive.read(f"calls/{first}/evidence-audio.flac"))
    assert heard.shape[0] == 1 and heard_in(heard, mine) == len(frames_of(mine))
    for name in (n for n in names if n.endswith(".flac")):
        assert heard_in(heard_of(archive.read(name)), agent) == heard_in(heard_of(archive.read(name)), strange) == 0

    # without a purpose's key its artifacts are listed, not opened
    clear = tmp_path / "person.zip"
    said = typed(site, "access", "-", "--out", clear, "--in-clear", *keys[:2])
    assert "is in clear" in said and "their key" not in said and "readers' key was not at hand" in said
    assert {n.split("/")[2] for n in zipfile.ZipFile(clear).namelist() if n.startswith("calls/")} == {
        "evidence-audio.flac"
    }
    body, text = record_of(site, "access", 1)
    assert (
        body["archive"]["to"] == [recipient] and len(body["enclosed"]) == 8 and "Droit d'accès".lower() in text.lower()
    )

    # the extension's person has their own half of each of its calls
    typed(site, "access", "-", "--out", tmp_path / "agent.zip", "--in-clear", *keys, number="202")
    agents = zipfile.ZipFile(tmp_path / "agent.zip")
    assert {n.split("/")[1] for n in agents.namelist() if n.startswith("calls/")} == {second}
    heard = heard_of(agents.read(f"calls/{second}/evidence-audio.flac"))
    assert heard_in(heard, noise(1, 15)) == len(frames_of(noise(1, 15))) and heard_in(heard, noise(1, 14)) == 0
    assert "nobody's" in typed(site, "find", "-", number="anonymous", status=2)
    nowhere_in_clear(site)


def heard_of(data: bytes) -> np.ndarray:
    with av.open(io.BytesIO(data)) as container:
        frames = [f.to_ndarray().reshape(-1, f.layout.nb_channels).T for f in container.decode(audio=0)]
    return np.concatenate(frames, axis=1)
