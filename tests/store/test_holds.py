"""Legal holds in the catalog: the queries cover what `agent.policy.hold` says, and older holds are taken over."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model.artifact import Artifact, Delivery
from agent.model.hold import HeldMatter, LegalHold
from agent.model.purpose import ArtifactKind
from agent.policy.hold import covers
from agent.store import schema
from agent.store.catalog import Catalog
from agent.store.rows import CallRow, PartyRow

HOLD = LegalHold("case 7", "cli:ann", "the court asked", 5)
CALLS = ("0192" + "0" * 28, "0192" + "1" * 28)


def put_call(catalog: Catalog, call_id: str, start: int, end: int | None, did: str | None, *numbers: str) -> None:
    catalog.start_call(
        CallRow(call_id, "r", "siprec", "192.0.2.1", "inbound", None, did, start, end, None, "finalised", 8000)
    )
    catalog.set_parties(call_id, [PartyRow(call_id, n, "other", n, start, None, None) for n in numbers])
    for purpose in ("evidence", "training"):
        name = f"{call_id[:5]}-{purpose}"
        catalog.add_artifact(
            Artifact(name, call_id, purpose, ArtifactKind.AUDIO, name, "audio/ogg", 3, "p", "c", 1, 10, 20, "centre",
                     Delivery.SENT)
        )  # fmt: skip


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    made = Catalog(tmp_path_factory.mktemp("holds") / "catalog.sqlite3")
    put_call(made, CALLS[0], 100, 200, "n3", "n1")
    put_call(made, CALLS[1], 150, None, None, "n1", "n2")
    return made


MATTERS = {
    (call_id, purpose): HeldMatter(call_id, purpose, numbers, start, end)
    for call_id, numbers, start, end in (
        (CALLS[0], frozenset({"n1", "n3"}), 100, 200),
        (CALLS[1], frozenset({"n1", "n2"}), 150, None),
    )
    for purpose in ("evidence", "training")
}
instants = st.none() | st.sampled_from([90, 100, 101, 149, 150, 151, 199, 200, 201, 300])
bounds = st.fixed_dictionaries(
    {
        "call_id": st.sampled_from([None, None, *CALLS]),
        "numbers": st.frozensets(st.sampled_from(["n1", "n2", "n3", "n4"])),
        "purpose": st.sampled_from([None, "evidence", "training"]),
        "from_ns": instants,
        "to_ns": instants,
    }
)


@given(st.lists(bounds, min_size=1, max_size=3), st.sets(st.integers(0, 2)))
def test_queries_and_policy_say_the_same(catalog: Catalog, said: list[dict[str, object]], ended: set[int]) -> None:
    placed = [catalog.legal_holds.place(replace(HOLD, **one)) for one in said]  # type: ignore[arg-type]
    try:
        for number in ended & set(range(len(placed))):
            catalog.legal_holds.end(placed[number].number, 7)
        stand = [catalog.legal_holds.numbered(one.number) for one in placed]
        held = {key for key, matter in MATTERS.items() if any(covers(one, matter) for one in stand)}
        assert {key for key in MATTERS if catalog.legal_holds.is_held(*key)} == held
        assert {c for c in CALLS if catalog.legal_holds.is_held(c)} == {call_id for call_id, _ in held}
        assert {(a.call_id, a.purpose) for a in catalog.retained.due(10**9)} == set(MATTERS) - held
        for one in stand:
            if one.is_open:
                mine = {key for key, matter in MATTERS.items() if covers(one, matter)}
                assert catalog.legal_holds.extent(one) == (len({call_id for call_id, _ in mine}), len(mine))
                assert all((one in catalog.legal_holds.of_call(c)) == any(c == k for k, _ in mine) for c in CALLS)
    finally:
        for one in placed:
            catalog.legal_holds.end(one.number, 8)


def test_a_hold_comes_back_as_it_was_placed(catalog: Catalog) -> None:
    hold = replace(HOLD, numbers=frozenset({"n8", "n9"}), from_ns=3, to_ns=9, until_ns=50)
    placed = catalog.legal_holds.place(hold)
    assert replace(placed, number=0) == hold and catalog.legal_holds.open("case 7") == [placed]
    assert catalog.legal_holds.past(49) == [] and catalog.legal_holds.past(50) == [placed]
    catalog.legal_holds.ask_release(placed.number, "cli:bob", 6)
    assert catalog.legal_holds.numbered(placed.number) == replace(placed, asked_by="cli:bob", asked_ns=6)
    assert catalog.legal_holds.end(placed.number, 7) and catalog.legal_holds.open("case 7") == []
    assert catalog.legal_holds.calls_of(["n3"]) == [CALLS[0]] and catalog.legal_holds.calls_of(["n1"]) == list(CALLS)


def test_holds_of_an_earlier_version_hold_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "catalog.sqlite3"
    with monkeypatch.context() as before:
        before.setattr(schema, "STEPS", schema.STEPS[:6])
        assert schema.STEPS[-1] is schema._index
        with sqlite3.connect(path) as db:
            schema.prepare(schema.Database(db))
            db.execute("INSERT INTO holds VALUES (?, 'cli:root', 'case 17', 5)", [CALLS[0]])
    catalog = Catalog(path)
    (hold,) = catalog.legal_holds.open()
    assert (hold.call_id, hold.case, hold.reason, hold.at_ns) == (CALLS[0], "call-019200000000", "case 17", 5)
    assert catalog.legal_holds.is_held(CALLS[0], "evidence") and not catalog.legal_holds.is_held(CALLS[1])


def test_the_calls_whose_keys_stay_are_those_that_a_hold_covers(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "catalog.sqlite3")
    for call_id in CALLS:
        put_call(catalog, call_id, 100, 200, None, f"n{call_id[5]}")
        catalog.corrections.keep(call_id, 1000)
    assert catalog.legal_holds.kept_calls() == set()
    placed = catalog.legal_holds.place(replace(HOLD, numbers=frozenset({"n1"}), purpose="training"))
    assert catalog.legal_holds.kept_calls() == {CALLS[1]}
    catalog.legal_holds.end(placed.number, 7)
    for hold, covered in (
        (replace(HOLD, call_id=CALLS[0]), 1),
        (replace(HOLD, from_ns=0), 2),
        (replace(HOLD, to_ns=9), 0),
    ):
        placed = catalog.legal_holds.place(hold)
        assert len(catalog.legal_holds.kept_calls()) == covered
        catalog.legal_holds.end(placed.number, 7)
    assert catalog.legal_holds.kept_calls() == set()
