"""The catalog: rows come back as they went in, transactions hold, several processes share it."""

import multiprocessing
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from holding import hold

from agent.model.artifact import Artifact, Delivery
from agent.model.call import Codec, MediaStream
from agent.model.gate import GateMark, GateState
from agent.model.media import StreamCounts
from agent.model.purpose import ArtifactKind, Decision, Trigger
from agent.store.catalog import Catalog
from agent.store.rows import CallRow, DeferredRow, PartyRow

CALL = "0192" + "0" * 28
OTHER = "0192" + "1" * 28
ROW = CallRow(CALL, "r" * 32, "siprec", "192.0.2.1", "inbound", "sales", "d" * 32, 1000, None, None, "live", 0)
ARTIFACT = Artifact(
    "a1", CALL, "training", ArtifactKind.AUDIO, f"training/{CALL}.audio.opus.age", "audio/ogg", 10, "p" * 64, "c" * 64,
    100, 200, 900, "centre",
)  # fmt: skip


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog(tmp_path / "state" / "catalog.sqlite3")


def test_a_call_is_told_whole(catalog: Catalog) -> None:
    party = PartyRow(CALL, "p1", "agent", "h" * 32, 1000, None, 1)
    decision = Decision("training", True, Trigger.PERCENT, "percent 20: drew 0.1")
    mark = GateMark(CALL, 1500, "training", "pause", GateState.PAUSED, 4000, "agent:2001", "card")
    stream = MediaStream(0, "1", 0, "p1", Codec.PCMA, 8, 20000)
    counts = StreamCounts(received=50, lost=1, ssrcs=(7, 8))
    catalog.start_call(ROW)
    catalog.set_parties(CALL, [replace(party, role="other")])
    catalog.set_parties(CALL, [party])
    catalog.add_decisions(CALL, [decision])
    catalog.add_mark(mark)
    catalog.set_counts(CALL, stream, StreamCounts())
    catalog.set_counts(CALL, stream, counts)
    catalog.end_call(CALL, 9000, "bye", 64)
    assert catalog.find_call(CALL) == replace(ROW, ended_ns=9000, cause="bye", state="ended", duration_samples=64)
    assert catalog.parties(CALL) == [party] and catalog.decisions(CALL) == [decision]
    assert catalog.marks(CALL) == [mark] and catalog.counts(CALL) == [(stream, counts)]
    with pytest.raises(sqlite3.IntegrityError):
        catalog.start_call(ROW)


def test_calls_are_found_by_their_first_digits(catalog: Catalog) -> None:
    catalog.start_call(ROW)
    catalog.start_call(replace(ROW, call_id=OTHER, started_ns=2000))
    assert [c.call_id for c in catalog.calls()] == [OTHER, CALL] and len(catalog.calls(1)) == 1
    assert catalog.find_call("01921").call_id == OTHER
    for prefix, words in (("0192", "several"), ("ffff", "no call"), ("%", "no call"), ("", "several")):
        with pytest.raises(LookupError, match=words):
            catalog.find_call(prefix)
    catalog.set_state(OTHER, "finalised")
    assert [c.call_id for c in catalog.unfinished_calls()] == [CALL]


def test_an_artifact_leads_its_life(catalog: Catalog) -> None:
    catalog.add_artifact(ARTIFACT)
    assert catalog.artifact("a1") == ARTIFACT and catalog.due_deliveries(0) == [ARTIFACT]
    catalog.set_upload_id("a1", "upload-7")
    catalog.retry_later("a1", 500, "the server was away")
    state = catalog.delivery_state("a1")
    assert (state.attempts, state.next_attempt_ns, state.upload_id) == (1, 500, "upload-7")
    assert catalog.due_deliveries(499) == [] and catalog.due_deliveries(500) == [ARTIFACT]
    catalog.set_delivery("a1", Delivery.POISONED, 510, "no such bucket")
    assert [a.delivery for a in catalog.due_deliveries(600)] == [Delivery.POISONED], "poisoned is not given up"
    catalog.set_delivery("a1", Delivery.SENT, 700)
    assert catalog.delivery_state("a1").sent_ns == 700 and catalog.due_deliveries(10**9) == []
    assert catalog.retained.due(199) == [] and len(catalog.retained.due(200)) == 1
    catalog.mark_local_deleted("a1", 210)
    assert not catalog.is_local("a1") and catalog.retained.due(10**9) == []
    with pytest.raises(LookupError):
        catalog.artifact("a2")


