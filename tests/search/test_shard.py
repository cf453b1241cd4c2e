"""A shard finds what was said whatever its accents, keeps nothing that was taken out, lives in RAM and under a key."""

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from agent.search.cabinet import Cabinet
from agent.search.shard import AFTER, BEFORE, Line, find, image, lines
from agent.search.words import terms

SAID = [
    Line("a", "call-a", "customer p1", 1.5, "Je voudrais RÉSILIER l'abonnement"),
    Line("a", "call-a", "agent p2", 4.0, "votre contrat, donc"),
    Line("b", "call-b", "customer p1", 2.0, "le contrat est bon"),
    Line("c", "call-c", "customer p1", 2.0, "on ne resilie rien"),
]


def found(words: str) -> set[str]:
    return {hit.call_id for hit in find(image(SAID), terms(words))}


@pytest.mark.parametrize(
    ("words", "calls"),
    [
        ("résilier", "a"),
        ("resilier", "a"),
        ("re\u0301silier", "a"),
        ("CONTRAT", "ab"),
        ("resilier contrat", "a"),
        ("résili*", "ac"),
        ('"le contrat"', "b"),
        ('"contrat le"', ""),
        ("l’abonnement", "a"),
        ("résilier bon", ""),
    ],
)
def test_all_words_of_a_call_whatever_case_and_accents(words: str, calls: str) -> None:
    assert found(words) == {f"call-{c}" for c in calls}


def test_what_was_found_is_marked_and_the_best_comes_first() -> None:
    first, second = find(image(SAID), terms("résilier contrat"))
    assert (first.party, first.start_s) == ("customer p1", 1.5) or second.start_s == 1.5
    marked = {hit.snippet for hit in (first, second)}
    assert f"votre {BEFORE}contrat{AFTER}, donc" in marked
    assert first.rank <= second.rank


@given(texts=st.lists(st.text(max_size=40), max_size=5))
def test_lines_come_back_as_they_went_in(texts: list[str]) -> None:
    said = [
        Line("e", "c", "agent p1", n / 2, t) for n, t in enumerate(texts) if not set(t) & set(BEFORE + AFTER + "\0")
    ]
    assert lines(image(said)) == said


def test_a_shard_is_built_anew_so_nothing_taken_out_is_left_in_it() -> None:
    assert b"silier" in image(SAID).lower()
    assert b"silier" not in image([line for line in lines(image(SAID)) if line.entry != "a"]).lower()


def test_sqlite_makes_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SQLITE_TMPDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    events: list[FileSystemEvent] = []

    class Notes(FileSystemEventHandler):
        def on_created(self, event: FileSystemEvent) -> None:
            events.append(event)

    watching = Observer()
    watching.schedule(Notes(), str(tmp_path))
    watching.start()
    many = [Line(f"e{n}", f"c{n}", "agent p1", 0.0, f"contrat numéro {n} " * 50) for n in range(1000)]
    assert len(find(image(many), terms("contrat"))) == 1000
    (tmp_path / "last").touch()
    patience = time.monotonic() + 10
    while not events and time.monotonic() < patience:
        time.sleep(0.01)
    watching.stop()
    watching.join()
    assert [Path(str(e.src_path)).name for e in events] == ["last"]


def test_without_its_key_a_shard_is_noise(tmp_path: Path) -> None:
    cabinet = Cabinet(tmp_path / "search", tmp_path / "keys")
    one, two = cabinet.put("training", image(SAID)), cabinet.put("training", image(SAID[:1]))
    assert lines(cabinet.get(one)) == SAID and cabinet.has(one) and one != two
    for path in (p for p in tmp_path.rglob("*") if p.is_file()):
        assert b"contrat" not in path.read_bytes() and path.stat().st_mode & 0o077 == 0
    key = tmp_path / "keys" / f"{one}.age-identity"
    key.write_bytes((tmp_path / "keys" / f"{two}.age-identity").read_bytes())
    with pytest.raises(LookupError, match="cannot be opened"):
        cabinet.get(one)
    cabinet.destroy(one)
    assert not cabinet.has(one)
    with pytest.raises(LookupError, match="is gone"):
        cabinet.get(one)
    (tmp_path / "search" / "training" / ".x.age.12.partial").touch()
    assert cabinet.destroy_all_but({two}) == 1 and cabinet.has(two)
    assert cabinet.destroy_all_but(set()) == 2
