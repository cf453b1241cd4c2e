"""A capture file through the recorder alone: every byte of it, once, whatever dies on the way."""

import json
from pathlib import Path
from typing import Any

import phones
import pytest
from alone import Alone, Said
from running_site import wait_for

from agent.capture.format import RecordKind
from agent.media.pcaplinks import SLICE_NS
from agent.policy.lists import OPT_OUT_RULE
from agent.recorder.ledger import runs
from agent.vault.lists import OPT_OUT, Entry, Hasher, write_list

CALLS, SECONDS = 40, 20


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty calls of twenty seconds; the last one goes beyond the end."""
    frames = [f for n in range(CALLS) for f in phones.written_call(n, 1_700_000_000 + n * 0.5, SECONDS)]
    ends = 1_700_000_000 + CALLS * 0.5 + SECONDS - 1
    path = tmp_path_factory.mktemp("capture") / "calls.pcap"
    phones.write_capture(path, [f for f in frames if f[0] < ends])
    return path


class Reading(Alone):
    """One that is given capture files."""

    def ask(self, **request: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.answer(op="ingest", **request)["ingest"]
        return found

    def until(self, *states: str) -> dict[str, Any]:
        return wait_for("the end", lambda: found if (found := self.ask())["state"] in states else None, 90)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, capture: Path) -> Said:
    """What the log says after a run that nothing disturbed."""
    alone = Reading(tmp_path_factory.mktemp("undisturbed") / "site")
    with alone.running():
        alone.ask(path=str(capture))
        state = alone.until("done", "failed")
    assert state["calls"] == CALLS and state["stray_packets"] == 0 and state["bytes_done"] == capture.stat().st_size
    return alone.said()


def test_every_byte_of_every_call_is_in_the_log(undisturbed: Said) -> None:
    assert len(undisturbed) == CALLS
    voices = {phones.voice(SECONDS, seed): seed for seed in range(2 * CALLS)}
    whole = 0
    for records in undisturbed.values():
        assert [kind for kind, *_ in records].count(RecordKind.END) == 1
        for stream in (0, 1):
            coded = b"".join(content for kind, of, _, content in records if kind is RecordKind.MEDIA and of == stream)
            whole += coded in voices
    assert whole >= 2 * CALLS - 6, "all but those that go beyond the end"


def test_calls_of_a_file_in_which_somebody_opted_out_are_not_recorded(tmp_path: Path) -> None:
    path = tmp_path / "calls.pcap"
    phones.write_capture(path, phones.written_call(1, 1_700_000_000, 2))
    alone = Reading(tmp_path / "site")
    hasher = Hasher.load(alone.settings.site.keys_dir, alone.settings.site.calling_code)
    write_list(alone.settings.lists_dir / OPT_OUT, (Entry(hasher("06 12 34 56 78")),))
    with alone.running():
        alone.ask(path=str(path))
        assert alone.until("done", "failed")["calls"] == 1
    (records,) = alone.said().values()
    decided = [json.loads(content) for kind, _, _, content in records if kind is RecordKind.DECISIONS]
    assert decided and not any(d["applies"] for one in decided for d in one)
    assert all(d["rule"] == OPT_OUT_RULE for d in decided[0])
    assert RecordKind.MEDIA not in {kind for kind, *_ in records}


@pytest.mark.slow
def test_killed_on_the_way_nothing_is_lost_and_nothing_is_twice(
    tmp_path: Path, capture: Path, undisturbed: Said
) -> None:
    alone = Reading(tmp_path / "site")
    alone.start()
    alone.ask(path=str(capture))
    size = capture.stat().st_size
    for times, part in enumerate((0.2, 0.5, 0.8)):
        wait_for("some progress", lambda goal=size * part: alone.ask()["bytes_done"] > goal)
        alone.kill()
        alone.start()
        wait_for("it to go on", lambda times=times: len(alone.site.events("ingest.resumed")) > times)
    assert alone.until("done", "failed")["calls"] == CALLS
    assert "was ingested at" in again(alone, capture)
    alone.stop()
    assert alone.said() == undisturbed


def again(alone: Reading, capture: Path) -> str:
    """What is said to the file a second time."""
    alone.ask(path=str(capture))
    error: str = alone.until("failed")["error"]
    return error


@pytest.mark.slow
def test_killed_and_the_file_gone_the_calls_are_closed_as_interrupted(tmp_path: Path, capture: Path) -> None:
    alone = Reading(tmp_path / "site")
    copy = tmp_path / "copy.pcap"
    copy.write_bytes(capture.read_bytes())
    alone.start()
    alone.ask(path=str(copy))
    wait_for("some progress", lambda: alone.ask()["bytes_done"] > copy.stat().st_size / 2)
    alone.kill()
    copy.unlink()
    with alone.running():
        wait_for("it to be said", lambda: alone.site.events("ingest.not_resumed"))
        assert alone.ask() is None
        copy.write_bytes(capture.read_bytes())
        assert "was ingested in part" in again(alone, copy)
    for records in alone.said().values():
        assert [kind for kind, *_ in records].count(RecordKind.END) == 1
    (ledger,) = runs(alone.settings.capture_dir)
    assert ledger.read()[1] == set(), "no trace of the calls stays behind"


def test_packets_belong_to_the_call_that_was_there_when_they_came(tmp_path: Path) -> None:
    """Two calls at the same addresses, one right after the other and all within what is read at once."""
    first = phones.written_call(0, 100, 0.06, place=0)
    over = max(at for at, _ in first)
    second = [(over + 0.001 + (at - 200) * 0.05, frame) for at, frame in phones.written_call(1, 200, 0.06, place=0)]
    first = [(over - (over - at) * 0.05, frame) for at, frame in first]
    assert max(second)[0] - min(first)[0] < SLICE_NS / 1e9
    path = tmp_path / "two.pcap"
    phones.write_capture(path, first + second)
    alone = Reading(tmp_path / "site")
    with alone.running():
        alone.ask(path=str(path))
        assert alone.until("done", "failed")["calls"] == 2
    said = alone.said()
    assert len(said) == 2, "though both were over before their keys were made"
    for number, call_id in enumerate(sorted(said)):
        media = [content for kind, _, _, content in said[call_id] if kind is RecordKind.MEDIA]
        assert sorted(media) == sorted(phones.voice(0.06, 2 * number + side) for side in (0, 1))


def test_one_file_at_a_time(tmp_path: Path, capture: Path) -> None:
    alone = Reading(tmp_path / "site")
    with alone.running():
        alone.ask(path=str(capture))
        with pytest.raises(ValueError, match="another capture file"):
            alone.ask(path=str(capture))
        alone.until("done")
        with pytest.raises(ValueError, match="it is no file"):
            alone.ask(path=str(tmp_path))
        with pytest.raises(ValueError, match="cannot read it"):
            alone.ask(path=str(tmp_path / "absent"))


def test_a_file_whose_time_leaps_back_is_recorded_all_the_same(tmp_path: Path) -> None:
    late, early = phones.written_call(0, 1_700_003_600, 3), phones.written_call(1, 1_700_000_000, 8)
    path = tmp_path / "joined.pcap"
    phones.write_capture(path, [*sorted(late), *sorted(early)], as_given=True)
    alone = Reading(tmp_path / "site")
    with alone.running():
        alone.ask(path=str(path))
        state = alone.until("done", "failed")
        with pytest.raises(ValueError, match="cannot read it"):
            alone.ask(path=str(tmp_path / ("long" * 200)))
    assert state["state"] == "done" and state["calls"] == 2
    said = alone.said()
    assert [[k for k, *_ in records].count(RecordKind.END) for records in said.values()] == [1, 1]
    longest = max(
        len(content) for records in said.values() for kind, *_, content in records if kind is RecordKind.MEDIA
    )
    assert longest < 5 * 8000, "handed on as time goes by"
