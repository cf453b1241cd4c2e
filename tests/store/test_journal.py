"""The journal: lines chained, torn ends mended, every change named, seals that hold offline."""

import json
import multiprocessing
import os
import random
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.store.checkpoint import seal
from agent.store.journal import Journal, decoded, encoded, read
from agent.store.verify import verify_journal
from agent.vault.chain import canonical, link
from agent.vault.signing import SiteKey

CALL = "0192" + "0" * 28


@pytest.fixture
def key(tmp_path: Path) -> SiteKey:
    return SiteKey.create(tmp_path / "site.pem")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def fill(folder: Path, lines: int = 5, process: str = "scribe") -> Path:
    clock = count(1_790_000_000_000_000_000)
    journal = Journal(folder, process, lambda: next(clock))
    for number in range(lines):
        journal.append("decision", call_id=CALL, purpose="training", rule="trigger all", number=number)
    journal.close()
    return folder / f"{process}.jsonl"


def test_lines_are_read_back_as_they_were_said(folder: Path) -> None:
    fill(folder, 3)
    fill(folder, 1, "courier")
    lines = list(read(folder))
    assert [(x.process, x.seq, x.fields["number"]) for x in lines] == [
        ("courier", 1, 0),
        ("scribe", 1, 0),
        ("scribe", 2, 1),
        ("scribe", 3, 2),
    ]
    assert lines[2].prev == lines[1].hash and lines[1].purpose == "training"
    assert list(read(folder, "f" * 32)) == [] and len(list(read(folder, CALL))) == 4


def test_a_whole_journal_verifies_and_goes_on_after_a_restart(folder: Path, key: SiteKey) -> None:
    fill(folder)
    seal(folder, key, 1)
    fill(folder, 2)
    seal(folder, key, 2)
    assert verify_journal(folder, key.public) == []
    assert [x.seq for x in read(folder)] == list(range(1, 8))


@pytest.mark.parametrize("cut", [1, 2, 30])
def test_a_torn_last_line_is_cut_off_and_the_chain_goes_on(folder: Path, key: SiteKey, cut: int) -> None:
    path = fill(folder, 3)
    os.truncate(path, path.stat().st_size - cut)
    fill(folder, 1)
    seal(folder, key, 1)
    assert verify_journal(folder, key.public) == [] and [x.seq for x in read(folder)] == [1, 2, 3]


def test_every_changed_byte_is_named(folder: Path, key: SiteKey) -> None:
    path = fill(folder, 4)
    seal(folder, key, 1)
    whole = path.read_bytes()
    starts = [0, *(n + 1 for n, byte in enumerate(whole) if byte == 10)]
    for at in random.Random(7).sample(range(len(whole)), 120):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        line = sum(start <= at for start in starts)
        found = verify_journal(folder, key.public)
        assert any(f"line {n}" in problem.where for problem in found for n in (line, line + 1)), (at, found)


@pytest.mark.parametrize(
    "changed",
    [
        {"seq": "2"}, {"seq": 2.0}, {"seq": True}, {"fields": []}, {"fields": None}, {"process": None}, {"kind": 1},
        {"prev": "\u00e9" * 64}, {"prev": 7}, {"call_id": ["x"]}, {"more": 1},
    ],
)  # fmt: skip
def test_a_line_with_a_true_hash_and_another_form_is_named_and_stops_nothing(
    folder: Path, key: SiteKey, changed: dict[str, object]
) -> None:
    path = fill(folder, 4)
    seal(folder, key, 1)
    lines = path.read_bytes().splitlines()
    body = json.loads(lines[1]) | changed
    del body["hash"]
    line = canonical({**body, "hash": link(str(body["prev"]), canonical(body))})
    path.write_bytes(b"\n".join([lines[0], line, *lines[2:], b""]))
    assert any(p.where == "scribe.jsonl line 2" for p in verify_journal(folder, key.public))


def test_a_removed_line_a_moved_line_and_a_cut_end_are_named(folder: Path, key: SiteKey) -> None:
    path = fill(folder, 4)
    seal(folder, key, 1)
    lines = path.read_bytes().splitlines(keepends=True)
    for changed in (lines[:1] + lines[2:], [lines[1], lines[0], *lines[2:]], lines[:3], lines[:0]):
        path.write_bytes(b"".join(changed))
        assert verify_journal(folder, key.public)
    path.write_bytes(b"".join(lines))
    assert verify_journal(folder, key.public) == []


