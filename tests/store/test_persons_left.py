"""When nothing is left of a call after an erasure, and what is deleted at the centre though nobody saw it arrive."""

from pathlib import Path

import pytest

from agent.model.artifact import Artifact, Delivery
from agent.model.hold import LegalHold
from agent.model.person import PersonRequest, Right
from agent.model.purpose import ArtifactKind
from agent.store.catalog import Catalog
from agent.store.rows import CallRow, PartyRow, RewriteRow

CALL, T0, DEADLINE = "0192" + "0" * 28, 1_000, 2_000


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    made = Catalog(tmp_path / "catalog.sqlite3")
    made.start_call(CallRow(CALL, "r", "siprec", "g", "inbound", None, None, 1, 2, None, "finalised", 8000))
    made.set_parties(CALL, [PartyRow(CALL, "p", "customer", "n1", 1, None, None)])
    made.add_artifact(
        Artifact("a1", CALL, "evidence", ArtifactKind.AUDIO, "evidence/a1", "audio/ogg", 3, "p", "c", 1, T0, DEADLINE,
                 "centre")
    )  # fmt: skip
    return made


def erased(catalog: Catalog) -> None:
    """The person asked for it."""
    request = catalog.persons.ask(PersonRequest(Right.ERASE, "cli:ann", "art. 17", "", "", 5))
    catalog.persons.follow(request.number, ["n1"], [CALL])


def left(catalog: Catalog, now_ns: int = DEADLINE + 1) -> bool:
    """Whether anything of the call is thought to be left."""
    return catalog.persons.empty(now_ns, ["centre"]) == []


def due(catalog: Catalog, now_ns: int = DEADLINE + 1) -> list[str]:
    """What the courier deletes at the centre."""
    return [order.artifact.artifact_id for order in catalog.orders.due_deletions("centre", now_ns, now_ns)]


def test_a_number_is_not_taken_off_what_a_hold_covers_nor_while_the_centre_has_it(catalog: Catalog) -> None:
    erased(catalog)
    catalog.set_delivery("a1", Delivery.SENT, 10)
    catalog.mark_local_deleted("a1", T0)
    assert left(catalog), "past its deadline, but not deleted at the centre yet"
    placed = catalog.legal_holds.place(LegalHold("case 7", "cli:ann", "court", 5, numbers=frozenset({"n1"})))
    assert due(catalog) == []
    catalog.orders.ended("a1", DEADLINE)
    assert left(catalog), "held by the number that would be taken off"
    catalog.legal_holds.end(placed.number, 6)
    assert not left(catalog)


def test_where_others_delete_their_word_and_the_deadline_count(catalog: Catalog) -> None:
    erased(catalog)
    catalog.set_delivery("a1", Delivery.SENT, 10)
    catalog.mark_local_deleted("a1", T0)
    assert catalog.persons.empty(DEADLINE - 1, []) == []
    assert catalog.persons.empty(DEADLINE + 1, []) == [(1, CALL)]


def test_what_may_have_arrived_unseen_is_deleted_there_once_it_was_taken_back_or_is_over(catalog: Catalog) -> None:
    erased(catalog)
    assert catalog.corrections.claim("a1", 10)
    assert due(catalog) == [], "it is still being sent"
    catalog.mark_local_deleted("a1", T0)
    assert due(catalog, DEADLINE - 1) == []
    assert due(catalog) == ["a1"] and left(catalog), "its deadline passed before anybody knew"
    catalog.corrections.withdraw("a1", T0)
    assert due(catalog, DEADLINE - 1) == ["a1"]
    catalog.orders.ended("a1", DEADLINE)
    assert due(catalog) == [] and not left(catalog)


def test_what_was_never_begun_is_nowhere(catalog: Catalog) -> None:
    erased(catalog)
    catalog.mark_local_deleted("a1", T0)
    assert due(catalog) == [] and not left(catalog)


def test_hashes_of_a_request_that_concerns_no_call_are_not_kept(catalog: Catalog) -> None:
    request = catalog.persons.ask(PersonRequest(Right.ERASE, "cli:ann", "art. 17", "", "", 5))
    catalog.persons.follow(request.number, ["hz"], [])
    assert catalog._base.rows("SELECT * FROM person_numbers", []) == []


def test_a_restricted_call_is_not_transcribed_again_until_that_is_lifted(catalog: Catalog) -> None:
    catalog.rewrites.ask(RewriteRow(CALL, "", "cli:ann", 5))
    assert [row.call_id for row in catalog.rewrites.open_rows()] == [CALL]
    placed = catalog.legal_holds.place(LegalHold("restriction-1", "cli:ann", "x", 5, numbers=frozenset({"n1"})))
    request = catalog.persons.ask(PersonRequest(Right.RESTRICT, "cli:ann", "art. 18", "", "", 5))
    catalog.persons.restrict(request.number, placed.number)
    assert catalog.rewrites.open_rows() == []
    catalog.legal_holds.end(placed.number, 6)
    assert len(catalog.rewrites.open_rows()) == 1
