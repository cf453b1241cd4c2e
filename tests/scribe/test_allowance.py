"""A purpose without room in the outbox waits, whole, in the capture log; the others go on, and nothing is lost."""

from pathlib import Path

import pytest
from working import CALL, OTHER, Reader, lines, manifest, run, settle, tones

from agent.config import load
from agent.model.artifact import Delivery
from agent.model.budget import Budget
from agent.retain.budget import Relief
from agent.retain.sweep import sweep
from agent.scribe import engineroom
from agent.scribe.allowance import Allowance, NoRoom
from agent.store.catalog import Catalog
from agent.store.journal import Journal

TEXT = ("transcript.json", "subtitles.vtt", "manifest.json")
EVERYTHING = {
    f"{purpose}/{name}"
    for purpose, names in (
        ("evidence", ("audio.flac", *TEXT)),
        ("training", ("audio.opus", *TEXT)),
        ("analytics", TEXT),
    )
    for name in names
}


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody reads the calls."""
    monkeypatch.setattr(engineroom, "load", lambda *_: Reader("good", "je voudrais résilier mon contrat"))


def budgeted(make_site, *, whole: int | None = None, training: int | None = None):
    """A site with these budgets, in bytes, that delivers everything."""
    site = make_site("auto")
    text = site.config.read_text() + (f"\n[courier]\noutbox_budget = {whole}\n" if whole else "")
    for purpose in ("training", "analytics"):
        text = text.replace(f"[purpose.{purpose}]\n", f'[purpose.{purpose}]\ndestination = "central"\n')
    limit = f"disk_budget = {training}\n" if training else ""
    site.config.write_text(text.replace("[purpose.training]\n", f"[purpose.training]\n{limit}"))
    site.settings = load(site.config)
    return site


def made(site, call_id: str) -> set[str]:
    box = site.settings.outbox_dir
    paths = [p for p in box.glob(f"*/{call_id}.*.age")] if box.is_dir() else []
    return {f"{p.parent.name}/{p.name.split('.', 1)[1].removesuffix('.age')}" for p in paths}


def audio_size(site, purpose: str) -> int:
    """Of the call that was taped first, made without any budget."""
    catalog = Catalog(site.settings.catalog_path)
    return sum(a.size_bytes for a in catalog.artifacts(call_id=CALL, purpose=purpose))


def test_a_purpose_waits_alone_and_is_made_after_a_restart_with_more_room(make_site) -> None:
    site = budgeted(make_site, training=100)
    site.tape(CALL, tones(2), keep_at=0)
    scribe = run(site)
    assert made(site, CALL) == {name for name in EVERYTHING if not name.startswith("training")}
    assert list(site.settings.callkeys_dir.iterdir()), "its key is kept"
    assert scribe.catalog.find_call(CALL).state == "ended" and not scribe.step(), "and it is not tried again and again"
    assert [x.purpose for x in lines(site, "derivation.waits")] == ["training"]
    site.config.write_text(site.config.read_text().replace("disk_budget = 100\n", ""))
    site.settings = load(site.config)
    scribe = run(site)
    assert made(site, CALL) == EVERYTHING and scribe.catalog.find_call(CALL).state == "finalised"
    assert manifest(site, "training/manifest.json")["call"] == CALL
    assert list(site.settings.callkeys_dir.iterdir()) == []
    derived = [x.fields["path"] for x in lines(site, "derived")]
    assert len(derived) == len(set(derived)) == len(EVERYTHING), "nothing was made twice"


def test_delivered_copies_make_room_and_the_call_goes_on_by_itself(make_site) -> None:
    plain = make_site("auto")
    plain.tape(CALL, tones(2), keep_at=0)
    run(plain)
    one = sum(audio_size(plain, p) for p in ("evidence", "training", "analytics"))
    site = budgeted(make_site, whole=int(one * 1.5))
    site.tape(CALL, tones(2), keep_at=0)
    site.tape(OTHER, tones(2), keep_at=0)
    scribe = run(site)
    assert made(site, CALL) == EVERYTHING != made(site, OTHER)
    budget = Budget(("evidence", "training", "analytics"), int(one * 1.5))
    relief = Relief(budget, scribe.catalog, Journal(site.settings.journal_dir, "courier", lambda: 1))
    assert relief.step(10**18) == 0, "nothing was delivered: nothing may go"
    for artifact in scribe.catalog.artifacts(call_id=CALL):
        scribe.catalog.set_delivery(artifact.artifact_id, Delivery.SENT, 1)
    now_ns = max(a.created_ns for a in scribe.catalog.artifacts()) + 1
    while relief.step(now_ns):
        sweep(
            scribe.catalog, Journal(site.settings.journal_dir, "courier", lambda: 1), site.settings.outbox_dir, now_ns
        )
        scribe._next_care = 0.0
        settle(scribe)  # takes care: there is room
        settle(scribe)  # what waited goes on
        for artifact in scribe.catalog.artifacts(delivery=Delivery.WAITING):
            scribe.catalog.set_delivery(artifact.artifact_id, Delivery.SENT, 1)
    paths = {a.path for a in scribe.catalog.artifacts(call_id=OTHER)}
    assert {p.replace(f"{OTHER}.", "").removesuffix(".age") for p in paths} == EVERYTHING
    assert scribe.catalog.find_call(OTHER).state in ("finalised", "forgotten")
    here = sum(p.stat().st_size for p in site.settings.outbox_dir.rglob("*.age"))
    assert here <= budget.total
    assert len(lines(site, "local.early")) == len(lines(site, "local.deleted")) > 0


def test_a_file_too_large_for_what_is_left_waits_until_there_is_as_much(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "c.sqlite3")
    journal = Journal(tmp_path / "journal", "scribe", lambda: 1)
    allowance = Allowance(Budget(("training",), None, {"training": 1000}), catalog.lanes, journal)
    allowance.take("training", 600)
    with pytest.raises(NoRoom):
        allowance.take("training", 500)
    assert allowance.closed({"training", "evidence"}) == {"training"}
    with pytest.raises(NoRoom):
        allowance.take("training", 10)
    allowance.refresh()  # the catalog knows of no file: all is free
    assert allowance.closed({"training"}) == set()
    allowance.take("training", 500)