def test_artifacts_are_chosen_by_what_is_asked(catalog: Catalog) -> None:
    catalog.add_artifact(ARTIFACT)
    catalog.add_artifact(replace(ARTIFACT, artifact_id="a2", purpose="evidence", destination=None, path="e/2",
                                 delivery=Delivery.LOCAL_ONLY))  # fmt: skip
    catalog.add_artifact(replace(ARTIFACT, artifact_id="a3", call_id=OTHER, path="t/3"))
    catalog.mark_local_deleted("a3", 1)

    def ids(**wanted: object) -> list[str]:
        return sorted(a.artifact_id for a in catalog.artifacts(**wanted))  # type: ignore[arg-type]

    assert ids() == ["a1", "a2", "a3"] and ids(call_id=CALL) == ["a1", "a2"] and ids(purpose="evidence") == ["a2"]
    assert ids(delivery=Delivery.WAITING) == ["a1", "a3"] and ids(local=True) == ["a1", "a2"]
    assert ids(local=False, call_id=OTHER) == ["a3"] and ids(call_id=CALL, purpose="training", local=False) == []
    assert [a.artifact_id for a in catalog.due_deliveries(10**9)] == ["a1"]


def test_a_hold_keeps_local_copies_past_their_deadline(catalog: Catalog) -> None:
    catalog.add_artifact(ARTIFACT)
    catalog.set_delivery(ARTIFACT.artifact_id, Delivery.SENT, 120)
    placed = hold(catalog, CALL)
    assert catalog.legal_holds.open() == [placed] and catalog.retained.due(10**9) == []
    assert catalog.legal_holds.end(placed.number, 200) and not catalog.legal_holds.end(placed.number, 201)
    assert [a.artifact_id for a in catalog.retained.due(10**9)] == [ARTIFACT.artifact_id]


def test_a_transaction_is_all_or_nothing_and_joins_what_is_inside(catalog: Catalog) -> None:
    with pytest.raises(RuntimeError), catalog.transaction():
        catalog.start_call(ROW)
        catalog.add_decisions(CALL, [Decision("training", True, Trigger.ALL, "trigger all")])
        catalog.set_cursor(3, 400)
        raise RuntimeError
    assert catalog.calls() == [] and catalog.decisions(CALL) == [] and catalog.cursor() == (0, 0)
    with catalog.transaction():
        catalog.start_call(ROW)
        catalog.set_cursor(3, 400)
    assert catalog.cursor() == (3, 400) and len(catalog.calls()) == 1


def test_what_waits_is_remembered_until_it_is_done(catalog: Catalog) -> None:
    catalog.defer(DeferredRow(CALL, "training", "no model", 5))
    catalog.defer(DeferredRow(CALL, "training", "no model yet", 5, version=4))
    catalog.defer(DeferredRow(OTHER, "evidence", "no model", 4))
    assert catalog.deferred()[1] == DeferredRow(CALL, "training", "no model yet", 5, 4) and len(catalog.deferred()) == 2
    catalog.clear_deferred(CALL, "training")
    assert [d.call_id for d in catalog.deferred()] == [OTHER]


def _write_calls(path: Path, worker: int) -> None:
    catalog = Catalog(path)
    for number in range(30):
        with catalog.transaction():
            catalog.start_call(replace(ROW, call_id=f"{worker:016x}{number:016x}"))
            catalog.set_cursor(worker, number)


def test_processes_share_it_from_its_first_second(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite3"
    workers = [multiprocessing.Process(target=_write_calls, args=(path, n)) for n in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [w.exitcode for w in workers] == [0, 0, 0] and len(Catalog(path).calls(1000)) == 90
