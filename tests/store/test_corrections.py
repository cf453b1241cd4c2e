"""Corrections in the catalog: asked for, worked off, remembered; and keys kept for them."""

from dataclasses import replace
from pathlib import Path

import pytest

from agent.store.catalog import Catalog
from agent.store.rows import CallRow, CorrectionRow

CALL = "0192" + "0" * 28
ROW = CallRow(CALL, "r" * 32, "siprec", "192.0.2.1", "inbound", None, None, 1000, None, None, "live", 0)
MASK = CorrectionRow(CALL, "training", "mask", 8000, 16000, "cli:root", "card", 5)


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    made = Catalog(tmp_path / "catalog.sqlite3")
    made.start_call(ROW)
    return made


def test_a_correction_leads_its_life(catalog: Catalog) -> None:
    corrections = catalog.corrections
    corrections.ask([MASK, replace(MASK, purpose="evidence", verb="drop")])
    first, second = corrections.of_call(CALL)
    assert first == replace(MASK, number=first.number) and second.verb == "drop"
    assert corrections.open_rows() == [], "a live call has to wait"
    catalog.end_call(CALL, 9000, "bye", 64)
    assert {row.call_id for row in corrections.open_rows()} == {CALL}
    corrections.turn(first, "working", 6, revision=2)
    (working, _) = corrections.of_call(CALL)
    assert (working.state, working.revision, working.done_ns) == ("working", 2, None)
    corrections.turn(working, "done", 7)
    corrections.turn(second, "refused", 8, detail="no key")
    done, refused = corrections.of_call(CALL)
    assert (done.state, done.revision, done.done_ns) == ("done", 2, 7)
    assert (refused.state, refused.detail) == ("refused", "no key") and corrections.open_rows() == []


def test_a_key_is_kept_until_its_time(catalog: Catalog) -> None:
    corrections = catalog.corrections
    assert corrections.kept_until(CALL) is None
    corrections.keep(CALL, 100)
    assert corrections.kept() == {CALL: 100} and corrections.kept_until(CALL) == 100
    assert corrections.kept_past(99) == [] and corrections.kept_past(100) == [CALL]
    corrections.let_go(CALL)
    assert corrections.kept() == {}


def test_why_there_is_nothing_and_which_pauses_were_forgotten(catalog: Catalog) -> None:
    catalog.set_nothing(CALL, "training", "no media came")
    catalog.set_nothing(CALL, "training", "it was paused all through")
    assert catalog.nothing(CALL) == {"training": "it was paused all through"}
    assert catalog.calls(forgotten=True) == [] and len(catalog.calls()) == 1
