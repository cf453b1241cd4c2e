"""The ledger of ingested files: what was said is read again, torn anywhere; a finished run leaves no trace of calls."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.recorder.ledger import FOLDER, Finished, Ledger, runs

DIGEST = "ab" * 32
CALLS = [f"{n:032x}" for n in range(6)]


def test_a_run_is_taken_up_and_finished(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, DIGEST, 1)
    ledger.begin(Path("/captures/é.pcap"), 7)
    ledger.ended(CALLS[:2])
    ledger.ended(CALLS[2:])
    (found,) = runs(tmp_path, DIGEST)
    assert found.read() == (Path("/captures/é.pcap"), set(CALLS), None)
    with pytest.raises(FileExistsError):
        ledger.begin(Path("/captures/é.pcap"), 8)
    found.finish(Finished(9, 6))
    assert found.read() == (None, set(), Finished(9, 6))
    again = Ledger(tmp_path, DIGEST, 2)
    again.begin(Path("/captures/é.pcap"), 10)
    assert [ledger.number for ledger in runs(tmp_path)] == [1, 2]
    again.forget()
    assert [ledger.number for ledger in runs(tmp_path, DIGEST)] == [1] and runs(tmp_path, "cd") == []


@given(st.integers(0, 34))
def test_a_torn_line_takes_nothing_else_with_it(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    folder = tmp_path_factory.mktemp("ledger")
    ledger = Ledger(folder, DIGEST, 1)
    ledger.begin(Path("/captures/a.pcap"), 7)
    ledger.ended(CALLS[:3])
    path = folder / FOLDER / f"{DIGEST}.1"
    path.write_bytes(path.read_bytes()[: path.stat().st_size - cut])
    ledger.ended(CALLS[3:])
    _, whole, _ = ledger.read()
    assert whole == set(CALLS) - ({CALLS[2]} if cut else set())