def test_a_rewritten_chain_does_not_pass_for_the_sealed_one(folder: Path, key: SiteKey, tmp_path: Path) -> None:
    path = fill(folder, 4)
    seal(folder, key, 1)
    forged = fill(tmp_path / "forged", 5)
    path.write_bytes(forged.read_bytes())
    assert verify_journal(folder, key.public) == [], "the same words at the same times are the same chain"
    lines = [decoded(raw) for raw in forged.read_bytes().splitlines()]
    other = Journal(tmp_path / "other", "scribe", lambda: lines[0].at_ns)
    for line in lines:
        other.append(line.kind, call_id=line.call_id, purpose="evidence")
    path.write_bytes((tmp_path / "other" / "scribe.jsonl").read_bytes())
    assert any("sealed" in problem.what for problem in verify_journal(folder, key.public))


def test_a_seal_of_another_site_or_a_changed_seal_is_named(folder: Path, key: SiteKey, tmp_path: Path) -> None:
    fill(folder)
    seal(folder, key, 1)
    stranger = SiteKey.create(tmp_path / "stranger.pem")
    assert any("signature" in p.what for p in verify_journal(folder, stranger.public))
    seals = folder / "checkpoints.jsonl"
    body = json.loads(seals.read_bytes())
    signature = body["fields"]["signature"]
    body["fields"]["signature"] = signature[:-1] + ("1" if signature[-1] == "0" else "0")
    seals.write_text(json.dumps(body, sort_keys=True, separators=(",", ":")) + "\n")
    assert verify_journal(folder, key.public)
    seals.unlink()
    assert any("no checkpoint" in p.what for p in verify_journal(folder, key.public))


def test_sealing_again_without_news_adds_nothing(folder: Path, key: SiteKey) -> None:
    fill(folder)
    seal(folder, key, 1)
    before = (folder / "checkpoints.jsonl").read_bytes()
    seal(folder, key, 2)
    assert (folder / "checkpoints.jsonl").read_bytes() == before


def test_a_line_spoiled_on_disk_does_not_stop_the_chain(folder: Path, key: SiteKey) -> None:
    path = fill(folder, 3)
    path.write_bytes(path.read_bytes()[:-5] + b"####\n")
    fill(folder, 1)
    assert [x.seq for x in read(folder)] == [1, 2, 3]
    assert any("line 3" in p.where for p in verify_journal(folder, key.public))


def _append_many(folder: Path, times: int) -> None:
    journal = Journal(folder, "cli", lambda: 1)
    for _ in range(times):
        journal.append("hold", call_id=CALL)


def test_several_processes_may_write_one_chain(folder: Path, key: SiteKey) -> None:
    workers = [multiprocessing.Process(target=_append_many, args=(folder, 50)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    seal(folder, key, 1)
    assert verify_journal(folder, key.public) == [] and len(list(read(folder))) == 150


@settings(max_examples=50)
@given(
    fields=st.dictionaries(
        st.from_regex(r"[a-z_]{2,8}", fullmatch=True).filter(lambda n: n not in ("kind", "call_id", "purpose")),
        st.text(max_size=20) | st.integers(-(2**60), 2**60) | st.booleans() | st.none(),
        max_size=4,
    )
)
def test_any_words_survive(tmp_path_factory: pytest.TempPathFactory, fields: dict[str, str]) -> None:
    folder = tmp_path_factory.mktemp("journal")
    line = Journal(folder, "desk", lambda: 5).append("refused", **fields)
    assert decoded(encoded(line)) == line == next(read(folder))


def test_a_full_disk_is_an_error_and_leaves_the_chain_whole(full_disk: Path, key: SiteKey) -> None:
    folder, ballast = full_disk / "journal", full_disk / "ballast"
    ballast.write_bytes(b"x" * (900 << 10))
    journal = Journal(folder, "scribe", lambda: 1)
    with pytest.raises(OSError):
        for number in range(100_000):
            journal.append("decision", rule="x" * 5000, number=number)
    said = len(list(read(folder)))
    ballast.unlink()
    journal.append("decision", rule="after")
    assert [x.seq for x in read(folder)] == list(range(1, said + 2))
