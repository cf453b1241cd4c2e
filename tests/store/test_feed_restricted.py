"""What is restricted is in no feed, and cannot be fetched; when the restriction is lifted it is met again."""

from pathlib import Path

from agent.model.artifact import Artifact
from agent.model.hold import LegalHold
from agent.model.person import PersonRequest, Right
from agent.model.purpose import ArtifactKind
from agent.store.catalog import Catalog
from agent.store.feed import FeedReader
from agent.store.rows import CallRow, PartyRow

CALLS = ("0192" + "0" * 28, "0192" + "1" * 28)


def put_call(catalog: Catalog, call_id: str, number: str) -> None:
    catalog.start_call(
        CallRow(call_id, "r", "siprec", "192.0.2.1", "inbound", None, None, 1, 2, None, "finalised", 8000)
    )
    catalog.set_parties(call_id, [PartyRow(call_id, number, "customer", number, 1, None, None)])
    for purpose in ("evidence", "training"):
        name = f"{purpose}/{call_id}"
        never = 1 << 62
        catalog.add_artifact(
            Artifact(name, call_id, purpose, ArtifactKind.AUDIO, name, "audio/ogg", 3, "p", "c", 1, never, 0, "archive")
        )


def test_what_is_restricted_is_passed_over_and_comes_again_when_that_is_lifted(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite3"
    catalog = Catalog(path)
    for call_id, number in zip(CALLS, ("n1", "n2"), strict=True):
        put_call(catalog, call_id, number)
    placed = catalog.legal_holds.place(LegalHold("restriction-1", "cli:ann", "art. 18", 5, numbers=frozenset({"n1"})))
    request = catalog.persons.ask(PersonRequest(Right.RESTRICT, "cli:ann", "art. 18", "", "", 5))
    catalog.persons.restrict(request.number, placed.number)
    feed = FeedReader(path, ["archive"])
    seen = feed.page("evidence", None, 10)
    assert [offered.artifact.call_id for offered in seen.items] == [CALLS[1]]
    hidden = feed.find(f"evidence/{CALLS[0]}", "evidence")
    assert hidden is not None and hidden.is_held
    assert catalog.legal_holds.end(placed.number, 6)
    for purpose in ("evidence", "training"):
        after = seen.cursor if purpose == "evidence" else str(feed.page(purpose, None, 2).cursor)
        (again,) = feed.page(purpose, after, 10).items
        assert again.artifact.call_id == CALLS[0], "who has passed it meets it again"
    shown = feed.find(f"evidence/{CALLS[0]}", "evidence")
    assert shown is not None and not shown.is_held


def test_the_end_of_another_hold_tells_nobody_anything(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite3"
    catalog = Catalog(path)
    put_call(catalog, CALLS[0], "n1")
    placed = catalog.legal_holds.place(LegalHold("case 7", "cli:ann", "court", 5, numbers=frozenset({"n1"})))
    feed = FeedReader(path, ["archive"])
    before = feed.newest(["evidence"])
    assert catalog.legal_holds.end(placed.number, 6) and feed.newest(["evidence"]) == before
