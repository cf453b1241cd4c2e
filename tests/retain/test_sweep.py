"""Local copies go at their deadline, with a line that says so; what is not delivered, or held, stays."""

from pathlib import Path

import pytest
from holding import hold, lift

from agent.model.artifact import Artifact, Delivery
from agent.model.hold import LegalHold
from agent.model.purpose import ArtifactKind
from agent.retain.holds import end_past
from agent.retain.sweep import sweep
from agent.store.catalog import Catalog
from agent.store.journal import Journal, read
from agent.store.rows import CallRow

CALL = "0192" + "0" * 28
DEADLINE = 1000


class Box:
    """An outbox with its catalog and journal."""

    def __init__(self, root: Path) -> None:
        self.catalog = Catalog(root / "catalog.sqlite3")
        self.journal_dir = root / "journal"
        self.journal = Journal(self.journal_dir, "courier", lambda: 7)
        self.outbox = root / "outbox"
        self.catalog.start_call(CallRow(CALL, "r", "siprec", "192.0.2.1", "inbound", None, None, 1, 2, "bye",
                                        "finalised", 8000))  # fmt: skip

    def put(self, name: str, delivery: Delivery, destination: str | None = "centre", *, central_ns: int = 0) -> Path:
        path = self.outbox / "training" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"age")
        self.catalog.add_artifact(
            Artifact(name, CALL, "training", ArtifactKind.AUDIO, f"training/{name}", "audio/ogg", 3, "p", "c", 1,
                     DEADLINE, central_ns, destination, delivery)
        )  # fmt: skip
        return path

    def sweep(self, now_ns: int = DEADLINE) -> tuple[list[str], list[str]]:
        swept = sweep(self.catalog, self.journal, self.outbox, now_ns)
        return [a.artifact_id for a in swept.deleted], [a.artifact_id for a in swept.overdue]

    def lines(self) -> list[str]:
        return [str(line.fields["path"]) for line in read(self.journal_dir) if line.kind == "local.deleted"]


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def test_nothing_goes_before_its_deadline(box: Box) -> None:
    path = box.put("a", Delivery.SENT)
    assert box.sweep(DEADLINE - 1) == ([], []) and path.exists() and box.lines() == []


def test_what_was_delivered_goes_with_a_line_and_the_call_is_forgotten(box: Box) -> None:
    sent, alone = box.put("a", Delivery.SENT), box.put("b", Delivery.LOCAL_ONLY, None)
    assert box.sweep() == (["a", "b"], [])
    assert not sent.exists() and not alone.exists() and box.lines() == ["training/a", "training/b"]
    assert box.catalog.find_call(CALL).state == "forgotten" and box.sweep() == ([], [])


def test_what_is_not_at_its_destination_waits_and_is_said_to_be_overdue(box: Box) -> None:
    waiting, poisoned, sent = (box.put(d.value, d) for d in (Delivery.WAITING, Delivery.POISONED, Delivery.SENT))
    assert box.sweep() == (["sent"], ["poisoned", "waiting"])
    assert waiting.exists() and poisoned.exists() and not sent.exists()
    assert box.catalog.find_call(CALL).state == "finalised"
    box.catalog.set_delivery("waiting", Delivery.SENT, 5)
    assert box.sweep() == (["waiting"], ["poisoned"])


def test_a_held_call_stays_until_the_hold_is_lifted(box: Box) -> None:
    path = box.put("a", Delivery.SENT)
    placed = hold(box.catalog, CALL)
    assert box.sweep(DEADLINE * 10**9) == ([], []) and path.exists()
    lift(box.catalog, placed)
    assert box.sweep(DEADLINE * 10**9) == (["a"], []) and not path.exists()


def test_a_kill_between_deletion_and_line_still_leaves_the_line(box: Box) -> None:
    box.put("a", Delivery.SENT).unlink()
    assert box.sweep() == (["a"], []) and box.lines() == ["training/a"] and not box.catalog.is_local("a")


def test_a_late_deletion_says_how_late(box: Box) -> None:
    box.put("a", Delivery.SENT)
    box.sweep(DEADLINE + 90 * 10**9 + 1)
    (line,) = read(box.journal_dir)
    assert line.fields["late_s"] == 90 and line.fields["deadline_ns"] == DEADLINE


def test_what_has_no_business_at_its_destination_any_more_goes_unsent(box: Box) -> None:
    path = box.put("a", Delivery.WAITING, central_ns=DEADLINE + 5)
    assert box.sweep(DEADLINE + 4) == ([], ["a"]) and path.exists()
    assert box.sweep(DEADLINE + 5) == (["a"], []) and not path.exists()
    (line,) = read(box.journal_dir)
    assert line.fields["reason"] == "its central deadline passed before it was sent"


def test_many_are_deleted_in_batches_each_with_its_line(box: Box) -> None:
    for number in range(1203):
        box.put(f"a{number}", Delivery.SENT)
    box.put("b", Delivery.WAITING)
    deleted, overdue = box.sweep()
    assert len(set(deleted)) == len(box.lines()) == 1203 and overdue == ["b"]
    assert [p.name for p in (box.outbox / "training").iterdir()] == ["b"]


def test_a_sweep_looks_only_at_what_is_due(box: Box) -> None:
    """A million rows cost nothing: each question is answered by an index in the order of deadlines."""
    asked: list[str] = []
    box.catalog._base.db.conn.set_trace_callback(asked.append)
    box.sweep()
    box.catalog._base.db.conn.set_trace_callback(None)
    questions = [sql for sql in asked if sql.startswith("SELECT")]
    assert len(questions) == 3
    for sql in questions:
        plan = [row["detail"] for row in box.catalog._base.rows(f"EXPLAIN QUERY PLAN {sql}")]
        assert "local_deadline_ns<" in plan[0] and "SEARCH artifacts USING INDEX" in plan[0], plan


def test_a_hold_ends_by_itself_with_a_line(box: Box) -> None:
    box.catalog.legal_holds.place(LegalHold("case 7", "cli:ann", "court", 5, call_id=CALL, until_ns=500))
    assert end_past(box.catalog, box.journal, 499) == [] and box.catalog.legal_holds.is_held(CALL)
    assert len(end_past(box.catalog, box.journal, 500)) == 1 and not box.catalog.legal_holds.is_held(CALL)
    assert [line.kind for line in read(box.journal_dir)] == ["hold.lifted"]


def test_a_hold_that_comes_while_it_sweeps_holds(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    path = box.put("a", Delivery.SENT)
    due = type(box.catalog.retained).due

    def held_meanwhile(self: object, now_ns: int) -> list[Artifact]:
        found: list[Artifact] = due(self, now_ns)  # type: ignore[arg-type]
        if found:
            hold(box.catalog, CALL)
        return found

    monkeypatch.setattr(type(box.catalog.retained), "due", held_meanwhile)
    assert box.sweep()[0] == [] and path.exists() and box.lines() == []
